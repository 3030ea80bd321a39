"""CPU time per frame of each stage that a frame passes in the core.

Every stage handles a batch as large as one read of the receiver makes it, again and again. The
repeats of all stages are interleaved, so that a busy moment of the machine hits all alike.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.measure import Spread, Work, in_turn
from bench.program import REPEATS, SAMPLE_MS, make_cpu_parser, tell
from tests.support.fabric import FakeTable
from tests.support.frames import frame, mac
from tests.support.raw_frames import BINARY, encode_frame
from vpnws.server.peers.shared_page import SharedPage
from vpnws.server.port.link import BITE_BYTES
from vpnws.server.port.receiver import MAX_RECEIVE_BYTES
from vpnws.sizes import MAX_WRITE_BUFFERS
from vpnws.switch.format import PLAIN_MESSAGES, RECORDS, TRUNK_ITEMS, Format
from vpnws.switch.forwarding import Switch
from vpnws.switch.guard.roles import SAME_COMMUNITY
from vpnws.switch.guard.storm import StormControl
from vpnws.switch.port import AccessPort
from vpnws.switch.queue.queue import EgressQueue
from vpnws.wire import trunk, websocket
from vpnws.wire.decoder import Decoder
from vpnws.wire.ethernet import BROADCAST
from vpnws.wire.plain_train import read_frames
from vpnws.wire.records import encode_record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIZES: Final = (64, 1500, 64_000)
"""Lengths of a frame in bytes."""
MAX_BATCH: Final = 256
FLOODED_PORTS: Final = 10
_OVERHEAD_BYTES: Final = 14
"""Longest header of a masked message."""
_LONGEST_BYTES: Final = 65535
_LIMIT_BYTES: Final = 1 << 30
_WORKERS: Final = 2
_NOW_S: Final = 1000.0


class Table(FakeTable):
    """The shared FDB as a dictionary, with the epochs where the server has them."""

    def __init__(self) -> None:
        super().__init__()
        self._page = SharedPage(_WORKERS)

    def epoch(self) -> bytes:
        """Return the epochs of all processes."""
        return self._page.epochs()


class Bed:
    """A switch with a station that sends and stations that receive."""

    def __init__(self, receivers: int, format_: Format = PLAIN_MESSAGES) -> None:
        """Attach `receivers` ports besides the sender's, and have all of them learned."""
        self._format = format_
        self.switch = Switch(0, Table(), age_s=300.0, fdb_limit=1000, networks_limit=1)
        self.ports = [self._attach(number) for number in range(receivers + 1)]

    @property
    def sender(self) -> AccessPort:
        """The port that frames come in at; its station is mac(0), the next one's mac(1)."""
        return self.ports[0]

    def empty(self) -> None:
        """Take away what is queued."""
        for port in self.ports:
            port.egress.take(_LIMIT_BYTES, _LIMIT_BYTES, _NOW_S)

    def _attach(self, number: int) -> AccessPort:
        port = AccessPort(
            number,
            self._format,
            EgressQueue(_LIMIT_BYTES),
            _LONGEST_BYTES,
            origin=self.switch.networks.make_origin("default", SAME_COMMUNITY),
            storm=StormControl(0, _NOW_S),
        )
        self.switch.attach(port)
        self.switch.announce(port, mac(number), _NOW_S)
        return port


@dataclass(frozen=True, slots=True)
class Row:
    """What one stage costs at one size, in ns of CPU per frame."""

    stage: str
    size_bytes: int
    batch: int
    ns: Spread

    def shown(self) -> dict[str, str]:
        """Return the row's cells for the table."""
        return {
            "stage": self.stage,
            "frame bytes": f"{self.size_bytes:,}",
            "batch": f"{self.batch}",
            **self.ns.shown("ns/frame"),
        }

    def plain(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return {
            "stage": self.stage,
            "size_bytes": self.size_bytes,
            "batch": self.batch,
            **asdict(self.ns),
        }


def decode(frames: list[bytes]) -> Work:
    """Cut one read's masked messages."""
    received = memoryview(b"".join(encode_frame(BINARY, one) for one in frames))
    decoder = Decoder(_LONGEST_BYTES)
    if decoder.feed(received) != frames:
        raise AssertionError("the decoder did not return the frames")
    return Work(lambda: decoder.feed(received))


def learn_and_find(frames: list[bytes]) -> Work:
    """Look both addresses of each frame up, which are known."""
    bed = Bed(1)
    sender = bed.sender
    fdb = bed.switch.networks.of(bed.sender.origin).fdb
    pairs = [(one[6:12], one[:6]) for one in frames]
    if fdb.find(mac(1), _NOW_S) is not bed.ports[1]:
        raise AssertionError("the receiver is not known")

    def run() -> None:
        for source, destination in pairs:
            fdb.learn(sender, source, _NOW_S)
            fdb.find(destination, _NOW_S)

    return Work(run)


def unicast(frames: list[bytes]) -> Work:
    """Forward to the one port that has the destination."""
    return _forwarding(Bed(1), frames, 1)


def unicast_alone(frames: list[bytes]) -> Work:
    """Forward to one port, each frame by itself, as those of a lone ping come in.

    64 bytes is a length that ARP may have, so these frames are looked at for addresses.
    """
    bed = Bed(1)
    batches = [[one] for one in frames]

    def run() -> None:
        for batch in batches:
            bed.switch.receive(bed.sender, batch, _NOW_S)

    run()
    if len(bed.ports[1].egress.take(_LIMIT_BYTES, _LIMIT_BYTES, _NOW_S)) != len(frames):
        raise AssertionError("the frames did not all go to the port of their destination")
    bed.empty()
    return Work(run, bed.empty)


def unicast_records(frames: list[bytes]) -> Work:
    """Forward records from an offload port to another one, all in one message."""
    bed = Bed(1, RECORDS)
    message = b"".join(map(encode_record, frames))

    def run() -> None:
        bed.switch.receive(bed.sender, (message,), _NOW_S)

    run()
    if sum(map(len, bed.ports[1].egress.take(_LIMIT_BYTES, _LIMIT_BYTES, _NOW_S))) != len(message):
        raise AssertionError("the records did not all go to the port of their destination")
    bed.empty()
    return Work(run, bed.empty)


def flood(frames: list[bytes]) -> Work:
    """Forward broadcasts to every other port."""
    broadcasts = [BROADCAST + one[6:] for one in frames]
    return _forwarding(Bed(FLOODED_PORTS), broadcasts, FLOODED_PORTS)


def encode(frames: list[bytes]) -> Work:
    """Write each frame as a message."""

    def run() -> None:
        for one in frames:
            websocket.encode_binary(one)

    return Work(run)


def queue(frames: list[bytes]) -> Work:
    """Queue messages, and take them for gathered writes."""
    messages = [websocket.encode_binary(one) for one in frames]
    egress = EgressQueue(_LIMIT_BYTES)
    size_bytes = sum(map(len, frames))

    def run() -> None:
        egress.push(messages, len(messages), size_bytes, _NOW_S)
        while egress.waiting:
            egress.take(_LIMIT_BYTES, MAX_WRITE_BUFFERS, _NOW_S)

    return Work(run)


def queue_backed_up(frames: list[bytes]) -> Work:
    """Queue frames, apart by flow, and take them in bites."""
    egress = EgressQueue(_LIMIT_BYTES)
    size_bytes = sum(map(len, frames))

    def run() -> None:
        egress.backed_up = True
        egress.push(frames, len(frames), size_bytes, _NOW_S)
        while egress.waiting:
            egress.take(BITE_BYTES, MAX_WRITE_BUFFERS, _NOW_S)

    return Work(run)


def trunk_encode(frames: list[bytes]) -> Work:
    """Write each frame as an item for another process."""
    label = Bed(0).sender.origin.label

    trains = list(read_frames(frames))

    def run() -> None:
        for train in trains:
            TRUNK_ITEMS.write(train, label)

    return Work(run)


def trunk_decode(frames: list[bytes]) -> Work:
    """Cut a message from another process into its items."""
    label = Bed(0).sender.origin.label
    records = [encode_record(one) for one in frames]
    message = b"".join(trunk.encode_item(label, (record,), len(record), 1) for record in records)
    if [item[1] for item in trunk.decode_items(message)] != records:
        raise AssertionError("the items do not have the records")

    def run() -> None:
        for _ in trunk.decode_items(message):
            pass

    return Work(run)


STAGES: Final[dict[str, Callable[[list[bytes]], Work]]] = {
    "decode, masked": decode,
    "learn and find": learn_and_find,
    "switch: unicast": unicast,
    "switch: unicast, one by one": unicast_alone,
    "switch: unicast, records": unicast_records,
    f"switch: flood to {FLOODED_PORTS}": flood,
    "encode": encode,
    "egress queue": queue,
    "egress queue, backed up": queue_backed_up,
    "trunk item: encode": trunk_encode,
    "trunk item: decode": trunk_decode,
}


def measure(sample_ms: int = SAMPLE_MS, repeats: int = REPEATS) -> list[Row]:
    """Measure every stage at every size: `repeats` samples of about `sample_ms` ms of CPU each."""
    cells = list(itertools.product(STAGES, SIZES))
    works = [STAGES[stage](_frames(size)) for stage, size in cells]
    return [
        Row(stage, size, _batch(size), Spread.of(ns / _batch(size) for ns in samples))
        for (stage, size), samples in zip(cells, in_turn(works, sample_ms, repeats), strict=True)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark as the command line says."""
    options = make_cpu_parser("stages", __doc__).parse_args(arguments)
    tell(options, "stages", "ns/frame", measure(options.sample_ms, options.repeats))


def _batch(size: int) -> int:
    return min(MAX_BATCH, MAX_RECEIVE_BYTES // (size + _OVERHEAD_BYTES))


def _frames(size: int) -> list[bytes]:
    return [frame(mac(1), mac(0), size) for _ in range(_batch(size))]


def _forwarding(bed: Bed, frames: list[bytes], receivers: int) -> Work:
    bed.switch.receive(bed.sender, frames, _NOW_S)
    queued = sum(len(port.egress.take(_LIMIT_BYTES, _LIMIT_BYTES, _NOW_S)) for port in bed.ports)
    if queued != len(frames) * receivers:
        raise AssertionError(f"{queued} messages are queued for {len(frames)} frames")
    bed.empty()
    return Work(lambda: bed.switch.receive(bed.sender, frames, _NOW_S), bed.empty)


if __name__ == "__main__":
    main()

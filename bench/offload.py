"""CPU time of what the switch does with a record: the check of its header, and the cut.

Every record that comes in is checked. One that goes to a port without offload is cut; if it is
short, only its checksum is completed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.measure import Spread, Work, in_turn
from bench.program import REPEATS, SAMPLE_MS, make_cpu_parser, tell
from tests.support.frames import UDP
from tests.support.packet_strategies import TIMESTAMPS
from tests.support.packets import Packet
from vpnws.wire.offload import is_sound, plain_frames
from vpnws.wire.records import NOTHING_TO_DO

if TYPE_CHECKING:
    from collections.abc import Sequence

_RUNS: Final = 50
"""Runs between two readings of the clock, for work that takes less time than a reading."""
_LONGEST_BYTES: Final = 1522
_BEFORE: Final = bytes(30)
"""What stands before a frame in a receiver's buffer."""

_ACK: Final = Packet(tcp_options=TIMESTAMPS)
_ACK6: Final = Packet(version=6, tcp_options=TIMESTAMPS)
_FULL: Final = Packet(tcp_options=TIMESTAMPS, payload=bytes(range(181)) * 8)
_BULK: Final = Packet(tcp_options=TIMESTAMPS, payload=bytes(range(250)) * 260)
_BULK6: Final = Packet(version=6, tcp_options=TIMESTAMPS, payload=bytes(range(250)) * 257)
_BULK_UDP: Final = Packet(protocol=UDP, payload=bytes(range(250)) * 260)


@dataclass(frozen=True, slots=True)
class Case:
    """A record, and whether it is checked or becomes what it is on a wire."""

    vnet: bytes
    frame: bytes
    checked: bool

    @property
    def runs(self) -> int:
        """How often it is done between two readings of the clock."""
        return _RUNS if self.checked else 1

    def work(self) -> Work:
        """Return it as something to measure. Raises AssertionError if the record is not sound."""
        vnet, frame = self.vnet, self.frame
        buffer, at, size = _BEFORE + frame, len(_BEFORE), len(frame)
        if not is_sound(vnet, buffer, at, size, _LONGEST_BYTES):
            raise AssertionError("the record is not sound")
        if not self.checked:
            return Work(lambda: plain_frames(vnet, frame))

        def run() -> None:
            for _ in range(_RUNS):
                is_sound(vnet, buffer, at, size, _LONGEST_BYTES)

        return Work(run)


WORKS: Final = {
    "check: complete frame": Case(NOTHING_TO_DO, _ACK.frame(), True),
    "check: acknowledgement": Case(_ACK.vnet(), _ACK.partial(), True),
    "check: acknowledgement, IPv6": Case(_ACK6.vnet(), _ACK6.partial(), True),
    "check: 64 KB of TCP": Case(_BULK.vnet(1448), _BULK.partial(), True),
    "check: 64 KB of UDP": Case(_BULK_UDP.vnet(1472), _BULK_UDP.partial(), True),
    "complete: acknowledgement": Case(_ACK.vnet(), _ACK.partial(), False),
    "complete: 1,448 bytes": Case(_FULL.vnet(), _FULL.partial(), False),
    "cut: TCP over IPv4": Case(_BULK.vnet(1448), _BULK.partial(), False),
    "cut: TCP over IPv6": Case(_BULK6.vnet(1428), _BULK6.partial(), False),
    "cut: UDP over IPv4": Case(_BULK_UDP.vnet(1472), _BULK_UDP.partial(), False),
}


@dataclass(frozen=True, slots=True)
class Row:
    """What one piece of work costs, in ns of CPU per record."""

    work: str
    frame_bytes: int
    packets: int
    ns: Spread

    def shown(self) -> dict[str, str]:
        """Return the row's cells for the table."""
        return {
            "work": self.work,
            "frame bytes": f"{self.frame_bytes:,}",
            "packets": f"{self.packets}",
            **self.ns.shown("ns/record"),
            "ns/packet": f"{self.ns.median / self.packets:,.0f}",
        }

    def plain(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return {
            "work": self.work,
            "frame_bytes": self.frame_bytes,
            "packets": self.packets,
            **asdict(self.ns),
        }


def measure(sample_ms: int = SAMPLE_MS, repeats: int = REPEATS) -> list[Row]:
    """Measure every piece of work: `repeats` samples of about `sample_ms` ms of CPU each."""
    samples = in_turn([case.work() for case in WORKS.values()], sample_ms, repeats)
    return [
        Row(
            name,
            len(case.frame),
            len(plain_frames(case.vnet, case.frame)),
            Spread.of(ns / case.runs for ns in taken),
        )
        for (name, case), taken in zip(WORKS.items(), samples, strict=True)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark as the command line says."""
    options = make_cpu_parser("offload", __doc__).parse_args(arguments)
    tell(options, "offload", "ns/record", measure(options.sample_ms, options.repeats))


if __name__ == "__main__":
    main()

"""CPU time per frame of a worker of the real server, on the loopback, without a proxy or TLS.

This process plays two stations of each server: one sends a window of frames in one write, the other
counts what arrives, and the next window follows when all of it is there. So nothing is dropped,
every frame that is counted was switched, and what the stations cost is not counted. Windows as
large as an egress queue takes show bulk; windows of one frame show what a frame costs that shares
no wake-up, read or write with others. Both receivers run at the same time and take turns, so that a
busy moment of the machine hits both alike.
"""

from __future__ import annotations

import itertools
import os
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bench.measure import Spread
from bench.processes import CpuTime, cpu_time, pin_apart
from bench.program import make_parser, tell
from tests.live.server import Station, TwoWorkers
from tests.support.frames import frame
from tests.support.raw_frames import BINARY, encode_frame
from vpnws.server.port.receiver import MAX_BATCH_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

RECEIVERS: Final = ("stream", "native")
SIZES: Final = (64, 1500, 64_000)
"""Lengths of a frame in bytes."""
WINDOW_BYTES: Final = 256_000
"""Bytes of frames in a bulk window: less than the egress queue's bound."""
MAX_WINDOW: Final = MAX_BATCH_MESSAGES
"""Frames in a bulk window: what `native` forwards at once."""
WARM_UP_WINDOWS: Final = 20
SAMPLE_S: Final = 0.3
REPEATS: Final = 7
_MAX_WINDOW_S: Final = 10.0
_SETTLE_S: Final = 0.003
"""A worker sleeps this long after its last write, and the kernel has counted its time."""
_PINGS: Final = {"vpnws-ping-every": "3600", "vpnws-dead-after": "7200"}
"""No station is pinged, so all that a station counts is frames."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What some frames took: the CPU time of the workers they passed, and time on the clock."""

    frames: int
    workers: tuple[CpuTime, ...]
    elapsed_s: float

    @property
    def ns_per_frame(self) -> float:
        """CPU time of all these workers together."""
        return sum(worker.total_ns for worker in self.workers) / self.frames


@dataclass
class Cell:
    """One thing to measure: two stations of one server, a size and a window."""

    receiver: str
    workers: tuple[int, ...]
    size_bytes: int
    window: int
    sender: Station
    counter: Station
    pids: tuple[int, ...]
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        one = frame(self.counter.mac, self.sender.mac, self.size_bytes)
        self._sent = encode_frame(BINARY, one) * self.window
        self._awaited_bytes = len(encode_frame(BINARY, one, mask=None)) * self.window
        self._buffer = bytearray(self._awaited_bytes)
        self.counter.client.socket.settimeout(_MAX_WINDOW_S)

    def take_sample(self, sample_s: float) -> None:
        """Send windows for `sample_s` seconds, one at least, and note what they took."""
        time.sleep(_SETTLE_S)
        before = [cpu_time(pid) for pid in self.pids]
        start_s = now_s = time.monotonic()
        windows = 0
        while now_s < start_s + sample_s or not windows:
            self.pass_window()
            windows += 1
            now_s = time.monotonic()
        time.sleep(_SETTLE_S)
        spent = tuple(cpu_time(pid) - then for pid, then in zip(self.pids, before, strict=True))
        self.samples.append(Sample(windows * self.window, spent, now_s - start_s))

    def pass_window(self) -> None:
        """Send one window, wait for it.

        Raises TimeoutError if not all of it arrives, EOFError if the server closes.
        """
        self.sender.client.send_bytes(self._sent)
        awaited_bytes = self._awaited_bytes
        while awaited_bytes > 0:
            count = self.counter.client.socket.recv_into(self._buffer)
            if not count:
                raise EOFError("the server closed the connection; its log says why")
            awaited_bytes -= count

    def shown(self) -> dict[str, str]:
        """Return the cell's line of the table."""
        total = Spread.of(sample.ns_per_frame for sample in self.samples)
        system = self._system_part()
        per_s = Spread.of(sample.frames / sample.elapsed_s for sample in self.samples)
        return {
            "workers": "same" if len(self.workers) == 1 else "different",
            "frame bytes": f"{self.size_bytes:,}",
            "window": f"{self.window}",
            "receiver": self.receiver,
            "us/frame": f"{total.median / 1000:.2f}",
            "quartile 1": f"{total.low / 1000:.2f}",
            "quartile 3": f"{total.high / 1000:.2f}",
            "user": f"{total.median * (1 - system) / 1000:.2f}",
            "system": f"{total.median * system / 1000:.2f}",
            "frames/s": f"{per_s.median:,.0f}",
        }

    def plain(self) -> dict[str, Any]:
        """Return the cell for JSON."""
        total = Spread.of(sample.ns_per_frame for sample in self.samples)
        return {
            "receiver": self.receiver,
            "workers": list(self.workers),
            "size_bytes": self.size_bytes,
            "window": self.window,
            **asdict(total),
            "system_part": self._system_part(),
            "samples": [
                {
                    "frames": sample.frames,
                    "elapsed_s": sample.elapsed_s,
                    "ns_by_worker": [worker.total_ns for worker in sample.workers],
                }
                for sample in self.samples
            ],
        }

    def _system_part(self) -> float:
        """Return which part of the time was the kernel's; ticks are coarse, so of all samples."""
        times = [worker for sample in self.samples for worker in sample.workers]
        system = sum(one.system_ticks for one in times)
        return system / max(1, system + sum(one.user_ticks for one in times))


def measure(
    sizes: Sequence[int] = SIZES, sample_s: float = SAMPLE_S, repeats: int = REPEATS
) -> list[Cell]:
    """Start the servers, measure every cell `repeats` times in turn, stop the servers."""
    affinity = os.sched_getaffinity(0)
    try:
        with ExitStack() as stack:
            servers = [
                stack.enter_context(TwoWorkers({"vpnws-receiver": receiver, **_PINGS}))
                for receiver in RECEIVERS
            ]
            pin_apart(pid for server in servers for pid in server.worker_pids())
            cells = _cells(servers, sizes, stack)
            for cell in cells:
                for _ in range(WARM_UP_WINDOWS):
                    cell.pass_window()
            for _, cell in itertools.product(range(repeats), cells):
                cell.take_sample(sample_s)
        return cells
    finally:
        os.sched_setaffinity(0, affinity)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark as the command line says."""
    parser = make_parser("worker", __doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="bytes of a frame")
    parser.add_argument("--sample-s", type=float, default=SAMPLE_S, help="seconds of one sample")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="samples per figure")
    options = parser.parse_args(arguments)
    cells = measure(options.sizes, options.sample_s, options.repeats)
    tell(options, "worker", "ns/frame", cells)


def _cells(servers: Sequence[TwoWorkers], sizes: Sequence[int], stack: ExitStack) -> list[Cell]:
    """Join two stations for every cell; those to be compared stand next to each other."""
    cells = []
    for workers, size in itertools.product(((1,), (1, 2)), sizes):
        bulk = max(1, min(MAX_WINDOW, WINDOW_BYTES // size))
        for window, server in itertools.product((bulk, 1), servers):
            pids = server.worker_pids()
            cells.append(
                Cell(
                    server.receiver,
                    workers,
                    size,
                    window,
                    stack.enter_context(server.station(workers[0])),
                    stack.enter_context(server.station(workers[-1])),
                    tuple(pids[worker - 1] for worker in workers),
                )
            )
    return cells


if __name__ == "__main__":
    main()

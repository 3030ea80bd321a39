"""Whether the switch forwards less while it is watched: throughput with and without, as a ratio.

A real server of two workers, with idle stations beside the pairs that send, and one more that has
hooks. Samples take turns: nobody watches, metrics are read each second, metrics are read while a
live page has its stream open, and the last on the server with hooks while a station joins and
leaves each second. Each sample is compared with the one just before it when nobody watched: by the
clock, and by the CPU time of the workers that forward, in which other programs of the machine have
no part.
"""

from __future__ import annotations

import multiprocessing
import os
import select
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from bench.measure import Spread
from bench.processes import pin_apart
from bench.program import make_parser, tell
from bench.worker import MAX_WINDOW, WARM_UP_WINDOWS, WINDOW_BYTES, Cell
from tests.live.server import TwoWorkers
from tests.support.uwsgi_client import UwsgiClient

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

SIZES: Final = (64, 1500)
"""Lengths of a frame in bytes."""
SAMPLE_S: Final = 1.9
REPEATS: Final = 15
IDLE: Final = 200
"""Stations that do nothing, and are shown all the same."""
SCRAPE_EVERY_S: Final = 1.0
NOBODY: Final = "nobody"


@dataclass(frozen=True, slots=True)
class Watch:
    """How a server is watched."""

    reads_metrics: bool = False
    has_stream: bool = False
    has_hooks: bool = False
    """Whether commands run for a station that joins and leaves each second."""


WATCHERS: Final = {
    NOBODY: Watch(),
    "metrics": Watch(reads_metrics=True),
    "metrics, page": Watch(reads_metrics=True, has_stream=True),
    "metrics, page, hooks": Watch(reads_metrics=True, has_stream=True, has_hooks=True),
}
"""Who watches."""
_HOOKS: Final = {
    f"vpnws-on-{event}": "test -n $VPNWS_PORT" for event in ("connect", "disconnect", "learn")
}
_PINGS: Final = {"vpnws-ping-every": "3600", "vpnws-dead-after": "7200"}
_CONTROL: Final = {"VPNWS_ENDPOINT": "control", "HTTP_UPGRADE": "", "HTTP_CONNECTION": ""}
_READ_BYTES: Final = 1 << 20
_VISITOR: Final = "02:00:00:00:0f:0f"


@dataclass
class Row:
    """One place and size, with one kind of watcher."""

    watcher: str
    cell: Cell
    scrapes: int = 0
    bytes_read: int = 0
    """What the watcher got of metrics and of the stream."""
    ratios: list[float] = field(default_factory=list)
    """Frames per second, divided by those of the sample before when nobody watched."""
    cpu_ratios: list[float] = field(default_factory=list)
    """The same for frames per second of CPU time."""

    @property
    def frames_per_s(self) -> list[float]:
        """Return the throughput of each sample."""
        return [sample.frames / sample.elapsed_s for sample in self.cell.samples]

    def shown(self) -> dict[str, str]:
        """Return the row's cells for the table."""
        clock, cpu = Spread.of(self.ratios), Spread.of(self.cpu_ratios)
        return {
            "workers": "same" if len(self.cell.workers) == 1 else "different",
            "frame bytes": f"{self.cell.size_bytes:,}",
            "watched by": self.watcher,
            "frames/s": f"{median(self.frames_per_s):,.0f}",
            "ratio": f"{clock.median:.3f}",
            "quartiles": f"{clock.low:.3f} {clock.high:.3f}",
            "by CPU": f"{cpu.median:.3f}",
            "its quartiles": f"{cpu.low:.3f} {cpu.high:.3f}",
            "scrapes": f"{self.scrapes:,}",
        }

    def plain(self) -> dict[str, Any]:
        """Return the row for JSON."""
        return {
            "watcher": self.watcher,
            "workers": list(self.cell.workers),
            "size_bytes": self.cell.size_bytes,
            "frames_per_s": self.frames_per_s,
            "ratio": asdict(Spread.of(self.ratios)),
            "cpu_ratio": asdict(Spread.of(self.cpu_ratios)),
            "scrapes": self.scrapes,
            "bytes_read": self.bytes_read,
        }


def measure(
    sizes: Sequence[int] = SIZES,
    sample_s: float = SAMPLE_S,
    repeats: int = REPEATS,
    idle: int = IDLE,
) -> list[Row]:
    """Start the servers, measure every row `repeats` times in turn, stop the servers."""
    affinity = os.sched_getaffinity(0)
    try:
        with ExitStack() as stack:
            servers = {
                has_hooks: stack.enter_context(TwoWorkers(_PINGS | (_HOOKS if has_hooks else {})))
                for has_hooks in (False, True)
            }
            for server in servers.values():
                for number in range(idle):
                    stack.enter_context(server.station(number % 2 + 1))
            pin_apart([pid for server in servers.values() for pid in server.worker_pids()])
            groups = _groups(servers, sizes, stack)
            for _ in range(repeats):
                for group in groups:
                    _take_turns(group, servers, sample_s)
        return [row for group in groups for row in group]
    finally:
        os.sched_setaffinity(0, affinity)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark as the command line says."""
    parser = make_parser("observed", __doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="bytes of a frame")
    parser.add_argument("--sample-s", type=float, default=SAMPLE_S, help="seconds of one sample")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="samples per figure")
    parser.add_argument("--idle", type=int, default=IDLE, help="stations that do nothing")
    options = parser.parse_args(arguments)
    rows = measure(options.sizes, options.sample_s, options.repeats, options.idle)
    tell(options, "observed", "ratio of frames/s", rows)


def _groups(
    servers: Mapping[bool, TwoWorkers], sizes: Sequence[int], stack: ExitStack
) -> list[list[Row]]:
    """Join two stations of each server for each place and size; return their rows by watchers."""
    groups = []
    for workers in ((1,), (1, 2)):
        for size in sizes:
            cells = {
                has_hooks: _join(server, workers, size, stack)
                for has_hooks, server in servers.items()
            }
            group = [
                Row(who, replace(cells[watch.has_hooks], samples=[]))
                for who, watch in WATCHERS.items()
            ]
            for row in group:
                for _ in range(WARM_UP_WINDOWS):
                    row.cell.pass_window()
            groups.append(group)
    return groups


def _join(server: TwoWorkers, workers: tuple[int, ...], size: int, stack: ExitStack) -> Cell:
    """Join a station that sends and one that counts; return them as something to measure."""
    pids = server.worker_pids()
    sender = stack.enter_context(server.station(workers[0]))
    counter = stack.enter_context(server.station(workers[-1]))
    window = max(1, min(MAX_WINDOW, WINDOW_BYTES // size))
    used = tuple(pids[worker - 1] for worker in workers)
    return Cell("stream", workers, size, window, sender, counter, used)


def _take_turns(group: list[Row], servers: Mapping[bool, TwoWorkers], sample_s: float) -> None:
    """Take one sample of each row of a group, and compare it with the one without a watcher."""
    for row in group:
        watch = WATCHERS[row.watcher]
        with watching(servers[watch.has_hooks].socket_path, watch) as found:
            row.cell.take_sample(sample_s)
        row.scrapes += found.scrapes
        row.bytes_read += found.bytes_read
        alone, sample = group[0].cell.samples[-1], row.cell.samples[-1]
        row.ratios.append(row.frames_per_s[-1] / group[0].frames_per_s[-1])
        row.cpu_ratios.append(alone.ns_per_frame / sample.ns_per_frame)


@dataclass
class Found:
    """What a watcher has read, once it is over."""

    scrapes: int = 0
    bytes_read: int = 0


@contextmanager
def watching(path: Path, watch: Watch) -> Iterator[Found]:
    """Watch the server at the unix socket `path` from another process, as far as is asked for."""
    found = Found()
    if not watch.reads_metrics:
        yield found
        return
    near, far = multiprocessing.Pipe()
    watcher = multiprocessing.get_context("fork").Process(
        target=_watch, args=(path, watch, far), daemon=True
    )
    watcher.start()
    try:
        near.recv()
        yield found
        near.send("stop")
        found.scrapes, found.bytes_read = near.recv()
    finally:
        watcher.join(5.0)
        watcher.kill()


def _watch(path: Path, watch: Watch, parent: Connection) -> None:
    """Read metrics at once and each second, and all that a stream tells, until the parent stops.

    If the server has hooks, a station joins and leaves each time too.
    """
    scrapes, bytes_read = 0, 0
    with ExitStack() as stack:
        streams = [_open_stream(stack.enter_context(UwsgiClient(path)))] if watch.has_stream else []
        next_s = time.monotonic()
        while not parent.poll():
            if time.monotonic() >= next_s:
                next_s += SCRAPE_EVERY_S
                bytes_read += _scrape(path)
                scrapes += 1
                if watch.has_hooks:
                    _visit(path)
                if scrapes == 1:
                    parent.send("begun")
            waits_for = [parent.fileno(), *(stream.fileno() for stream in streams)]
            ready, _, _ = select.select(waits_for, (), (), max(0.0, next_s - time.monotonic()))
            for stream in streams:
                if stream.fileno() in ready:
                    bytes_read += _read_some(stream)
        parent.send((scrapes, bytes_read))


def _open_stream(client: UwsgiClient) -> socket.socket:
    """Ask for the stream of a live page; return the socket that it comes from."""
    client.send_request({**_CONTROL, "PATH_INFO": "/api/v1/stream"})
    head = client.socket.recv(_READ_BYTES)
    if not head.startswith(b"HTTP/1.1 200"):
        raise OSError(f"the stream answered {head[:40]!r}")
    return client.socket


def _read_some(stream: socket.socket) -> int:
    """Read what a stream has ready; return how many bytes that was."""
    data = stream.recv(_READ_BYTES)
    if not data:
        raise EOFError("the server closed the stream")
    return len(data)


def _scrape(path: Path) -> int:
    """Read the metrics once; return how many bytes they are."""
    with UwsgiClient(path) as client:
        answer = client.ask({**_CONTROL, "PATH_INFO": "/metrics"}, key=None)
    if answer.status != 200:
        raise OSError(f"the metrics answered {answer.status}")
    return len(answer.body)


def _visit(path: Path) -> None:
    """Join as a station, and hang up."""
    with UwsgiClient(path) as client:
        answer = client.ask({"HTTP_X_VPN_WS_MAC": _VISITOR})
    if answer.status != 101:
        raise OSError(f"the visit answered {answer.status}")


if __name__ == "__main__":
    main()

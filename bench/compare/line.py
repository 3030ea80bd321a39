"""The delay line: joins two TAPs, and what passes goes through a lane each way.

It is for kernels without netem. Its TAPs have no offload, so the kernel cuts and checksums first,
and no frame is longer than the MTU allows. It looks at the clock every TURN_S. Each line of its
input is a path to emulate, as a JSON object. It answers each on its output with what has passed
since the last one.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytun

from bench.compare.lane import Lane, Path
from tests.support.assembly import Assembly
from tests.support.uwsgi import REPOSITORY

if TYPE_CHECKING:
    from tests.support.netns import Namespace

TURN_S: Final = 0.0005
"""While frames are on their way, the line wakes so often and handles all that has come."""
MAX_READS: Final = 256
"""Frames read from one side in a turn, so that the other has its own."""
_FRAME_BYTES: Final = 2048


class DelayLine(Assembly):
    """A running delay line between two TAPs that it makes, in a `with` block."""

    def __init__(self, ends: tuple[tuple[Namespace, str], tuple[Namespace, str]]) -> None:
        """Plan it; each end is a namespace and the name that its TAP shall have there."""
        self._ends = ends

    def build(self) -> None:
        """Make the TAPs, and give them to the program."""
        taps = [namespace.call(partial(_open, name)) for namespace, name in self._ends]
        fds = [tap.fileno() for tap in taps]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bench.compare.line", *map(str, fds)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=fds,
                cwd=REPOSITORY, start_new_session=True,
            )  # fmt: skip
        finally:
            for tap in taps:
                tap.close()
        self.parts.callback(self._process.communicate)
        self.parts.callback(self._process.kill)

    def become(self, path: Path) -> dict[str, Any]:
        """Emulate `path` from now on, and return what passed before.

        Keys: `elapsed_s`, `cpu_s`, and `lanes`, the counters of both directions, the first one from
        the first end to the second. Frames under way are lost. Raises RuntimeError when the
        program has ended.
        """
        if not self._process.stdin or not self._process.stdout or self._process.poll() is not None:
            raise RuntimeError("the delay line has ended")
        self._process.stdin.write(json.dumps(asdict(path)) + "\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told


class _Program:
    """The program's own side: two descriptors, a lane from each to the other."""

    def __init__(self, fds: tuple[int, int]) -> None:
        self._fds = fds
        for fd in (*fds, sys.stdin.fileno()):
            os.set_blocking(fd, False)
        self._begin(Path())

    def run(self) -> None:
        """Carry frames until the input ends."""
        while True:
            is_busy = any(lane.next_s() is not None for lane in self._lanes)
            if is_busy:
                time.sleep(TURN_S)
            ready, _, _ = select.select([*self._fds, sys.stdin], [], [], 0 if is_busy else None)
            if sys.stdin in ready and not self._obey(sys.stdin.readline()):
                return
            self._turn(time.monotonic())

    def _begin(self, path: Path) -> None:
        self._lanes = (Lane(path, 0), Lane(path, 1))
        self._began_s, self._cpu_s = time.monotonic(), time.process_time()

    def _turn(self, now_s: float) -> None:
        for lane, source, sink in zip(self._lanes, self._fds, reversed(self._fds), strict=True):
            for _ in range(MAX_READS):
                try:
                    lane.push(os.read(source, _FRAME_BYTES), now_s)
                except OSError:
                    break
            for frame in lane.due(now_s):
                _write(sink, frame)

    def _obey(self, line: str) -> bool:
        if not line:
            return False
        told = {
            "elapsed_s": time.monotonic() - self._began_s,
            "cpu_s": time.process_time() - self._cpu_s,
            "lanes": [asdict(lane.counters) for lane in self._lanes],
        }
        print(json.dumps(told), flush=True)
        self._begin(Path(**json.loads(line)))
        return True


def main() -> None:
    """Join the two descriptors that the command line names."""
    one, other = map(int, sys.argv[1:])
    _Program((one, other)).run()


def _open(name: str) -> pytun.TunTapDevice:
    return pytun.TunTapDevice(name=name, flags=pytun.IFF_TAP | pytun.IFF_NO_PI)


def _write(sink: int, frame: bytes) -> None:
    # A device that is down, or whose namespace has no room, takes none: so does a bad cable.
    try:
        os.write(sink, frame)
    except OSError:
        return


if __name__ == "__main__":
    main()

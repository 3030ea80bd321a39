"""Runs every test, in two halves at a time: `python -m tests.run [pytest's options]`.

The live tests and those in network namespaces mostly wait. So both halves together take little
longer than the longer one. What the first half says is shown at once, and what the second says at
the end. Options such as -k or -x go to both.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

HALVES: Final = (("unit", "browser", "live"), ("netns",))
"""The folders of each half, which take about as long."""
FINE: Final = frozenset((0, 5))
"""pytest's exit codes for: all passed, and no test selected (of this half)."""
_TESTS: Final = Path(__file__).parent


def main(options: list[str]) -> int:
    """Run both halves with pytest's `options`; return 0 if all went well."""
    # Ctrl-C reaches both halves too, and each of them cleans up; then this program goes on.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    began_s = time.monotonic()
    with ExitStack() as stack:
        said = stack.enter_context(tempfile.TemporaryFile())
        second = _start(HALVES[1], options, said)
        first = _start(HALVES[0], options, None)
        codes = [first.wait(), second.wait()]
        said.seek(0)
        sys.stdout.buffer.write(said.read())
    took_s = time.monotonic() - began_s
    print(f"both halves took {took_s:.0f} s; exit codes {codes[0]} and {codes[1]}", flush=True)
    return 0 if FINE.issuperset(codes) and codes != [5, 5] else 1


def _start(
    folders: tuple[str, ...], options: list[str], output: IO[bytes] | None
) -> subprocess.Popen[bytes]:
    """Start pytest for `folders`; its output goes to `output`, by default where ours goes."""
    places = [str(_TESTS / folder) for folder in folders]
    command = [sys.executable, "-m", "pytest", *options, *places]
    # Of an ignored signal a child would hear nothing either.
    return subprocess.Popen(
        command,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        preexec_fn=_hear_ctrl_c,  # noqa: PLW1509 - no threads here
    )


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

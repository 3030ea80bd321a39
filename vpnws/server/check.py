"""Checks a site's settings while its server runs on: `python -m vpnws.server.check FILE.ini`.

It starts a second uWSGI that reads the file and loads the application as a reload would, but binds
no socket, makes no TAP, forks no worker and ends before it serves.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.server import ini
from vpnws.server.access import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT_S: Final = 60
"""A check that takes longer has failed."""
SHOWN_LINES: Final = 5
"""Of an error that is uWSGI's own, so many of the last lines are shown."""
PID_FILES: Final = ("pidfile", "pidfile2", "safe-pidfile", "safe-pidfile2")
"""Options that name a file which uWSGI removes at its end."""
NOT_LOADED: Final = (
    "vpnws: cannot start: the application was not loaded: the file needs a line [uwsgi], below it"
    f" ini = {PROJECT / 'uwsgi.ini'}, and no lazy-apps"
)
"""What is said of a file that uWSGI accepts and that starts no switch. One without a line [uwsgi]
is such a file, since uWSGI reads nothing of it."""
_SAYS: Final = ("cannot start:", "WARNING")
"""What our own lines have that the admin should see."""


def main(words: Sequence[str]) -> int:
    """Check an ini, with more options of uWSGI if there are any; return an exit code."""
    if not words or words[0].startswith("-"):
        print("usage: python -m vpnws.server.check FILE.ini [options of uWSGI]", file=sys.stderr)
        return 2
    file, *options = words
    try:
        done = subprocess.run(
            command(file, options),
            env=check_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"{file}: uWSGI could not check it: {error}", file=sys.stderr)
        return 1
    output = done.stdout.decode(errors="replace")
    is_good = done.returncode == 0 and ini.CHECKED in output
    if done.returncode == 0 and not is_good:
        output = NOT_LOADED
    for line in worth_showing(output, is_good=is_good):
        print(line, file=sys.stderr)
    print(f"{file}: {ini.CHECKED if is_good else 'the settings cannot be used'}", file=sys.stderr)
    return 0 if is_good else 1


def command(file: str, options: Sequence[str]) -> list[str]:
    """Return uWSGI's command line for a check of `file`."""
    beside = Path(sys.executable).with_name("uwsgi")
    binary = str(beside) if beside.exists() else shutil.which("uwsgi") or "uwsgi"
    # An error of uWSGI's own would remove the pidfiles of the server that runs.
    no_files = [f"--{name}=" for name in PID_FILES]
    return [binary, "--ini", file, *options, "--no-server", *no_files]


def check_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a check, without what another uWSGI around it has set."""
    kept = {name: text for name, text in environment.items() if not name.startswith("UWSGI_")}
    # As in a reload uWSGI writes no pidfile and does not go to the background.
    return {**kept, ini.CHECK: "1", ini.RELOADS: "0"}


def worth_showing(output: str, *, is_good: bool) -> list[str]:
    """Return the lines of `output` that say what is wrong; uWSGI's last ones if none is ours."""
    lines = [line for line in output.splitlines() if line.strip()]
    ours = [line for line in lines if "vpnws" in line and any(word in line for word in _SAYS)]
    return ours if ours or is_good else lines[-SHOWN_LINES:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

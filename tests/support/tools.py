"""Finds the programs that the tests, the demo and the comparison run."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def tool_path(tool: str) -> str | None:
    """Return the path of a command: next to the interpreter, else on the path, else in sbin."""
    beside = Path(sys.executable).parent / tool
    if os.access(beside, os.X_OK):
        return str(beside)
    places = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SBIN))
    return shutil.which(tool, path=places)

"""A copy of the project's files, as a fresh clone has them: what git tracks or would add."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from . import processes
from .uwsgi import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


def copy_checkout(root: Path) -> None:
    """Copy the files into the directory `root`."""
    listed = processes.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=REPOSITORY
    )
    for name in listed.stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, root / name)

"""The unix socket's file: removed at the end, which uWSGI itself forgets after a reload."""

from __future__ import annotations

import stat
from pathlib import Path


class SocketFile:
    """A unix socket's file as it was when the server started."""

    def __init__(self, path: str) -> None:
        """Remember which file stands at `path`; an empty path is no file."""
        self._path = Path(path) if path else None
        self._identity = self._look()

    def remove(self) -> None:
        """Remove the file if it is still the same one."""
        if self._path is not None and self._identity and self._look() == self._identity:
            self._path.unlink(missing_ok=True)

    def _look(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        if found is None or not stat.S_ISSOCK(found.st_mode):
            return None
        return found.st_dev, found.st_ino

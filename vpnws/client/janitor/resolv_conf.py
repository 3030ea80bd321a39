"""Replaces /etc/resolv.conf, and restores it unless somebody has changed ours meanwhile.

The original is kept beside it under another name: so it is not lost when the power fails, after
which no journal is left in /run.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.client.janitor.machine import ChangeError
from vpnws.client.janitor.namespaces import mark_of_network

if TYPE_CHECKING:
    from vpnws.client.janitor.machine import Machine

KEPT_SUFFIX: Final = ".before-vpnws"
"""What the original is called while ours is in its place."""
_NEW_SUFFIX: Final = ".vpnws-new"
_MARK: Final = "# Written by vpnws-client; the original comes back at its end. It is in "
_MOUNTED: Final = frozenset((errno.EBUSY, errno.EXDEV))
"""What a rename says of a file that is a mount of its own, as in a container."""
MAX_FILE_BYTES: Final = 1_000_000
"""A longer /etc/resolv.conf is not replaced."""


@dataclass(frozen=True, slots=True)
class ResolvConfDeed:
    """Our /etc/resolv.conf, and where the original is."""

    path: str
    servers: tuple[str, ...]
    was_there: bool
    kept: str
    """Where the original is meanwhile."""

    @classmethod
    def plan(cls, machine: Machine, servers: tuple[str, ...]) -> ResolvConfDeed:
        """Return what puts `servers` into the machine's file. Raises ChangeError."""
        path, kept = machine.resolv_conf, _kept(machine.resolv_conf)
        if _is_there(kept):
            raise ChangeError(
                f"cannot set name servers: {kept} is there, so another vpnws-client has"
                f" replaced {path}, or did not restore it: look at both, and delete the one that"
                " is wrong"
            )
        return cls(str(path), servers, _is_there(path), str(kept))

    def do(self, machine: Machine) -> None:
        """Keep the original, and put ours in its place."""
        del machine
        path = Path(self.path)
        if _read(path) == self._text():
            return
        try:
            if self.was_there and not _is_there(Path(self.kept)):
                _keep(path, Path(self.kept))
            _put(path, self._text())
        except OSError as error:
            raise ChangeError(
                f"cannot set name servers: {path} cannot be replaced: {error.strerror}",
                lacks_permission=isinstance(error, PermissionError),
            ) from error

    def undo(self, machine: Machine) -> str:
        """Put the original back, unless ours was changed."""
        del machine
        path, kept = Path(self.path), Path(self.kept)
        if self.was_there and not _is_there(kept):
            return ""
        if _read(path) not in (self._text(), _read(kept) if self.was_there else None):
            return (
                f"{path} was changed meanwhile, so it stays as it is; the original is {kept}:"
                " delete that when it is not needed"
            )
        try:
            if self.was_there:
                _rename(kept, path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            return f"{path} could not be restored from {kept}: {error.strerror}"
        return ""

    def _text(self) -> str:
        return f"{_MARK}{self.kept}\n" + "".join(f"nameserver {each}\n" for each in self.servers)


def left_by_power_failure(path: Path) -> ResolvConfDeed | None:
    """Return the deed of a client that has left its file at `path` and no journal; else None."""
    text = _read(path) or ""
    lines, kept = text.splitlines(), _kept(path)
    if not lines or lines[0] != f"{_MARK}{kept}":
        return None
    servers = tuple(line.removeprefix("nameserver ") for line in lines[1:])
    return ResolvConfDeed(str(path), servers, _is_there(kept), str(kept))


def _kept(path: Path) -> Path:
    """Return where the original at `path` is kept.

    `ip netns exec` gives each network namespace a file of its own at the one path, in one /etc.
    """
    return path.with_name(f"{path.name}{KEPT_SUFFIX}{mark_of_network()}")


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _read(path: Path) -> str | None:
    try:
        with path.open(errors="surrogateescape") as file:
            return file.read(MAX_FILE_BYTES)
    except OSError:
        return None


def _keep(path: Path, kept: Path) -> None:
    """Give the original a second name. Raises OSError."""
    if path.is_symlink():
        # What it leads to may be written by another program: the link is what is kept.
        kept.symlink_to(path.readlink())
        return
    if path.stat().st_size > MAX_FILE_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    _write_beside(path, kept, path.read_bytes())


def _put(path: Path, text: str) -> None:
    """Replace the file at `path`, at once if it can be renamed over. Raises OSError."""
    new = path.with_name(path.name + _NEW_SUFFIX)
    _write_beside(path, new, text.encode())
    _rename(new, path)


def _rename(source: Path, path: Path) -> None:
    """Rename `source` over `path`; where that is a mount, copy it instead. Raises OSError."""
    try:
        source.replace(path)
    except OSError as error:
        if error.errno not in _MOUNTED:
            raise
        path.write_bytes(source.read_bytes())
        source.unlink()


def _write_beside(path: Path, target: Path, content: bytes) -> None:
    """Write a file with the mode of `path`, whole or not at all. Raises OSError."""
    try:
        with target.open("wb") as file:
            with suppress(OSError):
                os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        target.unlink(missing_ok=True)
        raise

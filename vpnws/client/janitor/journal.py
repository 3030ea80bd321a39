"""The journal: a file that says what has to be undone, for whoever comes after a dead janitor.

Beside each journal is a lock, which a process holds as long as it lives. So a journal whose lock is
free was left by processes that are dead. A journal is written anew at each change, under another
name, and then renamed: it is whole or the one of before.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vpnws.client.janitor.changes import plain
from vpnws.client.janitor.deeds import AddressDeed, MtuDeed, RouteDeed, SwitchDeed
from vpnws.client.janitor.dns import ResolvconfDeed, ResolvedDeed
from vpnws.client.janitor.namespaces import own_network
from vpnws.client.janitor.resolv_conf import ResolvConfDeed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from vpnws.client.janitor.deeds import Deed

DIRECTORY: Final = Path("/run/vpnws-client")
MAX_JOURNAL_BYTES: Final = 1_000_000
"""A longer journal is not read: no janitor has written it."""
_SUFFIX: Final = ".journal"
_LOCK: Final = ".lock"
_AGAIN_S: Final = 0.05
_KINDS: Final[dict[str, type[Any]]] = {
    each.__name__: each
    for each in (
        *(AddressDeed, RouteDeed, MtuDeed, SwitchDeed),
        *(ResolvedDeed, ResolvconfDeed, ResolvConfDeed),
    )
}


class JournalError(Exception):
    """A journal cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the journal of one device in one network namespace is."""

    path: Path

    @classmethod
    def of(cls, directory: Path, tap: str) -> Self:
        """Return the place for the device `tap` in our own network namespace."""
        return cls(directory / f"{tap}.{own_network()}{_SUFFIX}")

    @property
    def tap(self) -> str:
        """The device's name."""
        return self._stem.rpartition(".")[0]

    @property
    def network(self) -> str:
        """The name of the network namespace that the device was in, as `own_network` has it."""
        return self._stem.rpartition(".")[2]

    @property
    def lock(self) -> Path:
        """The lock's file."""
        return self.path.with_name(self._stem + _LOCK)

    @property
    def _stem(self) -> str:
        return self.path.name.removesuffix(_SUFFIX)


def places(directory: Path) -> list[Place]:
    """Return the places of all journals in a directory, and of locks without one."""
    found: set[str] = set()
    with suppress(OSError):
        for suffix in (_SUFFIX, _LOCK):
            found |= {path.name.removesuffix(suffix) for path in directory.glob(f"*{suffix}")}
    return [Place(directory / f"{stem}{_SUFFIX}") for stem in sorted(found)]


class Lock:
    """The lock of a place; whoever holds it may write and undo the journal."""

    def __init__(self, fd: int, path: Path) -> None:
        """`take` makes it."""
        self._fd = fd
        self._path = path

    @classmethod
    def take(cls, place: Place, within_s: float = 0.0) -> Lock | None:
        """Take the lock; None if another process holds it after `within_s`. Raises OSError."""
        until_s = time.monotonic() + within_s
        while True:
            fd = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if _is_locked(fd, place.lock):
                return cls(fd, place.lock)
            os.close(fd)
            if time.monotonic() >= until_s:
                return None
            time.sleep(_AGAIN_S)

    def release(self) -> None:
        """Remove the lock's file, and let go."""
        with suppress(OSError):
            self._path.unlink()
        os.close(self._fd)


def _is_locked(fd: int, path: Path) -> bool:
    """Lock a file that has just been opened; return whether that is done, and it is still there."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(fd).st_ino == path.stat().st_ino
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.ENOENT):
            return False
        raise


def write(place: Place, deeds: Sequence[Deed]) -> None:
    """Write the journal, or remove it if there is nothing to undo. Raises OSError."""
    if not deeds:
        place.path.unlink(missing_ok=True)
        return
    entries = [{"deed": type(each).__name__, **asdict(each)} for each in deeds]  # type: ignore[call-overload]
    new = place.path.with_name(place.path.name + ".new")
    try:
        with open(new, "w", opener=_open_private) as file:
            json.dump({"deeds": entries}, file)
        new.replace(place.path)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def read(place: Place) -> list[Deed]:
    """Return what a journal says is to be undone, in the order in which it was done.

    Raises JournalError if it is none.
    """
    try:
        with open(place.path, opener=_open_own) as file:
            entries = json.loads(file.read(MAX_JOURNAL_BYTES))["deeds"]
        return [_read_deed(entry) for entry in entries]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise JournalError(f"{place.path} cannot be read: {error}") from error


def _read_deed(entry: dict[str, Any]) -> Deed:
    """Return a deed of a journal. Raises one of several errors if it is none."""
    kind = _KINDS[entry.pop("deed")]
    members = {each.name: plain(entry.pop(each.name), each) for each in fields(kind)}
    if entry:
        raise LookupError(f"{', '.join(entry)} is unknown")
    made: Deed = kind(**members)
    return made


def _open_own(path: str, flags: int) -> int:
    """Open a file of our own user: what another one has written there is not to be undone by us.

    Raises PermissionError for any other.
    """
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW)
    if os.fstat(fd).st_uid != os.geteuid():
        os.close(fd)
        raise PermissionError(errno.EPERM, "it is another user's")
    return fd


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)

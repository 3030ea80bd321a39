"""Gives up the privileges of this process for ever; its janitor keeps them."""

from __future__ import annotations

import _strptime  # type: ignore[import-not-found]  # noqa: F401 - reads dates of certificates
import ctypes
import encodings.idna  # noqa: F401 - looking up a name imports it, from files that may be closed then
import os
import pwd
import sys
from dataclasses import dataclass
from typing import Final

from vpnws.errors import ConfigError, JanitorError

DEFAULT_USER: Final = "nobody"
"""Who the program becomes when root has started it."""
OVERFLOW_ID: Final = 65534
"""The number of the user and group nobody where no file names them, as the kernel has it too."""
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION_3: Final = 0x20080522


@dataclass(frozen=True, slots=True)
class User:
    """A user of this machine."""

    name: str
    uid: int
    gid: int


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    """Effective, permitted and inheritable capabilities, each in two halves (capset(2))."""

    _fields_ = (("halves", ctypes.c_uint32 * 6),)


def user_to_become(run_as: str) -> User | None:
    """Return who --run-as names, None for whom this process is already.

    Empty means the default: nobody for root, and no change for others. Raises ConfigError.
    """
    is_root = os.geteuid() == 0
    if not run_as and not is_root:
        return None
    user = _find(run_as)
    if user.uid == os.geteuid():
        return None
    if not is_root:
        raise ConfigError(f"only root can become another user: leave --run-as {run_as} out")
    return user


def _find(run_as: str) -> User:
    try:
        entry = pwd.getpwnam(run_as or DEFAULT_USER)
    except KeyError as error:
        if not run_as:
            return User(DEFAULT_USER, OVERFLOW_ID, OVERFLOW_ID)
        raise ConfigError(
            f"there is no user {run_as!r} for --run-as: name another, or root to stay root"
        ) from error
    return User(entry.pw_name, entry.pw_uid, entry.pw_gid)


def give_up(user: User | None) -> None:
    """Become `user`, and give up every capability; None keeps the user, and root all it has.

    What is open stays usable: the TAP, sockets, the log. No program that is started later gets
    more (no_new_privs, prctl(2)). Raises JanitorError if the kernel does not let go.
    """
    if user is None and os.geteuid() == 0:
        return
    try:
        if user is not None:
            os.setgroups(())
            # As root, these set the real, the effective and the saved one.
            os.setgid(user.gid)
            os.setuid(user.uid)
        if sys.platform == "linux":
            _drop_capabilities()
    except OSError as error:
        raise JanitorError(
            f"the privileges cannot be given up: {error.strerror}; --run-as root keeps them"
        ) from error


def _drop_capabilities() -> None:
    """Give up all capabilities (capabilities(7)), which only Linux has. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    # A kernel without ambient capabilities has none to clear.
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _check(libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), ctypes.byref(_Sets())))


def _check(result: int) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))

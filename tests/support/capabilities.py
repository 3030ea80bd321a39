"""Drops root's capabilities for a while, so that a test that needs them fails."""

from __future__ import annotations

import ctypes
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERSION_3: Final = 0x20080522
"""_LINUX_CAPABILITY_VERSION_3: two sets of 32 bits (capget(2))."""
_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def without_capabilities() -> Iterator[None]:
    """Drop all effective capabilities of this thread, and of threads that it starts.

    They stay permitted, so they come back at the end of the block. A program that root starts has
    them from its start.
    """
    before = _read()
    none = type(before)(*(_Sets(0, sets.permitted, sets.inheritable) for sets in before))
    _call(_libc.capset, none)
    try:
        yield
    finally:
        _call(_libc.capset, before)


def _read() -> ctypes.Array[_Sets]:
    sets = (_Sets * 2)()
    _call(_libc.capget, sets)
    return sets


def _call(function: ctypes._NamedFuncPointer, sets: ctypes.Array[_Sets]) -> None:
    if function(ctypes.byref(_Header(_VERSION_3, 0)), sets):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))

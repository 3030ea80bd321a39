"""Carries stations' claims and the operator's rules over a reload, in a file in memory.

A reload (SIGHUP) starts uWSGI anew in the same process, and its caches are lost with the old one.
So the processes that end write what the caches say of named stations and which rules hold, and the
master that begins reads and removes it. Without that, whoever comes first after a reload could take
another's MAC, and who is banned could come back.

The file is in memory (shm_overview(7)): every user may make files there, and no reboot keeps them.
Its name is a random token that the master passes on to itself in its environment, so no two servers
share a file, and nobody can make it beforehand.
"""

from __future__ import annotations

import os
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from vpnws.server.peers.shared_page import SECRET_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, MutableMapping

DIRECTORY: Final = Path("/dev/shm")  # noqa: S108
FILE_VARIABLE: Final = "VPNWS_RELOAD_FILE"
"""The environment variable that names the file."""
KEY_BYTES: Final = 16
"""A key of the FDB cache is a digest, long enough that no two entries have the same one."""
MAX_CLAIMS: Final = 1 << 20
"""Claims that a file may have; more are not carried over."""
_MAGIC: Final = b"vpnws-kept-2"
_CLAIM: Final = struct.Struct(f"!{KEY_BYTES}s8sd")
_DIGEST_BYTES: Final = 16
_LENGTH: Final = struct.Struct("!I")
_HEAD_BYTES: Final = len(_MAGIC) + SECRET_BYTES + _LENGTH.size
MAX_RULES_BYTES: Final = 4 * 1024 * 1024
"""All rules together, packed; more are not carried over."""
MAX_FILE_BYTES: Final = _HEAD_BYTES + MAX_RULES_BYTES + MAX_CLAIMS * _CLAIM.size + _DIGEST_BYTES
"""The longest file that is read."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One named station's claim on a MAC."""

    key: bytes
    """The MAC and its network, as the FDB cache has them."""
    claim: bytes
    until_s: float
    """When it ends, in seconds on the machine's monotonic clock."""


@dataclass(frozen=True, slots=True)
class KeptClaims:
    """What the server before a reload has left."""

    secret: bytes
    """What its cache's keys were made with."""
    claims: tuple[Claim, ...]
    rules: bytes = b""
    """The operator's rules, packed by whoever keeps them."""


def prepare(environment: MutableMapping[str, str]) -> None:
    """Choose the name of the next reload's file; the processes that are forked inherit it."""
    environment[FILE_VARIABLE] = token_hex(16)


def write(
    environment: Mapping[str, str], secret: bytes, claims: Iterable[Claim], rules: bytes = b""
) -> None:
    """Write the file anew. Raises OSError."""
    path = _path(environment)
    if path is None:
        return
    packed = [_CLAIM.pack(claim.key, claim.claim, claim.until_s) for claim in claims]
    rules = rules if len(rules) <= MAX_RULES_BYTES else b""
    length = _LENGTH.pack(len(rules))
    data = b"".join((_MAGIC, secret, length, rules, *packed[:MAX_CLAIMS]))
    draft = path.with_name(f"{_drafts(path)}.{os.getpid()}")
    with suppress(FileNotFoundError):
        draft.unlink()
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(data + _digest(data))
        # Other processes write it too; each file is whole, and the last one knows most.
        draft.replace(path)
    except OSError:
        draft.unlink()
        raise


def remove(environment: Mapping[str, str]) -> None:
    """Remove the file, if there is one: no reload followed."""
    path = _path(environment)
    if path is not None:
        with suppress(OSError):
            path.unlink()


def _drafts(path: Path) -> str:
    """Return how the names of drafts begin.

    It does not tell the file's own name. Who knew that could make a file there first, which nobody
    else can replace in a directory such as /tmp.
    """
    return f"vpnws-{_digest(path.name.encode()).hex()}"


def _remove_drafts(path: Path) -> None:
    """Remove what processes have left that were killed while they wrote."""
    for draft in path.parent.glob(f"{_drafts(path)}.*"):
        with suppress(OSError):
            draft.unlink()


def exists(environment: Mapping[str, str]) -> bool:
    """Return whether there is a file."""
    path = _path(environment)
    return path is not None and path.exists()


def take(environment: Mapping[str, str]) -> KeptClaims | None:
    """Read and remove the file; None if there is none.

    Raises ValueError if it is broken or somebody else's, OSError if it cannot be read.
    """
    path = _path(environment)
    if path is None:
        return None
    _remove_drafts(path)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        remove(environment)
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode) or about.st_uid != os.geteuid():
            raise ValueError(f"{path} is not a file of this user")
        if about.st_size > MAX_FILE_BYTES:
            raise ValueError(f"{path} is longer than {MAX_FILE_BYTES} bytes")
        return _parse(file.read())


def _parse(data: bytes) -> KeptClaims:
    body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if not body.startswith(_MAGIC) or digest != _digest(body) or len(body) < _HEAD_BYTES:
        raise ValueError("what the server before has left cannot be read")
    (length,) = _LENGTH.unpack_from(body, _HEAD_BYTES - _LENGTH.size)
    rules, packed = body[_HEAD_BYTES : _HEAD_BYTES + length], body[_HEAD_BYTES + length :]
    if len(rules) < length or len(packed) % _CLAIM.size:
        raise ValueError("what the server before has left cannot be read")
    secret = body[len(_MAGIC) : _HEAD_BYTES - _LENGTH.size]
    claims = tuple(Claim(*parts) for parts in _CLAIM.iter_unpack(packed))
    return KeptClaims(secret, claims, rules)


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=_DIGEST_BYTES).digest()


def _path(environment: Mapping[str, str]) -> Path | None:
    token = environment.get(FILE_VARIABLE, "")
    return DIRECTORY / f"vpnws-{token}" if token.isalnum() else None

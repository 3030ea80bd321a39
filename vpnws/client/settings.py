"""What one run of the client was told, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from vpnws.client.connect.url import ServerUrl

DEFAULT_MTU_BYTES: Final = 1500


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How to know the server, and how to be known to it."""

    verify: bool = True
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """One run of the client; made by the command line, or by a test."""

    tap_name: str
    url: ServerUrl
    login: tuple[str, str] | None = field(default=None, repr=False)
    """User and password for HTTP's Basic scheme."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    bridge: str = ""
    """Bridge of this machine that the TAP joins, if any; the server is asked to allow it."""
    tls: TlsSettings = TlsSettings()
    addresses: tuple[str, ...] = ()
    """Addresses of the interface, each with its prefix length."""
    mac: bytes | None = None
    mtu_bytes: int = DEFAULT_MTU_BYTES
    offload: bool = True
    """Whether the server is offered vpnws.offload.1."""
    once: bool = False

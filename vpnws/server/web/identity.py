"""Who a station is: what the web server says about it in uwsgi variables."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeAlias

from vpnws.switch.guard.claims import ANONYMOUS

if TYPE_CHECKING:
    from vpnws.config import Settings

Environ: TypeAlias = "dict[str, Any]"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the web server says the station is."""

    remote_user: str = ""
    dn: str = ""
    remote_addr: str = ""

    def claim(self) -> bytes:
        """Return 8 bytes that identify a named station; ANONYMOUS for one without a name."""
        if not self.remote_user and not self.dn:
            return ANONYMOUS
        user, dn = (name.encode(errors="surrogateescape") for name in (self.remote_user, self.dn))
        named = len(user).to_bytes(4, "big") + user + dn
        return hashlib.blake2b(named, digest_size=8).digest()


def read_identity(environ: Environ, settings: Settings) -> Identity:
    """Return who the web server says the station is.

    Headers count only from a trusted proxy, and only if no uwsgi variable names the station.
    """
    told = Identity(
        remote_user=raw_of(environ, "REMOTE_USER"),
        dn=raw_of(environ, "HTTPS_DN") or raw_of(environ, "DN"),
        remote_addr=_unmapped(text_of(environ, "REMOTE_ADDR")),
    )
    # Only the web server can set a variable. A header beside it may come from the station: nginx
    # passes headers on unread.
    if told.remote_user or told.dn or not _is_trusted(told.remote_addr, settings):
        return told
    # A proxy appends the address that it sees. Anything before that came with the request.
    forwarded_for = text_of(environ, "HTTP_X_FORWARDED_FOR").split(",")[-1].strip()
    return Identity(
        remote_user=raw_of(environ, "HTTP_X_FORWARDED_USER"),
        dn=raw_of(environ, "HTTP_X_FORWARDED_DN"),
        remote_addr=forwarded_for or told.remote_addr,
    )


def _unmapped(address: str) -> str:
    """Return an IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) as the IPv4 address that it is."""
    return address.removeprefix("::ffff:") if "." in address else address


def _is_trusted(address: str, settings: Settings) -> bool:
    try:
        peer = ip_address(address)
    except ValueError:
        return False
    return any(peer in network for network in settings.trusted_proxies)


def text_of(environ: Environ, name: str) -> str:
    """Return a variable as text without white space around it; empty if it is not set."""
    return raw_of(environ, name).strip()


def raw_of(environ: Environ, name: str) -> str:
    """Return a variable as text: PEP 3333 gives its bytes as Latin-1, and they are read as UTF-8.

    Bytes that are not UTF-8 stay distinct, so that two different names never become the same.
    """
    value: str = environ.get(name, "")
    return value.encode("latin-1").decode("utf-8", "surrogateescape")

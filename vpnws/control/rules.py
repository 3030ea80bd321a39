"""Rules that an operator makes for identities: bans, limits for their ports, and pinned MACs."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from ipaddress import ip_address, ip_network
from math import inf
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from vpnws.control.views import Limits, Who
from vpnws.errors import VpnwsError

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

ID_BYTES: Final = 8
_KEPT_ADDRESSES: Final = 2048
"""Addresses and networks that need not be read again: all rules are held against each station."""


class RuleError(VpnwsError):
    """A rule names nobody, or an address that is none; the text says what to name."""


class Rule(Struct, frozen=True, kw_only=True, tag="rule"):
    """What holds for every station that fits; an empty field fits all."""

    user: str = ""
    dn: str = ""
    addr: str = ""
    """An address or a network of addresses."""
    network: str = ""
    limits: Limits | None = None
    """The limits of whoever fits; None bans them."""
    reason: str = ""
    by: str = ""
    until_s: float = inf
    """When the rule ends, on the machine's monotonic clock."""

    @property
    def id(self) -> str:
        """Name the rule; another one for the same identity takes its place."""
        kind = "ban" if self.limits is None else "limits"
        return _id(kind, self.user, self.dn, self.addr, self.network)

    def fits(self, who: Who, network: str) -> bool:
        """Return whether the rule holds for a station of `who` in `network`."""
        return (
            self.user in ("", who.user)
            and self.dn in ("", who.dn)
            and self.network in ("", network)
            and (not self.addr or _is_within(who.addr, self.addr))
        )

    def check(self) -> None:
        """See that the rule names somebody. Raises RuleError."""
        if not (self.user or self.dn or self.addr):
            raise RuleError("the rule would hold for everybody: name a user, a dn or an addr")
        try:
            if self.addr:
                _read_network(self.addr)
        except ValueError as error:
            raise RuleError(f"addr is not an address or a network: {error}") from error


class Pin(Struct, frozen=True, kw_only=True, tag="pin"):
    """A MAC that belongs to one identity until it is unpinned."""

    network: str
    mac: str
    user: str = ""
    dn: str = ""
    by: str = ""

    @property
    def id(self) -> str:
        """Name the pin: there is one for each MAC of a network."""
        return _id("pin", self.network, self.mac)


def _id(*words: str) -> str:
    text = "".join(f"{len(word)}:{word}" for word in words).encode(errors="replace")
    return blake2b(text, digest_size=ID_BYTES).hexdigest()


def _is_within(address: str, network: str) -> bool:
    at = _read_address(address)
    return at is not None and at in _read_network(network)


@lru_cache(_KEPT_ADDRESSES)
def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


@lru_cache(_KEPT_ADDRESSES)
def _read_network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text, strict=False)

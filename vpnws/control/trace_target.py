"""What an operator calls an end of a trace, by its form or by a prefix that says what it is."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final, NamedTuple

from vpnws.control.ports import parse_port
from vpnws.wire.ethernet import parse_mac

KINDS: Final = ("port", "user", "mac", "ip", "dn", "addr")
"""What can stand before a colon, as in vpnws-ctl."""
NAME: Final = "name"
"""A user, a DN or a TAP."""


class Target(NamedTuple):
    """What is asked for."""

    kind: str
    """One of KINDS, or NAME."""
    text: str

    @property
    def mac(self) -> bytes | None:
        """The MAC, if it is one."""
        return parse_mac(self.text) if self.kind == "mac" else None

    @property
    def is_of_station(self) -> bool:
        """Whether it may be what the web server says of a station, or a TAP's name."""
        return self.kind in (NAME, "user", "dn", "addr")


def read_target(word: str) -> Target:
    """Return what `word` means, by its prefix or its form."""
    prefix, colon, rest = word.partition(":")
    if colon and prefix in KINDS:
        return Target(prefix, _canonical(rest) if prefix in ("ip", "addr") else rest)
    if parse_port(word) is not None:
        return Target("port", word)
    if parse_mac(word) is not None:
        return Target("mac", word)
    address = _canonical(word)
    return Target("ip" if _is_address(address) else NAME, address)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _canonical(text: str) -> str:
    """Return an IP address in its shortest form; another text as it is."""
    return str(ip_address(text)) if _is_address(text) else text

"""Who leases an address: a named station, or a MAC where the web server names nobody."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from vpnws.text import MAX_VALUE_CHARACTERS, one_line

KEY_BYTES: Final = 16
"""A digest this long is never that of two names."""
NOBODY: Final = b""
"""The key of who has neither a name nor a MAC."""


@dataclass(frozen=True, slots=True)
class Who:
    """A station as leases know it: what the web server calls it, and the MAC of the host."""

    user: str = ""
    dn: str = ""
    mac: bytes = b""

    def key(self) -> bytes:
        """Return what whose leases belong together have in common; NOBODY if that is nothing.

        All hosts of a named station share its key; each host without a name has a key of its own.
        """
        if self.user or self.dn:
            user, dn = (name.encode(errors="surrogateescape") for name in (self.user, self.dn))
            named = b"name" + len(user).to_bytes(4, "big") + user + dn
        elif self.mac:
            named = b"mac" + self.mac
        else:
            return NOBODY
        return blake2b(named, digest_size=KEY_BYTES).digest()

    def name(self) -> str:
        """Return the name to show to people, as one line; empty if nobody named the station."""
        return one_line(self.user or self.dn, max_characters=MAX_VALUE_CHARACTERS)

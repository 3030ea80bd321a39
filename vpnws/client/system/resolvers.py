"""Reads which name servers this machine asks, from its /etc/resolv.conf."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from vpnws.client.janitor.machine import RESOLV_CONF

if TYPE_CHECKING:
    from pathlib import Path

MAX_FILE_BYTES: Final = 65_536
"""Of a longer /etc/resolv.conf the rest is not read."""


def name_servers(path: Path = RESOLV_CONF) -> list[str]:
    """Return the addresses of the name servers that are not this machine itself."""
    try:
        with path.open(errors="replace") as file:
            lines = file.read(MAX_FILE_BYTES).splitlines()
    except OSError:
        return []
    found = []
    for words in (line.split() for line in lines):
        if words[:1] == ["nameserver"] and len(words) > 1:
            with suppress(ValueError):
                address = ipaddress.ip_address(words[1])
                if not (address.is_loopback or address.is_link_local):
                    found.append(str(address))
    return found

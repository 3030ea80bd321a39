"""Fixed addresses: the small file that says which address is for whom alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from vpnws.errors import ConfigError
from vpnws.values import DEFAULT_NETWORK, is_network_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vpnws.lease.pool import Address, Pool
    from vpnws.lease.who import Who

MAX_FIXED: Final = 4096
"""Lines of the file that say something; with more the server does not start."""
_KINDS: Final = ("user", "dn", "mac", "nobody")
_MAC: Final = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")
_LINE: Final = "ADDRESS user NAME, ADDRESS dn DN, ADDRESS mac MAC or ADDRESS nobody"


@dataclass(frozen=True, slots=True)
class Fixed:
    """An address for one station, or for nobody: then it is left out of the pool."""

    network: str
    address: Address
    kind: str
    """What of the station is compared: user, dn or mac; or nobody."""
    name: str

    def is_for(self, who: Who) -> bool:
        """Return whether the address is for the station `who`."""
        if self.kind == "mac":
            return who.mac.hex(":") == self.name
        return self.kind != "nobody" and self.name == (who.user if self.kind == "user" else who.dn)


def read_fixed(text: str, path: str, pools: Iterable[Pool]) -> tuple[Fixed, ...]:
    """Read the text of the file `path`: a line for each address, `10.8.0.7 user alice`.

    In another network than the default one it is `blue:10.9.0.7 user alice`. What is empty or
    begins with # says nothing. Each address has to be in the subnet of a pool of its network.
    Raises ConfigError with the line and what is allowed.
    """
    subnets = {(pool.network, pool.version): pool.subnet for pool in pools}
    fixed: dict[tuple[str, Address], Fixed] = {}
    for where, words in _lines(text, path):
        one = _parse_line(where, words)
        subnet = subnets.get((one.network, one.address.version))
        if subnet is None or one.address not in subnet:
            raise ConfigError(
                f"{where}: {one.address} is in no pool of the network {one.network}: see vpnws-pool"
            )
        if (one.network, one.address) in fixed:
            raise ConfigError(f"{where}: {one.address} stands here for the second time")
        fixed[one.network, one.address] = one
    if len(fixed) > MAX_FIXED:
        raise ConfigError(
            f"{path} has {len(fixed)} addresses, and at most {MAX_FIXED} are allowed: a pool gives"
            " the same station the same address anyway"
        )
    return tuple(fixed.values())


def _lines(text: str, path: str) -> Iterator[tuple[str, list[str]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            # A DN may have spaces.
            yield f"{path}, line {number}", line.strip().split(maxsplit=2)


def _parse_line(where: str, words: list[str]) -> Fixed:
    network, address = _parse_address(where, words[0])
    kind = words[1] if len(words) > 1 else ""
    name = words[2] if len(words) > 2 else ""
    if kind not in _KINDS or bool(name) == (kind == "nobody"):
        raise ConfigError(f"{where}: {' '.join(words)!r} is not {_LINE}")
    if kind == "mac":
        name = name.lower().replace("-", ":")
        if _MAC.fullmatch(name) is None:
            raise ConfigError(f"{where}: {name!r} is not a MAC like 02:00:00:00:00:01")
    return Fixed(network, address, kind, name)


def _parse_address(where: str, text: str) -> tuple[str, Address]:
    network, colon, rest = text.partition(":")
    for name, address in ((DEFAULT_NETWORK, text), (network, rest if colon else "")):
        try:
            found = ip_address(address)
        except ValueError:
            continue
        if is_network_name(name):
            return name, found
    raise ConfigError(
        f"{where}: {text!r} is not an IP address, nor one after a network and a colon, like"
        " blue:10.9.0.7"
    )

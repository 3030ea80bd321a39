"""What a client may ask the janitor to change: typed, checked, and told as plain data."""

from __future__ import annotations

import ipaddress
from dataclasses import Field, asdict, dataclass, fields
from typing import Any, Final, TypeAlias

MAX_SERVERS: Final = 3
"""Name servers that are used, as many as glibc asks (resolv.conf(5)); further ones are left out."""
SWITCHES: Final = ("accept_ra_defrtr", "accept_ra_rt_info_max_plen", "ra_defrtr_metric")
"""What of IPv6 can be changed for a device (the kernel's ip-sysctl)."""
MAX_NUMBER: Final = 65535
"""A change with a larger number, such as an MTU, is refused."""


@dataclass(frozen=True, slots=True)
class Address:
    """The device has this address, with a prefix length."""

    cidr: str

    def __post_init__(self) -> None:
        """Raise ValueError if that is none."""
        _check_words(self.cidr)
        object.__setattr__(self, "cidr", ipaddress.ip_interface(self.cidr).with_prefixlen)


@dataclass(frozen=True, slots=True)
class Route:
    """Packets to these addresses leave through the device, by a gateway in it or directly."""

    destination: str
    gateway: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError if those are none, or one is of IPv4 and one of IPv6."""
        _check_words(self.destination, self.gateway)
        network = ipaddress.ip_network(self.destination)
        if self.gateway and ipaddress.ip_address(self.gateway).version != network.version:
            raise ValueError(f"{self.gateway} is no gateway to {self.destination}")
        object.__setattr__(self, "destination", network.with_prefixlen)


@dataclass(frozen=True, slots=True)
class Pin:
    """Packets to this address never leave through the device: they take the way without it."""

    address: str

    def __post_init__(self) -> None:
        """Raise ValueError if that is none, or one that no other way can lead to."""
        address = ipaddress.ip_address(self.address)
        if "%" in self.address or address.is_link_local or address.is_multicast:
            raise ValueError(f"{self.address} cannot be pinned")
        object.__setattr__(self, "address", str(address))


@dataclass(frozen=True, slots=True)
class Mtu:
    """The device has this MTU."""

    mtu_bytes: int

    def __post_init__(self) -> None:
        """Raise ValueError if no device can have it."""
        _check_number(self.mtu_bytes)


@dataclass(frozen=True, slots=True)
class Switch:
    """A parameter of IPv6 has this value on the device."""

    name: str
    value: int

    def __post_init__(self) -> None:
        """Raise ValueError if it is not ours to change."""
        if self.name not in SWITCHES:
            raise ValueError(f"{self.name} is not ours to change")
        _check_number(self.value)


@dataclass(frozen=True, slots=True)
class NameServers:
    """Names are looked up at these name servers."""

    servers: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise ValueError if one is no address, or there is none."""
        _check_words(*self.servers)
        servers = tuple(str(ipaddress.ip_address(each)) for each in self.servers[:MAX_SERVERS])
        if not servers:
            raise ValueError("no name server")
        object.__setattr__(self, "servers", servers)


Change: TypeAlias = "Address | Route | Pin | Mtu | Switch | NameServers"
_KINDS: Final[dict[str, type[Change]]] = {
    each.__name__: each for each in (Address, Route, Pin, Mtu, Switch, NameServers)
}
_TYPES: Final[dict[str, type]] = {"str": str, "int": int, "bool": bool, "tuple[str, ...]": tuple}


def tell(change: Change) -> dict[str, Any]:
    """Return a change as plain data, for JSON."""
    return {"kind": type(change).__name__, **asdict(change)}


def read(data: object) -> Change:
    """Return the change that `tell` told. Raises ValueError; nothing of it is trusted."""
    try:
        members = dict(data)  # type: ignore[call-overload]
        kind: type[Any] = _KINDS[members.pop("kind")]
        made: Change = kind(**{each.name: plain(members[each.name], each) for each in fields(kind)})
    except (TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"no change: {error}") from error
    return made


def plain(value: object, member: Field[Any]) -> object:
    """Return a member's value. Raises TypeError if it is of another type than it must be."""
    found = tuple(value) if isinstance(value, list) else value
    is_text = isinstance(found, tuple) and all(isinstance(each, str) for each in found)
    if type(found) is not _TYPES[str(member.type)] or (isinstance(found, tuple) and not is_text):
        raise TypeError(f"{member.name} cannot be {value!r:.50}")
    return found


def _check_words(*addresses: str) -> None:
    """Raise ValueError if one is no single word: its zone may be any text, with new lines too."""
    if any(not each.isprintable() or " " in each for each in addresses):
        raise ValueError("an address with a zone that is no word")


def _check_number(number: int) -> None:
    if type(number) is not int or not 0 <= number <= MAX_NUMBER:
        raise ValueError(f"{number!r} is not a number from 0 to {MAX_NUMBER}")

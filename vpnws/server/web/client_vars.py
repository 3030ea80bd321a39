"""What the web server wants a station to be told: the uwsgi vars VPNWS_CLIENT_*.

They grant nothing, so one that cannot be used keeps no station out: it is left out, and told of.
"""

from __future__ import annotations

from ipaddress import ip_interface
from typing import TYPE_CHECKING, Final

from vpnws.text import MAX_SENTENCE_CHARACTERS, one_line
from vpnws.wire.offer import (
    MAX_ADDRESSES,
    MAX_MTU_BYTES,
    MAX_NAME_SERVERS,
    MAX_ROUTES,
    MIN_MTU_BYTES,
    Offer,
    decode,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

CLIENT_ADDRESS: Final = "VPNWS_CLIENT_ADDRESS"
CLIENT_ROUTES: Final = "VPNWS_CLIENT_ROUTES"
CLIENT_DNS: Final = "VPNWS_CLIENT_DNS"
CLIENT_MTU: Final = "VPNWS_CLIENT_MTU"
CLIENT_NOTICE: Final = "VPNWS_CLIENT_NOTICE"
CLIENT_VARS: Final = (CLIENT_ADDRESS, CLIENT_ROUTES, CLIENT_DNS, CLIENT_MTU, CLIENT_NOTICE)
MAX_WRONG: Final = 8
"""Values of one station that are wrong and told of; further ones are only left out."""
_LISTS: Final = {
    CLIENT_ADDRESS: ("address", MAX_ADDRESSES, "an address with its prefix length, 10.8.0.7/24"),
    CLIENT_ROUTES: ("routes", MAX_ROUTES, "a subnet, 10.1.0.0/16 or 10.1.0.0/16 via 10.8.0.1"),
    CLIENT_DNS: ("dns", MAX_NAME_SERVERS, "an address, 10.8.0.1"),
}
"""Each list's field of an Offer, how many it may have, and what each item has to be."""


def read_client_vars(variables: Mapping[str, str]) -> tuple[Offer, tuple[str, ...]]:
    """Return what the station is to be told, and a sentence for each value that cannot be used.

    Lists have commas between their items. An empty variable says nothing.
    """
    wrong: list[str] = []
    address, routes, dns = (
        _read_list(name, variables.get(name, ""), wrong)
        for name in (CLIENT_ADDRESS, CLIENT_ROUTES, CLIENT_DNS)
    )
    mtu = _read_mtu(variables.get(CLIENT_MTU, ""), wrong)
    notice = one_line(variables.get(CLIENT_NOTICE, ""), max_characters=MAX_SENTENCE_CHARACTERS)
    return Offer(address, routes, dns, mtu, notice=notice), tuple(wrong[:MAX_WRONG])


def _read_list(name: str, text: str, wrong: list[str]) -> tuple[str, ...]:
    field, most, what = _LISTS[name]
    found: dict[str, None] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        good = _read_item(field, item)
        if good:
            found[good] = None
        else:
            wrong.append(f"{name} has {item!r}, which is not {what}: it is left out")
    if len(found) > most:
        wrong.append(f"{name} has {len(found)} items: those after the first {most} are left out")
    return tuple(found)[:most]


def _read_item(field: str, item: str) -> str:
    """Return `item` as a station will read it; empty if it will not."""
    read = decode(encode(Offer(**{field: (item,)})))  # type: ignore[arg-type]
    found: tuple[str, ...] = getattr(read, field)
    if not found or (field == "address" and not _is_hosts(found[0])):
        return ""
    return found[0]


def _is_hosts(text: str) -> bool:
    """Return whether one host can have an address with a prefix length."""
    address = ip_interface(text)
    ends = (address.network.network_address, address.network.broadcast_address)
    is_end = address.version == 4 and address.network.prefixlen < 31 and address.ip in ends
    is_special = address.is_multicast or address.is_unspecified or address.is_loopback
    return not is_end and not is_special


def _read_mtu(text: str, wrong: list[str]) -> int:
    if not text:
        return 0
    if text.isascii() and text.isdigit() and MIN_MTU_BYTES <= int(text[:9]) <= MAX_MTU_BYTES:
        return int(text[:9])
    wrong.append(
        f"{CLIENT_MTU} = {text!r} is not a number from {MIN_MTU_BYTES} to {MAX_MTU_BYTES}: it is"
        " left out"
    )
    return 0

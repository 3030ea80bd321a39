"""MACs and IP addresses in lists: how they sort, and how a request names a MAC."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from vpnws.control.calls import CallError
from vpnws.wire.ethernet import format_mac, is_station_address, parse_mac

if TYPE_CHECKING:
    from vpnws.control.views import AddressView, FdbView


def fdb_key(row: FdbView) -> tuple[str, str]:
    """Return where a MAC stands in the list of the FDB."""
    return row.network, row.mac


def address_key(row: AddressView) -> tuple[str, int, str, str, str, str]:
    """Return where an address stands in the list of addresses: IPv4 first, then by number."""
    ip = ip_address(row.ip)
    vlans = ".".join(map(str, row.vlans))
    return row.network, ip.version, ip.packed.hex(), vlans, row.mac, row.port


def check_mac(text: str) -> str:
    """Return a station's MAC as lists have it. Raises CallError."""
    mac = parse_mac(text)
    if mac is None or not is_station_address(mac):
        raise CallError("mac must be the address of one host, such as 02:00:00:00:00:0a")
    return format_mac(mac)

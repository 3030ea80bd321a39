"""What a DHCP client of this system tells: the script that it runs, and how its words are read."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.dhcp.client import Change
from vpnws.dhcp.grant import Grant, read_grant
from vpnws.wire.dhcp import BOOTREPLY, NO_IP, Kind, Message, Option
from vpnws.wire.dhcp_routes import Route, encode_routes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

REPORT_FD: Final = 9
"""The descriptor that the script writes to."""
MAX_REPORT_BYTES: Final = 8192
"""A longer report is not read."""
END: Final = b"\0\0"
"""What ends a report; its words have one zero byte behind them."""
SCRIPT: Final = f"""\
#!/bin/sh
# Changes nothing: it tells vpnws-client, which decides what counts.
[ "$reason" != TIMEOUT ] || exit 1
printf '%s\\0' "event=${{reason:-$1}}" \\
    "address=${{new_ip_address:-$ip}}" "mask=${{new_subnet_mask:-$subnet}}" \\
    "server=${{new_dhcp_server_identifier:-$serverid}}" \\
    "lease=${{new_dhcp_lease_time:-$lease}}" "mtu=${{new_interface_mtu:-$mtu}}" \\
    "routers=${{new_routers:-$router}}" "dns=${{new_domain_name_servers:-$dns}}" \\
    "numbers=$new_rfc3442_classless_static_routes" "routes=$staticroutes" "" >&{REPORT_FD}
"""
"""For udhcpc, which passes the event as its argument, and for dhclient, as a variable."""
_HAVING: Final = ("bound", "renew", "rebind", "reboot")
_LOSING: Final = {"deconfig": Change.REFUSED, "fail": Change.ENDED, "expire": Change.ENDED}


class Report(NamedTuple):
    """An event: an address is there, or is gone."""

    grant: Grant | None
    change: Change | None
    """Why it is gone; None for an event that says nothing of the address."""


def read_report(data: bytes) -> Report:
    """Read a report without its end. It is a stranger's text, and raises nothing."""
    words = data.decode("ascii", "replace").split("\0")
    said = dict(word.partition("=")[::2] for word in words)
    event = said.get("event", "").lower()
    if event in _LOSING:
        return Report(None, _LOSING[event])
    if event not in _HAVING:
        return Report(None, None)
    ip = _packed(said.get("address", ""))[:4] or NO_IP
    message = Message(BOOTREPLY, Kind.ACK, 0, bytes(6), yiaddr=ip, options=_options(said))
    # The answer itself has been judged by the client that got it; its sender's MAC is not told.
    return Report(read_grant(message, b""), None)


def _options(said: Mapping[str, str]) -> dict[int, bytes]:
    """Return a report's words as the options that they come from."""
    readers: dict[Option, tuple[str, Callable[[str], bytes]]] = {
        Option.SUBNET_MASK: ("mask", _packed),
        Option.SERVER_ID: ("server", _packed),
        Option.LEASE_S: ("lease", lambda text: _number(text, 4)),
        Option.MTU: ("mtu", lambda text: _number(text, 2)),
        Option.ROUTERS: ("routers", _packed),
        Option.DNS: ("dns", _packed),
        Option.CLASSLESS_ROUTES: ("numbers", _bytes),
    }
    found = {int(code): read(said.get(name, "")) for code, (name, read) in readers.items()}
    if said.get("routes"):
        found[Option.CLASSLESS_ROUTES] = encode_routes(_pairs(said["routes"]))
    return {code: value for code, value in found.items() if value}


def _packed(text: str) -> bytes:
    """Return addresses, separated by blanks; empty if one is none."""
    try:
        return b"".join(IPv4Address(word).packed for word in text.split())
    except ValueError:
        return b""


def _number(text: str, size: int) -> bytes:
    is_number = text.isascii() and text.isdigit() and len(text) <= 10
    return int(text).to_bytes(size) if is_number and int(text) < 1 << 8 * size else b""


def _bytes(text: str) -> bytes:
    """Return option 121 as dhclient writes it: a number for each byte."""
    try:
        return bytes(map(int, text.split()))
    except ValueError:
        return b""


def _pairs(text: str) -> list[Route]:
    """Return option 121 as udhcpc writes it: networks and routers in turn."""
    words = text.split()
    try:
        return [
            Route(IPv4Network(network, strict=False), IPv4Address(router))
            for network, router in zip(words[::2], words[1::2], strict=True)
        ]
    except ValueError:
        return []

"""Options of the device: its MAC, its MTU, the bridge that it joins."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from vpnws.client.settings import DEFAULT_MTU_BYTES
from vpnws.errors import ConfigError
from vpnws.tap.linux import is_device_name
from vpnws.tap.opener import Kind, kind_of
from vpnws.wire.ethernet import is_station_address, parse_mac

if TYPE_CHECKING:
    import argparse

TITLE: Final = "the device"
MIN_MTU_BYTES: Final = 68
"""The smallest MTU of IPv4 (RFC 791); a lower `--mtu` is refused."""
MAX_MTU_BYTES: Final = 65521
"""Together with an Ethernet header, the 65,535 bytes that Linux allows a TAP; a higher `--mtu` is
refused."""
_INTERFACE: Final = ("address", "dhcp", "route", "default_route", "dns", "broadcast", "bridge")
_CANNOT: Final = {
    Kind.GUEST: (
        (*_INTERFACE, "persist"),
        "this machine has no network interface of it, so do it in the guest",
    ),
    Kind.BSD: (
        _INTERFACE,
        "the client does it by iproute2, which only Linux has; use ifconfig and route",
    ),
}
"""The options that a device has no use for, by its kind, and what to do instead."""


def add(group: argparse._ArgumentGroup) -> None:
    """Add these options to the help."""
    group.add_argument(
        "--mac",
        metavar="MAC",
        help="its MAC (default: one that it keeps for this machine, device, server and user)",
    )
    group.add_argument(
        "--mtu",
        metavar="BYTES",
        default=str(DEFAULT_MTU_BYTES),
        help="its MTU (default: %(default)s; 1486 if C vpn-ws clients are in the network)",
    )
    group.add_argument(
        "--bridge",
        metavar="BR",
        help="put it into the bridge BR of this machine, and ask the server to accept the machines"
        " behind BR too: only VPNWS_BRIDGE=on in the web server allows it",
    )
    group.add_argument(
        "--persist",
        action="store_true",
        help="leave the device there when the program ends, as `ip tuntap add` makes it",
    )


def check_device(options: argparse.Namespace) -> None:
    """Refuse what the device of these options cannot do, and what can be no device.

    Raises ConfigError.
    """
    kind = kind_of(options.tap)
    if kind not in _CANNOT:
        return
    names, sentence = _CANNOT[kind]
    for name in names:
        if getattr(options, name, None):
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{option} cannot be done with {options.tap}: {sentence}")


def read_bridge(text: str | None) -> str:
    """Return what --bridge says, empty for none. Raises ConfigError."""
    if text is None:
        return ""
    if not is_device_name(text):
        raise ConfigError(f"--bridge {text!r} cannot name a bridge of this machine, like br0")
    return text


def read_mac(text: str | None) -> bytes | None:
    """Return what --mac says. Raises ConfigError."""
    if text is None:
        return None
    mac = parse_mac(text)
    if mac is None or not is_station_address(mac):
        raise ConfigError(
            f"--mac {text!r} is not the MAC of a station, like 02:00:00:00:00:0a"
            " (the first byte must be even)"
        )
    return mac


def read_mtu(text: str) -> int:
    """Return what --mtu says, in bytes. Raises ConfigError."""
    mtu_bytes = int(text) if re.fullmatch("[0-9]{1,5}", text) else 0
    if not MIN_MTU_BYTES <= mtu_bytes <= MAX_MTU_BYTES:
        raise ConfigError(f"--mtu {text!r} is not a number from {MIN_MTU_BYTES} to {MAX_MTU_BYTES}")
    return mtu_bytes

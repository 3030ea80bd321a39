"""Announces an address of a device to the network that the device leads to."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress

from vpnws.tap import netdevice
from vpnws.tap.addresses import forwards_ipv6
from vpnws.wire.announce import announcements


def announce(device: str, cidr: str) -> None:
    """Say in the network behind `device` that it has the address `cidr`.

    Others may remember who had the address before: a leased one is somebody else's by turns. The
    kernel announces an address only when its device comes up. It raises nothing.
    """
    with suppress(OSError, AttributeError):
        found = netdevice.ask(device)
        if found is None or not found.is_up:
            return
        packed = ipaddress.ip_interface(cidr).packed
        frames = announcements(found.mac, [packed], is_router=forwards_ipv6(device))
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind((device, 0))
            for frame in frames:
                sock.send(frame)

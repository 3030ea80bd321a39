"""Reads which IP addresses a network device of our own namespace has; it needs no privileges."""

from __future__ import annotations

import array
import fcntl
import socket
import struct
from pathlib import Path
from typing import Final

from vpnws.tap.netdevice import IFREQ, name_in

MAX_ADDRESSES: Final = 256
"""IPv4 addresses that are read, of all devices together; further ones are not announced."""
_SIOCGIFCONF: Final = 0x8912
_CONF: Final = struct.Struct("@iP")
_ADDRESS: Final = slice(20, 24)
"""Where the address is in a struct ifreq with a struct sockaddr_in."""
_IPV6: Final = Path("/proc/thread-self/net/if_inet6")


def addresses_of(device: str) -> list[bytes]:
    """Return the IPv4 and IPv6 addresses of `device`, as 4 or 16 bytes each."""
    return [address for name, address in (*_ipv4(), *_ipv6()) if name == device]


def forwards_ipv6(device: str) -> bool:
    """Return whether this machine is a router for IPv6 on `device`."""
    try:
        return Path(f"/proc/sys/net/ipv6/conf/{device}/forwarding").read_text().strip() != "0"
    except OSError:
        return False


def _ipv4() -> list[tuple[str, bytes]]:
    """Ask for the addresses of all devices (netdevice(7))."""
    room = array.array("B", bytes(MAX_ADDRESSES * IFREQ.size))
    at, size = room.buffer_info()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, _SIOCGIFCONF, _CONF.pack(size, at))
    used = room.tobytes()[: _CONF.unpack(answer)[0]]
    entries = [used[start : start + IFREQ.size] for start in range(0, len(used), IFREQ.size)]
    # An address may have a label of its own, such as eth0:1.
    return [(name_in(entry).partition(":")[0], entry[_ADDRESS]) for entry in entries]


def _ipv6() -> list[tuple[str, bytes]]:
    """Read the kernel's list: address, index, prefix, scope, flags and device in each line."""
    try:
        lines = [line.split() for line in _IPV6.read_text().splitlines()]
    except OSError:
        return []
    return [(words[5], bytes.fromhex(words[0])) for words in lines]

"""Builds frames in which hosts and DHCP servers tell of IP addresses, each as real ones send it."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from .frames import (
    ADVERTISEMENT,
    ARP_REPLY,
    ARP_REQUEST,
    DHCP_ACK,
    DHCP_CLIENT_PORT,
    DHCP_SERVER_PORT,
    SOLICITATION,
    Addresses,
    arp,
    ipv4,
    neighbor,
    udp,
)

BROADCAST: Final = b"\xff" * 6
ALL_NODES: Final = bytes.fromhex("333300000001")
DECLINE, NAK, RELEASE = 4, 6, 7
"""More DHCP message types (RFC 2132 9.6)."""
_COOKIE: Final = bytes.fromhex("63825363")


def asks_arp(mac: bytes, ip: str, target: str = "10.9.9.9") -> bytes:
    """Return an ARP request: the host with `mac` and `ip` asks for another."""
    return arp(ARP_REQUEST, (mac, ip), (bytes(6), target), macs=BROADCAST + mac)


def answers_arp(mac: bytes, ip: str, asker: bytes) -> bytes:
    """Return an ARP reply, which goes to the asker alone."""
    return arp(ARP_REPLY, (mac, ip), (asker, "10.9.9.9"), macs=asker + mac)


def announces_arp(mac: bytes, ip: str) -> bytes:
    """Return a gratuitous ARP request: sender and target are the same (RFC 5227 3)."""
    return arp(ARP_REQUEST, (mac, ip), (bytes(6), ip), macs=BROADCAST + mac)


def probes_arp(mac: bytes, ip: str) -> bytes:
    """Return an ARP probe: does anybody have `ip`? The sender has no address yet (RFC 5227 2.1)."""
    return arp(ARP_REQUEST, (mac, "0.0.0.0"), (bytes(6), ip), macs=BROADCAST + mac)


def solicits(mac: bytes, ip: str, target: str = "fd00::99") -> bytes:
    """Return a neighbor solicitation from `ip` for `target`."""
    group = IPv6Address(target).packed[-3:]
    to = str(IPv6Address(bytes.fromhex("ff0200000000000000000001ff") + group))
    macs = b"\x33\x33\xff" + group + mac
    return neighbor(SOLICITATION, target, mac, addresses=(ip, to), macs=macs)


def detects_duplicates(mac: bytes, ip: str) -> bytes:
    """Return the solicitation of duplicate address detection: its source is :: (RFC 4862 5.4.2)."""
    macs = b"\x33\x33\xff" + IPv6Address(ip).packed[-3:] + mac
    return neighbor(SOLICITATION, ip, addresses=("::", "ff02::1"), macs=macs)


def advertises(mac: bytes, ip: str, to: bytes = ALL_NODES) -> bytes:
    """Return a neighbor advertisement of `ip`, to all or to one host."""
    return neighbor(ADVERTISEMENT, ip, mac, addresses=(ip, "ff02::1"), macs=to + mac)


def acknowledges(
    client: bytes,
    ip: str,
    lease_s: int = 3600,
    *,
    server: bytes,
    to: bytes = b"",
    kind: int = DHCP_ACK,
) -> bytes:
    """Return a DHCP server's answer that gives `client` an address (RFC 2131 4.3.1)."""
    options = bytes((53, 1, kind, 54, 4, 10, 0, 0, 1, 51, 4)) + lease_s.to_bytes(4, "big")
    message = _dhcp(2, client, yiaddr=ip, options=options)
    ports = DHCP_SERVER_PORT, DHCP_CLIENT_PORT
    ends = "10.0.0.1", ip
    return _in_frame(message, ports, ends, (to or client) + server)


def gives_up(client: bytes, ip: str, *, server: bytes, kind: int = RELEASE) -> bytes:
    """Return a client's DHCPRELEASE, or its DHCPDECLINE (RFC 2131 4.4.6, 4.4.4)."""
    options = bytes((53, 1, kind))
    if kind == DECLINE:
        options += b"\x32\x04" + IPv4Address(ip).packed
    ciaddr = ip if kind == RELEASE else "0.0.0.0"
    message = _dhcp(1, client, ciaddr=ciaddr, options=options)
    ports = DHCP_CLIENT_PORT, DHCP_SERVER_PORT
    return _in_frame(message, ports, (ciaddr, "10.0.0.1"), server + client)


def _dhcp(
    op: int,
    client: bytes,
    *,
    ciaddr: str = "0.0.0.0",
    yiaddr: str = "0.0.0.0",
    options: bytes = b"",
) -> bytes:
    """Return a DHCP message with some padding between its options (RFC 2131 2)."""
    head = struct.pack(">BBBBIHH", op, 1, 6, 0, 0xABCD, 0, 0)
    ends = IPv4Address(ciaddr).packed + IPv4Address(yiaddr).packed + bytes(8)
    return head + ends + client.ljust(16 + 64 + 128, b"\0") + _COOKIE + b"\0" + options + b"\xff"


def _in_frame(message: bytes, ports: tuple[int, int], ends: Addresses, macs: bytes) -> bytes:
    return ipv4(udp(message.ljust(300, b"\0"), ports), ports=(), addresses=ends, macs=macs)

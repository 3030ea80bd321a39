"""What a stranger's offer may do to this machine, and what is left out of it."""

from __future__ import annotations

import sys
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from vpnws.client.connect.url import parse_url
from vpnws.client.settings import ClientSettings, NetworkSettings
from vpnws.client.system.caution import Caution
from vpnws.client.system.near import Near, near_networks
from vpnws.wire.offer import Offer

if TYPE_CHECKING:
    from pathlib import Path

URL = parse_url("wss://vpn.example.org/vpn")
LAN = [Near(ip_network("192.168.1.0/24"), "eth0"), Near(ip_network("fd01::/64"), "wlan0")]
IN_USE = ("203.0.113.5", "9.9.9.9")
DEFAULT = ("address", "mtu")


def sifted(
    offer: Offer,
    *,
    accept: tuple[str, ...] = DEFAULT,
    own: tuple[str, ...] = (),
    all_: bool = False,
) -> tuple[Offer, list[str]]:
    """Return what is taken of `offer`, and what is said."""
    network = NetworkSettings(accept=accept, default_route=all_)
    settings = ClientSettings("tap0", URL, addresses=own, network=network)
    said: list[str] = []
    return Caution(settings, "tap0", lambda _: LAN).sift(offer, IN_USE, said.append), said


@pytest.mark.parametrize(
    "address",
    [
        *("10.8.0.5/24", "10.8.0.5/8", "10.8.0.5/32", "100.64.0.9/10", "169.254.3.4/16"),
        *("198.51.100.7/24", "fd08::5/64", "2001:db8::7/64", "fe80::1/64"),
    ],
)
def test_an_ordinary_address_is_taken(address: str) -> None:
    assert sifted(Offer(address=(address,))) == (Offer(address=(address,)), [])


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("64.0.0.1/2", "64.0.0.0/2 is far more than one network"),
        ("10.0.0.1/1", "0.0.0.0/1 is far more than one network"),
        ("8.0.0.1/8", "8.0.0.0/8 is far more than one network"),
        ("2000::1/3", "2000::/3 is far more than one network"),
        ("192.168.1.1/32", "192.168.1.0/24 is reached through eth0"),
        ("192.168.1.200/25", "192.168.1.0/24 is reached through eth0"),
        ("192.168.0.1/16", "192.168.1.0/24 is reached through eth0"),
        ("fd01::1/128", "fd01::/64 is reached through wlan0"),
        ("9.9.9.9/32", "9.9.9.9 is reached without the VPN"),
        ("203.0.113.1/24", "203.0.113.5 is reached without the VPN"),
    ],
)
def test_one_that_takes_over_what_is_reached_without_the_vpn_is_left_out(
    address: str, reason: str
) -> None:
    offer = Offer(address=(address, "10.8.0.5/24"), mtu=1400)
    taken, said = sifted(offer)
    assert taken == Offer(address=("10.8.0.5/24",), mtu=1400)
    assert len(said) == 1
    assert reason in said[0]
    assert f"--address {address}" in said[0]
    # Who lets the server decide where packets go, or has named it, means it.
    assert sifted(offer, accept=(*DEFAULT, "routes")) == (offer, [])
    assert sifted(offer, own=(address,)) == (offer, [])


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0/24", "10.8.0.5/0", "127.0.0.1/8", "224.0.0.1/24", "255.255.255.255/32"),
        *("240.0.0.1/24", "::1/128", "ff02::1/64", "::/64", "2001:db8::1/0"),
    ],
)
def test_one_that_no_host_can_have_is_never_taken(address: str) -> None:
    taken, said = sifted(Offer(address=(address,)), accept=(*DEFAULT, "routes"))
    assert taken.address == ()
    assert "which no station can have" in said[0]


@pytest.mark.parametrize(
    "route", ["0.0.0.0/1", "128.0.0.0/1 via 10.8.0.1", "64.0.0.0/2", "2000::/3"]
)
def test_parts_of_a_default_route_are_one(route: str) -> None:
    offer = Offer(routes=(route, "10.9.0.0/16", "0.0.0.0/0 via 10.8.0.1"))
    taken, said = sifted(offer, accept=("routes",))
    assert taken.routes == offer.routes[1:]
    assert "--default-route applies it" in said[0]
    assert sifted(offer, accept=("routes",), all_=True) == (offer, [])


def test_whole_private_ranges_are_ordinary_routes() -> None:
    offer = Offer(routes=("fc00::/7", "10.0.0.0/8"))
    assert sifted(offer, accept=("routes",)) == (offer, [])


def _ipv4_line(device: str, network: str, flags: int) -> str:
    net = ip_network(network)
    address, mask = (
        f"{int.from_bytes(each.packed, sys.byteorder):08X}"
        for each in (net.network_address, net.netmask)
    )
    return f"{device}\t{address}\t00000000\t{flags:04X}\t0\t0\t0\t{mask}\t0\t0\t0\n"


def test_the_kernels_tables_are_read(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(
        "Iface\tDestination\tGateway\n"
        + _ipv4_line("eth0", "0.0.0.0/0", 3)
        + _ipv4_line("eth0", "192.168.1.0/24", 1)
        + _ipv4_line("tap0", "10.8.0.0/24", 1)
        + _ipv4_line("tun0", "128.0.0.0/1", 3)
        + _ipv4_line("*", "203.0.113.5/32", 0x205)
        + "cut off\n"
    )
    zero, tail = 32 * "0", "00000100 00000001 00000000"
    (tmp_path / "ipv6_route").write_text(
        f"fd010000000000000000000000000000 40 {zero} 00 {zero} {tail} 00000001    wlan0\n"
        f"fe800000000000000000000000000000 40 {zero} 00 {zero} {tail} 00000001    wlan0\n"
        f"ff000000000000000000000000000000 08 {zero} 00 {zero} {tail} 00000001    wlan0\n"
        f"fd010000000000000000000000000009 80 {zero} 00 {zero} {tail} 80200001       lo\n"
        f"{zero} 00 {zero} 00 {zero} {tail} 00000003    wlan0\n"
    )
    assert near_networks("tap0", tmp_path) == LAN
    assert near_networks("tap0", tmp_path / "none") == []

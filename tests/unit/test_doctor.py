"""The doctor's checks over made-up hosts: each finds what it is for, and nothing on a good host."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.sources import members
from vpnws.config import Settings
from vpnws.doctor.examine import MAX_FINDINGS, examine
from vpnws.doctor.facts import Bridge, Device, Facts, ForwardChain, Nginx, Pass
from vpnws.doctor.findings import Name

if TYPE_CHECKING:
    from vpnws.control.views import FindingView


def device(name: str, **facts: object) -> Device:
    return replace(Device(name=name), **facts)  # type: ignore[arg-type]


BRIDGED = Settings(mode="bridge", tap=(("default", "vpn0"),), max_frame_bytes=65535)
ROUTED = Settings(mode="router", tap=(("default", "vpn0"),))
GOOD_BRIDGE = Facts(
    settings=BRIDGED,
    devices={
        each.name: each
        for each in (
            device("vpn0", kind="tun", master="br0", port_state="forwarding", rx_frames=5000),
            device("eth1", master="br0", port_state="forwarding", tx_frames=5000),
            device("br0", kind="bridge", bridge=Bridge(), addresses=("10.8.0.1/24",)),
            device("lo", addresses=("127.0.0.1/8",)),
        )
    },
    learned={"eth1": 3, "vpn0": 2},
    sysctls={"net.bridge.bridge-nf-call-iptables": 0, "net.core.somaxconn": 4096},
    forward=(ForwardChain("ip", "filter", "FORWARD", "drop"),),
    nginx=Nginx(
        processes=2,
        connections=1024,
        max_fds=4096,
        passes=(Pass("/vpn", "uwsgi_read_timeout", 90.0),),
    ),
)
GOOD_ROUTER = Facts(
    settings=ROUTED,
    devices={"vpn0": device("vpn0", kind="tun", addresses=("10.8.0.1/24", "fd08::1/64"))},
    sysctls={
        "net.ipv4.ip_forward": 1,
        "net.ipv6.conf.all.forwarding": 1,
        "net.ipv4.conf.all.rp_filter": 0,
        "net.ipv4.conf.vpn0.rp_filter": 2,
        "net.netfilter.nf_conntrack_count": 10,
        "net.netfilter.nf_conntrack_max": 65536,
    },
)


def with_device(facts: Facts, name: str, **changed: object) -> Facts:
    old = facts.devices.get(name, Device(name=name))
    return replace(facts, devices={**facts.devices, name: replace(old, **changed)})  # type: ignore[arg-type]


def with_sysctl(facts: Facts, name: str, value: int) -> Facts:
    return replace(facts, sysctls={**facts.sysctls, name: value})


def with_setting(facts: Facts, **changed: object) -> Facts:
    return replace(facts, settings=replace(facts.settings, **changed))  # type: ignore[arg-type]


def with_nginx(**changed: object) -> Facts:
    assert GOOD_BRIDGE.nginx is not None
    return replace(GOOD_BRIDGE, nginx=replace(GOOD_BRIDGE.nginx, **changed))  # type: ignore[arg-type]


def filtered(facts: Facts = GOOD_BRIDGE, kind: str = "ip") -> Facts:
    return with_sysctl(facts, f"net.bridge.bridge-nf-call-{kind}tables", 1)


SICK: list[tuple[str, Facts, Name, str, str]] = [
    ("no-bridge", with_device(GOOD_BRIDGE, "vpn0", master=""), Name.NO_BRIDGE, "error", "vpn0"),
    ("no-port", with_device(GOOD_BRIDGE, "eth1", master=""), Name.NO_LAN, "warning", "br0"),
    ("nic-down", with_device(GOOD_BRIDGE, "eth1", is_up=False), Name.NO_LAN, "error", "eth1"),
    ("bridge-down", with_device(GOOD_BRIDGE, "br0", is_up=False), Name.NO_LAN, "error", "br0"),
    ("nf", filtered(), Name.BRIDGE_NETFILTER, "error", "ip filter FORWARD"),
    (
        "nf-by-the-bridge",
        with_device(GOOD_BRIDGE, "br0", bridge=Bridge(filters=frozenset({"ip"}))),
        Name.BRIDGE_NETFILTER,
        "error",
        "ip filter",
    ),
    (
        "nf-inet",
        replace(filtered(kind="ip6"), forward=(ForwardChain("inet", "fw", "fwd", "drop"),)),
        Name.BRIDGE_NETFILTER,
        "error",
        "inet fw fwd",
    ),
    (
        "nf-arp",
        replace(filtered(kind="arp"), forward=(ForwardChain("arp", "filter", "FORWARD", "drop"),)),
        Name.BRIDGE_NETFILTER,
        "error",
        "arp filter",
    ),
    ("nf-unknown", replace(filtered(), forward=None), Name.BRIDGE_NETFILTER, "warning", "root"),
    (
        "stp",
        with_device(GOOD_BRIDGE, "br0", bridge=Bridge(has_stp=True, forward_delay_s=15.0)),
        Name.STP,
        "warning",
        "30 s",
    ),
    (
        "tap-learning",
        with_device(GOOD_BRIDGE, "vpn0", port_state="learning"),
        Name.PORT_STATE,
        "warning",
        "vpn0 is learning",
    ),
    (
        "nic-blocking",
        with_device(GOOD_BRIDGE, "eth1", port_state="blocking"),
        Name.PORT_STATE,
        "warning",
        "eth1 is blocking",
    ),
    (
        "silent-nic",
        replace(GOOD_BRIDGE, learned={"vpn0": 2}),
        Name.FOREIGN_MACS,
        "warning",
        "heard nobody at eth1",
    ),
    (
        "esxi",
        replace(GOOD_BRIDGE, vendor="VMware, Inc. VMware7,1"),
        Name.FOREIGN_MACS,
        "info",
        "VMware",
    ),
    (
        "enslaved",
        with_device(GOOD_BRIDGE, "eth1", addresses=("192.0.2.7/24",)),
        Name.ENSLAVED_ADDRESS,
        "warning",
        "192.0.2.7/24",
    ),
    ("jumbo-lan", with_device(GOOD_BRIDGE, "eth1", mtu_bytes=9000), Name.MTU, "warning", "9000"),
    ("small-lan", with_device(GOOD_BRIDGE, "eth1", mtu_bytes=1400), Name.MTU, "warning", "1400"),
    (
        "no-ipv6",
        with_device(GOOD_ROUTER, "vpn0", mtu_bytes=1279),
        Name.MTU,
        "warning",
        "IPv6 needs 1280",
    ),
    (
        "max-frame",
        with_setting(with_device(GOOD_ROUTER, "vpn0", mtu_bytes=1497), max_frame_bytes=1514),
        Name.MTU,
        "warning",
        "takes 1496",
    ),
    (
        "no-gateway",
        with_device(GOOD_ROUTER, "vpn0", addresses=()),
        Name.NO_ADDRESS,
        "warning",
        "vpn0",
    ),
    ("ipv4", with_sysctl(GOOD_ROUTER, "net.ipv4.ip_forward", 0), Name.IP_FORWARD, "error", "IPv4"),
    (
        "ipv6",
        with_sysctl(GOOD_ROUTER, "net.ipv6.conf.all.forwarding", 0),
        Name.IP_FORWARD,
        "error",
        "IPv6",
    ),
    (
        "rp-filter",
        with_sysctl(GOOD_ROUTER, "net.ipv4.conf.vpn0.rp_filter", 1),
        Name.RP_FILTER,
        "info",
        "vpn0",
    ),
    (
        "conntrack",
        with_sysctl(GOOD_ROUTER, "net.netfilter.nf_conntrack_count", 60000),
        Name.CONNTRACK,
        "warning",
        "60000",
    ),
    ("few-files", replace(GOOD_BRIDGE, max_fds=1087), Name.FEW_FILES, "warning", "1088"),
    (
        "few-files-native",
        with_setting(replace(GOOD_BRIDGE, max_fds=2111), receiver="native"),
        Name.FEW_FILES,
        "warning",
        "2112",
    ),
    ("backlog", replace(GOOD_BRIDGE, backlog=51), Name.BACKLOG, "info", "51 connections"),
    ("connections", with_nginx(connections=1023), Name.NGINX_CONNECTIONS, "warning", "2046"),
    ("one-process", with_nginx(processes=1), Name.NGINX_CONNECTIONS, "warning", "1024"),
    ("files", with_nginx(max_fds=1000), Name.NGINX_FILES, "warning", "1000"),
    (
        "files-by-default",
        with_nginx(max_fds=None, connections=4096),
        Name.NGINX_FILES,
        "warning",
        "1024",
    ),
    (
        "timeout",
        with_nginx(passes=(Pass("/vpn", "uwsgi_read_timeout", 25.0),)),
        Name.NGINX_TIMEOUT,
        "warning",
        "/vpn",
    ),
    ("unseen", replace(GOOD_BRIDGE, unseen=("ip is missing",)), Name.UNSEEN, "info", "ip is"),
]
"""What was made sick, the facts, and what must be found: name, severity, words of the sentence."""


@pytest.mark.parametrize("good", [Facts(), GOOD_BRIDGE, GOOD_ROUTER], ids=["switch", "br", "rt"])
def test_a_good_host_is_well(good: Facts) -> None:
    assert examine(good) == ()


@pytest.mark.parametrize("sick", SICK, ids=lambda sick: sick[0])
def test_what_is_wrong_is_found_and_nothing_else(
    sick: tuple[str, Facts, Name, str, str],
) -> None:
    _, facts, name, severity, words = sick
    (found,) = examine(facts)
    assert (found.name, found.severity) == (name.value, severity)
    assert words in found.sentence
    assert found.remedy


def test_every_name_has_a_check_that_finds_it() -> None:
    assert {name for _, _, name, _, _ in SICK} == set(Name)


def test_every_name_says_what_it_means() -> None:
    assert all(member.says.endswith(".") for member in members("Name", "vpnws/doctor"))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (filtered(), "sysctl -w net.bridge.bridge-nf-call-iptables=0"),
        (
            with_device(GOOD_BRIDGE, "br0", bridge=Bridge(filters=frozenset({"ip"}))),
            "ip link set br0 type bridge nf_call_iptables 0",
        ),
        (replace(GOOD_BRIDGE, vendor="VMware, Inc."), "forged transmits and promiscuous"),
        (replace(GOOD_BRIDGE, vendor="Amazon EC2 t3"), "vpnws-mode = router"),
        (with_nginx(processes=1), "worker_connections 2048;"),
        (with_device(GOOD_BRIDGE, "eth1", mtu_bytes=9000), "ip link set vpn0 mtu 9000"),
    ],
    ids=["sysctl", "bridge", "esxi", "cloud", "nginx", "mtu"],
)
def test_the_remedy_is_the_command_for_this_host(facts: Facts, words: str) -> None:
    (found,) = examine(facts)
    assert words in found.remedy


class TestWhatIsNoFault:
    """Near to a fault, and none."""

    @pytest.mark.parametrize(
        "facts",
        [
            pytest.param(
                replace(filtered(), forward=(ForwardChain("ip", "f", "FORWARD", "accept"),)),
                id="the chain accepts",
            ),
            pytest.param(
                replace(filtered(), forward=(ForwardChain("ip6", "f", "FORWARD", "drop"),)),
                id="the chain is another family's",
            ),
            pytest.param(replace(GOOD_BRIDGE, forward=None), id="chains unseen, nothing handed"),
            pytest.param(
                with_device(GOOD_BRIDGE, "br0", bridge=Bridge(has_stp=True, forward_delay_s=0.0)),
                id="spanning tree without a delay",
            ),
            pytest.param(
                with_device(replace(GOOD_BRIDGE, learned={}), "vpn0", rx_frames=99),
                id="stations have hardly sent anything",
            ),
            pytest.param(
                with_sysctl(
                    with_device(GOOD_ROUTER, "vpn0", addresses=("10.8.0.1/24",)),
                    "net.ipv6.conf.all.forwarding",
                    0,
                ),
                id="IPv6 is not forwarded and not used",
            ),
            pytest.param(
                with_sysctl(GOOD_BRIDGE, "net.ipv4.ip_forward", 0), id="a bridge does not route"
            ),
            pytest.param(with_nginx(connections=1, passes=()), id="nginx serves something else"),
        ],
    )
    def test_is_not_found(self, facts: Facts) -> None:
        assert examine(facts) == ()


def test_the_worst_comes_first_and_the_list_is_bounded() -> None:
    facts = with_sysctl(
        replace(GOOD_BRIDGE, unseen=tuple(f"sentence {n}" for n in range(2 * MAX_FINDINGS))),
        "net.bridge.bridge-nf-call-iptables",
        1,
    )
    found: tuple[FindingView, ...] = examine(facts)
    assert found[0].severity == "error"
    assert len(found) == MAX_FINDINGS

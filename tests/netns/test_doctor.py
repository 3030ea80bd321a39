"""The doctor looks at real hosts: bridges, addresses, sysctls and firewalls in a namespace."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.netns import Namespace, make_bridge
from tests.support.prerequisites import require, require_tap
from tests.support.unprivileged import NOBODY, TAP, add_device, as_seen_by_users
from tests.support.uwsgi import REPOSITORY
from vpnws.config import Settings
from vpnws.doctor.examine import examine
from vpnws.doctor.host import look

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.netns

BRIDGED = Settings(mode="bridge", tap=(("default", TAP),))
ROUTED = Settings(mode="router", tap=(("default", TAP),))
UNKNOWN_ELSEWHERE = {"foreign-macs"}
"""Depends on the machine that runs the test."""
SCRIPT = """
import json
from vpnws.config import Settings
from vpnws.doctor.examine import examine
from vpnws.doctor.host import look
settings = Settings(mode="bridge", tap=(("default", "vpn0"),))
found = examine(look(settings, workers=2, backlog=100, max_fds=65536))
print(json.dumps([(each.name, each.severity) for each in found]))
"""


def findings(namespace: Namespace, settings: Settings = BRIDGED) -> set[tuple[str, str]]:
    """Return names and severities of what is found, as root sees it."""
    facts = namespace.call(
        lambda: look(settings, workers=2, backlog=100, max_fds=65536, nginx="/nowhere")
    )
    assert facts.unseen == ()
    found = {(each.name, each.severity) for each in examine(facts)}
    return {pair for pair in found if pair[0] not in UNKNOWN_ELSEWHERE}


@pytest.fixture
def host(namespace: Namespace) -> Namespace:
    """Return a host whose bridge is well: TAP and NIC are its ports."""
    require_tap()
    require("ip", "bridge", "nft", "iptables-legacy", "sysctl")
    add_device(namespace)
    namespace.ip("link add eth1 type veth peer name lan0")
    namespace.ip("link set lan0 up")
    namespace.ip("link set eth1 up")
    make_bridge(namespace, TAP, "eth1")
    namespace.run(["sysctl", "-qw", *(f"net.bridge.bridge-nf-call-{k}tables=0" for k in KINDS)])
    return namespace


KINDS = ("ip", "ip6", "arp")


def test_a_bridge_step_by_step(host: Namespace) -> None:
    """Each fault is made, found, and gone when it has been undone."""
    assert findings(host) == set()
    host.run(["sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1"])
    assert findings(host) == set(), "nothing drops what is handed over"
    host.run(["nft", "add table ip filter"])
    host.run(
        ["nft", "add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }"]
    )
    assert findings(host) == {("bridge-netfilter", "error")}
    host.run(["nft", "delete table ip filter"])
    host.run(["iptables-legacy", "-P", "FORWARD", "DROP"])
    assert findings(host) == {("bridge-netfilter", "error")}, "the older tables count too"
    host.run(["sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0"])
    assert findings(host) == set()
    host.ip("link set br0 type bridge nf_call_iptables 1")
    assert findings(host) == {("bridge-netfilter", "error")}, "the bridge's own switch counts too"
    host.ip("link set br0 type bridge nf_call_iptables 0")

    host.ip("link set br0 type bridge forward_delay 1500 stp_state 1")
    assert findings(host) >= {("stp", "warning")}
    host.ip("link set br0 type bridge stp_state 0")
    host.ip("address add 192.0.2.7/24 dev eth1")
    assert findings(host) == {("enslaved-address", "warning")}
    host.ip("address flush dev eth1")
    host.ip("link set eth1 mtu 1400")
    assert findings(host) == {("mtu", "warning")}
    host.ip("link set eth1 mtu 1500")
    host.ip("link set eth1 down")
    assert findings(host) == {("no-lan", "error")}
    host.ip("link set eth1 nomaster")
    assert findings(host) == {("no-lan", "warning")}
    host.ip(f"link set {TAP} nomaster")
    assert findings(host) == {("no-bridge", "error")}


def test_a_port_that_learns(host: Namespace) -> None:
    host.ip("link set br0 type bridge forward_delay 3000 stp_state 1")
    host.ip("link set eth1 down")
    host.ip("link set eth1 up")
    assert findings(host) == {("stp", "warning"), ("port-state", "warning")}


def test_a_router(namespace: Namespace) -> None:
    require_tap()
    require("ip", "bridge", "nft", "sysctl")
    add_device(namespace)
    namespace.run(
        ["sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", f"net.ipv4.conf.{TAP}.rp_filter=0"]
    )
    assert findings(namespace, ROUTED) == {("no-address", "warning")}
    namespace.ip(f"address add 10.8.0.1/24 dev {TAP}")
    assert findings(namespace, ROUTED) == {("ip-forward", "error")}
    namespace.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
    assert findings(namespace, ROUTED) == set()
    namespace.run(["sysctl", "-qw", f"net.ipv4.conf.{TAP}.rp_filter=1"])
    assert findings(namespace, ROUTED) == {("rp-filter", "info")}


def test_a_user_who_may_not_see_the_firewall_is_told_so(host: Namespace, tmp_path: Path) -> None:
    host.run(["sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1"])
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    command = [*as_seen_by_users(tmp_path), *user, sys.executable, "-c", SCRIPT]
    told = json.loads(host.run(["env", "-C", str(REPOSITORY), *command]).stdout)
    assert ["bridge-netfilter", "warning"] in told
    assert "unseen" not in dict(told)

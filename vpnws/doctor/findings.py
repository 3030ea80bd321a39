"""The names of all findings, each with what it means, and the one way to make one."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from vpnws.control.views import FindingView

if TYPE_CHECKING:
    from vpnws.control.views import Severity

SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "info")
"""The worst first."""


class Name(StrEnum):
    """What the doctor finds. The text under each is its row in docs/trouble.md."""

    NO_BRIDGE = "no-bridge"
    """Mode bridge, and a TAP is in no bridge: stations reach nothing behind it."""
    NO_LAN = "no-lan"
    """A TAP's bridge has no other port, or it or one of its ports is down."""
    BRIDGE_NETFILTER = "bridge-netfilter"
    """The kernel hands bridged frames to the firewall (`net.bridge.bridge-nf-call-*`, which Docker
    and Kubernetes set), and a chain of the firewall drops what is forwarded. Only root can see
    the chains; for others the finding says so."""
    STP = "stp"
    """The bridge runs spanning tree: a port forwards nothing for twice the forward delay after it
    came up, so for 30 s no DHCP works."""
    PORT_STATE = "port-state"
    """A port of the bridge does not forward at the moment."""
    FOREIGN_MACS = "foreign-macs"
    """Stations' frames went out, and the bridge has heard nobody at its NIC; or the server is a
    virtual machine of a maker whose switch drops frames with foreign MACs unless it is told
    otherwise. On ESXi that are forged transmits and promiscuous mode. In most clouds it cannot be
    allowed: use router mode."""
    ENSLAVED_ADDRESS = "enslaved-address"
    """A port of the bridge has an IP address of its own: the host is hard to reach at it. It
    belongs on the bridge."""
    MTU = "mtu"
    """The ports of a bridge have different MTUs, or a TAP's is too small for IPv6 or too large for
    `vpnws-max-frame`: small frames pass, and large ones are dropped. The MTU of the way to the
    server does not matter, because the tunnel is TCP."""
    NO_ADDRESS = "no-address"
    """Mode router, and a TAP has no IP address: stations have no gateway."""
    IP_FORWARD = "ip-forward"
    """Mode router, and the kernel does not forward IPv4 (`net.ipv4.ip_forward`) or IPv6: stations
    reach the server and nothing behind it."""
    RP_FILTER = "rp-filter"
    """Mode router with a strict reverse path filter: packets from addresses behind a station, to
    which the host has no route by that TAP, are dropped in silence."""
    CONNTRACK = "conntrack"
    """The table of connections that the firewall tracks is nearly full: new ones are dropped."""
    FEW_FILES = "few-files"
    """A worker may not open as many files as its share of `vpnws-max-ports` needs."""
    BACKLOG = "backlog"
    """`listen` is small for so many stations: when all come back at once, some get 502."""
    NGINX_CONNECTIONS = "nginx-connections"
    """nginx's `worker_connections` of all its processes are fewer than stations need: two each."""
    NGINX_FILES = "nginx-files"
    """nginx may not open as many files as `worker_connections` needs."""
    NGINX_TIMEOUT = "nginx-timeout"
    """nginx closes a quiet station's connection before the switch pings it
    (`vpnws-ping-every`)."""
    UNSEEN = "unseen"
    """Something could not be looked at, so the doctor is silent about it."""


def error(name: Name, sentence: str, remedy: str) -> FindingView:
    """Return a finding that stops something from working."""
    return FindingView(name=name.value, severity="error", sentence=sentence, remedy=remedy)


def warning(name: Name, sentence: str, remedy: str) -> FindingView:
    """Return a finding that fails for some, or later."""
    return FindingView(name=name.value, severity="warning", sentence=sentence, remedy=remedy)


def info(name: Name, sentence: str, remedy: str) -> FindingView:
    """Return a finding that is good to know."""
    return FindingView(name=name.value, severity="info", sentence=sentence, remedy=remedy)

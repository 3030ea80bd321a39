"""What the doctor knows of a host when it judges: plain facts, so that a test can make them up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vpnws.config import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """How a Linux bridge is set up."""

    has_stp: bool = False
    forward_delay_s: float = 15.0
    filters: frozenset[str] = frozenset()
    """What the bridge itself, whatever the sysctls say, hands to netfilter: ip, ip6, arp."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One network device."""

    name: str
    mtu_bytes: int = 1500
    is_up: bool = True
    kind: str = ""
    """What the kernel calls it: tun, bridge, veth; empty for a physical or a paravirtual NIC."""
    master: str = ""
    """The bridge that it is a port of."""
    port_state: str = ""
    """Of a port of a bridge: forwarding, learning, listening, blocking or disabled."""
    addresses: tuple[str, ...] = ()
    """Without IPv6's link-local ones."""
    rx_frames: int = 0
    tx_frames: int = 0
    bridge: Bridge | None = None
    """None if it is none."""


@dataclass(frozen=True, slots=True)
class ForwardChain:
    """A chain that netfilter asks about a packet on its way through the host."""

    family: str
    """ip, ip6, inet or arp."""
    table: str
    name: str
    policy: str
    """accept or drop: what becomes of a packet that no rule decides about."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A location of nginx that passes requests on to this server."""

    location: str
    directive: str
    """The name of its time-out: uwsgi_read_timeout or proxy_read_timeout."""
    read_timeout_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Nginx:
    """What nginx's configuration says, as far as stations depend on it."""

    processes: int = 1
    connections: int = 512
    """For each process, those to clients and those to this server."""
    max_fds: int | None = None
    """None if only the limit of the service counts."""
    passes: tuple[Pass, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A host with its server, as it was seen at one moment."""

    settings: Settings = field(default_factory=Settings)
    workers: int = 1
    backlog: int = 100
    """uWSGI's option listen: connections that may wait to be accepted."""
    max_fds: int = 1 << 20
    """Files that each of the server's processes may open."""
    devices: Mapping[str, Device] = field(default_factory=dict)
    learned: Mapping[str, int] = field(default_factory=dict)
    """Device -> how many MACs its bridge has learned there."""
    sysctls: Mapping[str, int] = field(default_factory=dict)
    """Those of `host.SYSCTLS` that there are."""
    forward: tuple[ForwardChain, ...] | None = ()
    """None if this user may not see them."""
    vendor: str = ""
    """Who has made the machine, as its firmware says; empty if it says nothing."""
    nginx: Nginx | None = None
    """None if there is none, or if its configuration cannot be read."""
    unseen: tuple[str, ...] = ()
    """Sentences about what could not be looked at."""

    def taps(self) -> list[Device]:
        """Return the server's TAPs that there are."""
        names = (device for _, device in self.settings.tap)
        return [self.devices[name] for name in names if name in self.devices]

    def bridges(self) -> list[Device]:
        """Return the bridges that the server's TAPs are ports of, each once."""
        names = dict.fromkeys(tap.master for tap in self.taps())
        return [self.devices[name] for name in names if name in self.devices]

    def ports(self, bridge: Device) -> list[Device]:
        """Return the ports of `bridge` that are none of the server's TAPs."""
        own = {device for _, device in self.settings.tap}
        return [
            each
            for each in self.devices.values()
            if each.master == bridge.name and each.name not in own
        ]

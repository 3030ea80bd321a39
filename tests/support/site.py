"""A VPN whose server has a TAP: bridged with a LAN behind it, or routed to an "internet".

          server namespace                          behind namespace
stations  +---------------------------------+       +--------------------------------+
(vpn.py)--| uWSGI, mule -- vpn0             |       |                                |
          |                 | bridge: in br0|  veth | eth0                           |
          |      br0 or route ------ eth1 --------- | bridge: 10.8.0.100, fd08::100  |
          |                                 |       | router: 198.51.100.2, ...      |
          +---------------------------------+       +--------------------------------+
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, ClassVar

from .netns import SERVER_ADDRESS, Namespace, give, make_bridge
from .nginx import DEPLOY_CONF, Nginx
from .service import Service
from .vpn import JOIN_S, LOGIN, Client, Vpn
from .waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping

BRIDGE_ADDRESS, BRIDGE_ADDRESS_6 = "10.8.0.254", "fd08::fe"
HOST_ADDRESS, HOST_ADDRESS_6 = "10.8.0.100", "fd08::100"
ROUTER_SIDE, INTERNET_ADDRESS = "198.51.100.1", "198.51.100.2"
ROUTER_SIDE_6, INTERNET_ADDRESS_6 = "2001:db8:1::1", "2001:db8:1::2"
HTTP = f"ws://{SERVER_ADDRESS}:8080/"
SECOND_HTTP = f"ws://{SERVER_ADDRESS}:8081/"
TWO_WORKERS = ("--http-socket=0.0.0.0:8081", "--map-socket=0:1", "--map-socket=2:2")
"""Arguments for uWSGI: stations at HTTP are the first worker's, at SECOND_HTTP the second's."""
EVERY_PROTOCOL = 3
"""ETH_P_ALL (packet(7))."""
SOCKET_BYTES = 1 << 20

JOIN_BRIDGE = "ip link set $VPNWS_TAP master br0"
GIVE_ADDRESSES = (
    f"ip address add {BRIDGE_ADDRESS}/24 dev $VPNWS_TAP;"
    f" ip address add {BRIDGE_ADDRESS_6}/64 dev $VPNWS_TAP nodad"
)


class Site(Vpn):
    """A Vpn with one more namespace, `behind` the server, at the end of a veth named eth1."""

    def __init__(
        self,
        stations: int = 2,
        *arguments: str,
        placeholders: Mapping[str, str] | None = None,
        locations: str = "",
    ) -> None:
        """`locations` are blocks for the server block of deploy/nginx.conf."""
        super().__init__(stations, *arguments, placeholders=placeholders)
        self.behind = Namespace("behind")
        self._locations = locations

    def prepare(self) -> None:
        """Make the namespace behind the server, and its side of the server."""
        self.parts.enter_context(self.behind)
        self.lan.server.ip(f"link add eth1 type veth peer name eth0 netns {self.behind.name}")
        self.lan.server.ip("link set eth1 up")
        self.behind.ip("link set eth0 up")
        if self._locations:
            file = self.directory / "nginx.conf"
            file.write_text(with_locations(self._locations))
            self.nginx = Nginx(self.lan.server, config=file)

    def client(self, namespace: Namespace, url: str, *options: str) -> Client:
        """Start a client with these options and no others, and wait until it is connected."""
        return self.connect(namespace, url, *self.trust(url), *options)

    def wait_for_uplink(self, count: int = 1) -> None:
        """Wait until the mule has said `count` times that a TAP is up."""
        wait_for(
            lambda: len(uplink_lines(self.uwsgi.log_text(), "up")) >= count,
            JOIN_S,
            "the uplink to be up",
        )


class TapSite(Site):
    """A Site whose server has the TAP vpn0."""

    mode: ClassVar[str]
    commands: ClassVar[str]
    """Its vpnws-exec."""

    def __init__(
        self, stations: int = 2, *arguments: str, locations: str = "", **more: str
    ) -> None:
        """`more` are settings, with `_` for `-`."""
        placeholders = {
            "vpnws-mode": self.mode,
            "vpnws-tap": "vpn0",
            "vpnws-exec": self.commands,
            **{name.replace("_", "-"): value for name, value in more.items()},
        }
        super().__init__(stations, *arguments, placeholders=placeholders, locations=locations)


class BridgeSite(TapSite):
    """Bridge mode: vpn0 in br0, whose other port leads to a LAN host (`behind`)."""

    mode = "bridge"
    commands = JOIN_BRIDGE

    def prepare(self) -> None:
        """Make br0 and the LAN host."""
        super().prepare()
        make_bridge(self.lan.server, "eth1")
        give(self.lan.server, "br0", BRIDGE_ADDRESS, BRIDGE_ADDRESS_6)
        give(self.behind, "eth0", HOST_ADDRESS, HOST_ADDRESS_6)


class RouterSite(TapSite):
    """Router mode: vpn0 has the stations' gateway, eth1 leads to the internet (`behind`)."""

    mode = "router"
    commands = GIVE_ADDRESSES

    def prepare(self) -> None:
        """Have the server forward packets, and the internet answer."""
        super().prepare()
        give(self.lan.server, "eth1", ROUTER_SIDE, ROUTER_SIDE_6)
        give(self.behind, "eth0", INTERNET_ADDRESS, INTERNET_ADDRESS_6)
        self.lan.server.run("sysctl -q net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")

    def route(self, index: int) -> None:
        """Give station `index` its default routes."""
        self.lan.stations[index].ip(f"route add default via {BRIDGE_ADDRESS}")
        self.lan.stations[index].ip(f"-6 route add default via {BRIDGE_ADDRESS_6}")


def add_branch(station: Namespace, branch: Namespace) -> None:
    """Put `branch` behind a station's bridge br0, with a veth that is eth0 in there."""
    station.ip(f"link add branch0 type veth peer name eth0 netns {branch.name}")
    station.ip("link set branch0 up")
    branch.ip("link set eth0 up")
    make_bridge(station, "branch0")


def with_locations(blocks: str, shipped: str | None = None) -> str:
    """Return deploy/nginx.conf with more location blocks at the end of its server block.

    `shipped` is its text, if it is not to be as it is.
    """
    server, end, rest = (shipped or DEPLOY_CONF.read_text()).rpartition("}")
    return f"{server}\n{blocks}\n{end}{rest}"


def location(path: str, **variables: str) -> str:
    """Return a location block as deploy/nginx.conf has them, with more uwsgi vars."""
    params = "".join(f"uwsgi_param {name} {value};\n" for name, value in variables.items())
    return f"""
location = /{path} {{
    auth_basic "Members only";
    auth_basic_user_file vpnws/htpasswd;
    include uwsgi_params;
    uwsgi_param HTTP_X_FORWARDED_PROTO $scheme;
    uwsgi_param REMOTE_USER $remote_user;
    {params}
    uwsgi_pass vpnws;
}}
"""


def url_of(path: str) -> str:
    """Return the URL of a location for a station that logs in."""
    return f"wss://{LOGIN}{SERVER_ADDRESS}/{path}"


def raw_socket(namespace: Namespace, interface: str) -> socket.socket:
    """Return a socket that sends and hears whole Ethernet frames at an interface."""

    def make() -> socket.socket:
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERY_PROTOCOL))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
        made.bind((interface, 0))
        made.settimeout(0.05)
        return made

    return namespace.call(make)


def heard(listener: socket.socket, wanted: set[bytes], timeout_s: float = 3.0) -> set[bytes]:
    """Return which of `wanted` come within the time; done as soon as all have."""
    found: set[bytes] = set()

    def have_all() -> bool:
        try:
            for _ in range(1000):
                found.update({listener.recv(65536)} & wanted)
        except TimeoutError:
            pass
        return found == wanted

    try:
        wait_for(have_all, timeout_s, "frames")
    except TimeoutError:
        return found
    return found


def uplink_lines(log: str, state: str) -> list[str]:
    """Return the lines in which the mule says that a TAP is `up` or `down`."""
    return [line for line in log.splitlines() if "uplink " in line and f" {state} network=" in line]


class Dnsmasq(Service):
    """A DHCP server that leases 10.8.0.200 to .220 at an interface."""

    name = "dnsmasq"
    start_s = 5.0

    def __init__(self, namespace: Namespace, interface: str) -> None:
        super().__init__(namespace)
        self._interface = interface

    def command(self) -> str:
        """Return the command line."""
        return (
            "dnsmasq --no-daemon --conf-file=/dev/null --port=0 --dhcp-authoritative --no-ping"
            f" --interface={self._interface} --dhcp-leasefile={self.directory}/leases"
            " --dhcp-range=10.8.0.200,10.8.0.220,255.255.255.0,1h"
        )

    def is_ready(self) -> bool:
        """Return whether it serves."""
        return "DHCP, IP range" in self.log_text()

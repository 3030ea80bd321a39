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
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from . import processes
from .netns import SERVER_ADDRESS, Namespace
from .nginx import DEPLOY_CONF, Nginx
from .vpn import JOIN_S, LOGIN, Client, Vpn
from .waiting import wait_for

if TYPE_CHECKING:
    from contextlib import ExitStack

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
        placeholders: dict[str, str] | None = None,
        locations: str = "",
    ) -> None:
        """`locations` are blocks for the server block of deploy/nginx.conf."""
        super().__init__(stations, *arguments, placeholders=placeholders)
        self.behind = Namespace("behind")
        self._locations = locations

    def prepare(self, stack: ExitStack) -> None:
        """Make the namespace behind the server, and its side of the server."""
        stack.enter_context(self.behind)
        self.lan.server.ip(f"link add eth1 type veth peer name eth0 netns {self.behind.name}")
        self.lan.server.ip("link set eth1 up")
        self.behind.ip("link set eth0 up")
        if self._locations:
            file = self._directory / "nginx.conf"
            file.write_text(with_locations(self._locations))
            self.nginx = Nginx(self.lan.server, config=file)

    def client(self, namespace: Namespace, url: str, *options: str) -> Client:
        """Start a client with these options and no others, and wait until it is connected."""
        self._clients += 1
        log = self._directory / f"client-{namespace.name}-{self._clients}"
        client = Client(namespace, log, url, *self.trust(url), *options)
        self._stack.callback(processes.stop, client.process)
        client.wait_for_log("connected to")
        return client

    def trust(self, url: str) -> tuple[str, ...]:
        """Return the client's options for the server's certificate."""
        return ("--ca", str(self.nginx.ca.crt)) if url.startswith("wss") else ()

    def wait_for_uplink(self, count: int = 1) -> None:
        """Wait until the mule has said so often that a TAP is attached."""
        wait_for(
            lambda: len(uplink_lines(self.uwsgi.log_text(), "up")) >= count,
            JOIN_S,
            "the uplink to be up",
        )


class BridgeSite(Site):
    """Bridge mode: vpn0 in br0, whose other port leads to a LAN host (`behind`)."""

    def __init__(
        self, stations: int = 2, *arguments: str, locations: str = "", **more: str
    ) -> None:
        """`more` are settings, with `_` for `-`."""
        placeholders = {
            "vpnws-mode": "bridge",
            "vpnws-tap": "vpn0",
            "vpnws-exec": JOIN_BRIDGE,
            **{name.replace("_", "-"): value for name, value in more.items()},
        }
        super().__init__(stations, *arguments, placeholders=placeholders, locations=locations)

    def prepare(self, stack: ExitStack) -> None:
        """Make br0 and the LAN host."""
        super().prepare(stack)
        server = self.lan.server
        make_bridge(server, "eth1")
        server.ip(f"address add {BRIDGE_ADDRESS}/24 dev br0")
        server.ip(f"address add {BRIDGE_ADDRESS_6}/64 dev br0 nodad")
        self.behind.ip(f"address add {HOST_ADDRESS}/24 dev eth0")
        self.behind.ip(f"address add {HOST_ADDRESS_6}/64 dev eth0 nodad")


class RouterSite(Site):
    """Router mode: vpn0 has the stations' gateway, eth1 leads to the internet (`behind`)."""

    def __init__(
        self, stations: int = 2, *arguments: str, locations: str = "", **more: str
    ) -> None:
        """`more` are settings, with `_` for `-`."""
        placeholders = {
            "vpnws-mode": "router",
            "vpnws-tap": "vpn0",
            "vpnws-exec": GIVE_ADDRESSES,
            **{name.replace("_", "-"): value for name, value in more.items()},
        }
        super().__init__(stations, *arguments, placeholders=placeholders, locations=locations)

    def prepare(self, stack: ExitStack) -> None:
        """Have the server forward packets, and the internet answer."""
        super().prepare(stack)
        self.lan.server.ip(f"address add {ROUTER_SIDE}/24 dev eth1")
        self.lan.server.ip(f"address add {ROUTER_SIDE_6}/64 dev eth1 nodad")
        self.behind.ip(f"address add {INTERNET_ADDRESS}/24 dev eth0")
        self.behind.ip(f"address add {INTERNET_ADDRESS_6}/64 dev eth0 nodad")
        self.lan.server.run("sysctl -q net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")

    def route(self, index: int) -> None:
        """Give station `index` its default routes."""
        self.lan.stations[index].ip(f"route add default via {BRIDGE_ADDRESS}")
        self.lan.stations[index].ip(f"-6 route add default via {BRIDGE_ADDRESS_6}")


def make_bridge(namespace: Namespace, *ports: str) -> None:
    """Make br0 with these ports."""
    namespace.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
    for port in ports:
        namespace.ip(f"link set {port} master br0")
    namespace.ip("link set br0 up")


def add_branch(station: Namespace, branch: Namespace) -> None:
    """Put `branch` behind a station's bridge br0, with a veth that is eth0 in there."""
    station.ip(f"link add branch0 type veth peer name eth0 netns {branch.name}")
    station.ip("link set branch0 up")
    branch.ip("link set eth0 up")
    make_bridge(station, "branch0")


def with_locations(blocks: str) -> str:
    """Return deploy/nginx.conf with more location blocks at the end of its server block."""
    server, end, rest = DEPLOY_CONF.read_text().rpartition("}")
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


def run_dnsmasq(stack: ExitStack, namespace: Namespace, interface: str) -> None:
    """Serve DHCP for 10.8.0.200 to .220 at an interface."""
    directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="vpnws-dnsmasq-"))
    log = (Path(directory) / "log").open("w")
    stack.callback(log.close)
    process = namespace.popen(
        "dnsmasq --no-daemon --conf-file=/dev/null --port=0 --dhcp-authoritative --no-ping"
        f" --interface={interface}"
        f" --dhcp-range=10.8.0.200,10.8.0.220,255.255.255.0,1h --dhcp-leasefile={directory}/leases",
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    stack.callback(processes.stop, process)
    wait_for(
        lambda: "DHCP, IP range" in Path(log.name).read_text() or process.poll() is not None,
        5.0,
        "dnsmasq to serve",
    )
    assert process.poll() is None, Path(log.name).read_text()

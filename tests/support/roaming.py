"""A laptop that reaches a vpnws router only through a gateway, and can change to another one.

laptop                        gateways (stations 0 and 1)      server, router mode      internet
  eth0 192.168.50.2  -------- 192.168.50.1 | 10.99.0.11 -----  10.99.0.1, vpn0 -------- 198.51.100.2
  eth1 172.20.0.2    -------- 172.20.0.1   | 10.99.0.12 --/    10.8.0.254

No gateway knows a way to the internet: whoever reaches it does so through the VPN.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .mounts import own_file
from .netns import Namespace
from .processes import is_alive, status_field
from .site import ROUTER_SIDE, ROUTER_SIDE_6, RouterSite, location
from .uwsgi import REPOSITORY
from .vpn import LOGIN, Client
from .waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

URL = f"wss://{LOGIN}10.99.0.1/vpn"
URL_6 = f"wss://{LOGIN}[fd99::1]/vpn"
JOURNALS = Path("/run/vpnws-client")
RESOLV_CONF = "nameserver 192.168.50.1\nsearch home.example\n"
END_S = 15.0


class RoamingSite(RouterSite):
    """The picture above."""

    def __init__(self) -> None:
        given = {
            "VPNWS_CLIENT_ADDRESS": "10.8.0.50/24",
            "VPNWS_CLIENT_ROUTES": '"0.0.0.0/0 via 10.8.0.254"',
            "VPNWS_CLIENT_DNS": "10.8.0.254",
        }
        super().__init__(2, locations=location("given", **given))
        self.laptop = Namespace("laptop")
        self._clients: list[Client] = []

    def prepare(self) -> None:
        """Add the laptop and its two gateways."""
        super().prepare()
        self.behind.ip(f"route add 10.8.0.0/24 via {ROUTER_SIDE}")
        self.behind.ip(f"-6 route add fd08::/64 via {ROUTER_SIDE_6}")
        self.parts.enter_context(own_file(self.laptop, "resolv.conf", RESOLV_CONF))
        self.parts.enter_context(self.laptop)
        for index, (prefix, prefix_6) in enumerate((("192.168.50", "fd50"), ("172.20.0", "fd72"))):
            self._join(index, prefix, prefix_6)
        self.use(0)

    def use(self, index: int) -> None:
        """Have the laptop's default routes lead through gateway `index`, and no other be there."""
        prefix, prefix_6 = (("192.168.50", "fd50"), ("172.20.0", "fd72"))[index]
        self.laptop.ip(f"link set eth{1 - index} down")
        self.laptop.ip(f"link set eth{index} up")
        self.laptop.ip(f"address replace {prefix_6}::2/64 dev eth{index} nodad")
        self.laptop.ip(f"route replace default via {prefix}.1 dev eth{index}")
        self.laptop.ip(f"-6 route replace default via {prefix_6}::1 dev eth{index}")

    def start(self, *options: str, wrapper: Sequence[str] = ()) -> Client:
        """Start the laptop's client, which ends with the `with` block."""
        client = Client(self.laptop, *self.trust(URL), *options, wrapper=wrapper)
        self._clients.append(client)
        return self.parts.enter_context(client)

    def end_clients(self) -> None:
        """End the clients that were started."""
        while self._clients:
            self._clients.pop().stop()

    def clean(self) -> str:
        """Run `vpnws-client clean` in the laptop; return what it says."""
        command = [sys.executable, "-m", "vpnws.client", "clean"]
        return self.laptop.run(command, env={"PYTHONPATH": str(REPOSITORY)}).stdout

    def state(self) -> object:
        """Return all of the laptop's network that a client could leave something in."""
        shown = [
            self.laptop.run(["ip", *words.split()]).stdout
            for words in (
                *("route show table all", "-6 route show table all", "rule", "-6 rule"),
                *("-o -4 address", "-o -6 address", "-o link show type tun"),
            )
        ]
        resolv_conf = self.laptop.run(["cat", "/etc/resolv.conf"]).stdout
        return [sorted(text.splitlines()) for text in shown], resolv_conf, self.journals()

    def journals(self) -> list[str]:
        """Return the names of what clients in the laptop keep in /run."""
        number = self.laptop.run(["stat", "-Lc", "%i", "/proc/self/ns/net"]).stdout.strip()
        return sorted(path.name for path in JOURNALS.glob(f"*.{number}-*"))

    def routes(self) -> list[dict[str, Any]]:
        """Return the routes that are ours."""
        found: list[dict[str, Any]] = []
        for family in ("-4", "-6"):
            shown = json.loads(self.laptop.ip(f"-j {family} route show"))
            found += [each for each in shown if each.get("protocol") == "118"]
        return found

    def _join(self, index: int, prefix: str, prefix_6: str) -> None:
        gateway = self.lan.stations[index]
        gateway.ip(f"link add home type veth peer name eth{index} netns {self.laptop.name}")
        for place, device, number in ((gateway, "home", 1), (self.laptop, f"eth{index}", 2)):
            place.ip(f"link set {device} up")
            place.ip(f"address add {prefix}.{number}/24 dev {device}")
            place.ip(f"address add {prefix_6}::{number}/64 dev {device} nodad")
        for name in ("ipv4.ip_forward", "ipv6.conf.all.forwarding"):
            gateway.run(["sysctl", "-qw", f"net.{name}=1"])
        self.lan.server.ip(f"route add {prefix}.0/24 via {self.lan.address(index)}")
        self.lan.server.ip(f"-6 route add {prefix_6}::/64 via {self.lan.address_6(index)}")


def janitor_of(client: Client) -> int:
    """Return the process of a client's janitor."""
    (found,) = [pid for pid in client.pids() if status_field(pid, "Name") == "vpnws-janitor"]
    return found


def wait_for_end(*pids: int) -> None:
    """Wait until these processes are gone."""
    wait_for(lambda: not any(map(is_alive, pids)), END_S, f"{pids} to end")

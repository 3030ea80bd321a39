"""A whole VPN on one machine: a LAN of namespaces, uWSGI, nginx with TLS, and real clients.

stations[i]: vpnws-client -- tap0 10.8.0.(i+1)/24, fd08::(i+1)/64
     | wss://10.99.0.1/vpn           (the road: see netns.py)
server: nginx (deploy/nginx.conf) -- unix socket -- uWSGI (uwsgi.ini)
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from .assembly import Assembly
from .netns import SERVER_ADDRESS, Lan, Namespace
from .nginx import Nginx
from .service import Service
from .traffic import ping
from .uwsgi import REPOSITORY, Uwsgi
from .waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

JOIN_S = 15.0
TAP = "tap0"
LOGIN = "alice:wonderland@"


class Client(Service):
    """A running vpnws-client in a namespace."""

    name = "vpnws-client"
    stop_signal = signal.SIGINT
    stop_s = 10.0
    may_end = True

    def __init__(
        self, namespace: Namespace | None, *arguments: str, wrapper: Sequence[str] = ()
    ) -> None:
        """Plan it with these arguments; `wrapper` is a command prefix."""
        super().__init__(namespace)
        self._arguments = arguments
        self._wrapper = wrapper

    def command(self) -> list[str]:
        """Return the command line."""
        return [*self._wrapper, sys.executable, "-m", "vpnws.client", *self._arguments]

    def working_directory(self) -> Path:
        """Return where the package is found."""
        return REPOSITORY

    def wait_until_connected(self, count: int = 1) -> None:
        """Wait until it has said `count` times that it is connected. Raises `TimeoutError`."""
        self.wait_for_log("connected to", count, within_s=JOIN_S)


class ClientBed(Assembly):
    """A LAN whose stations run clients; a subclass says which server they connect to."""

    def __init__(self, lan: Lan) -> None:
        self.lan = lan

    def start_client(self, namespace: Namespace, url: str, *options: str) -> Client:
        """Start a client and do not wait for anything; it ends with the `with` block."""
        return self.parts.enter_context(Client(namespace, *options, TAP, url))

    def connect(self, namespace: Namespace, url: str, *options: str) -> Client:
        """Start a client and wait until it is connected."""
        client = self.start_client(namespace, url, *options)
        client.wait_until_connected()
        return client

    @staticmethod
    def address(index: int) -> str:
        """Return station `index`'s IPv4 address in the VPN."""
        return f"10.8.0.{index + 1}"

    @staticmethod
    def address_6(index: int) -> str:
        """Return station `index`'s IPv6 address in the VPN."""
        return f"fd08::{index + 1:x}"

    def wait_until_reachable(self, sender: int, target: int) -> None:
        """Wait until station `sender` can ping station `target`."""
        wait_for(
            lambda: ping(self.lan.stations[sender], self.address(target), count=1).received == 1,
            JOIN_S,
            f"station {sender} to reach station {target}",
        )


class Vpn(ClientBed):
    """A VPN from the start of a `with` block to its end; clients join one by one."""

    def __init__(
        self, stations: int = 2, *arguments: str, placeholders: Mapping[str, str] | None = None
    ) -> None:
        """`stations` is how many there are; the other arguments are uWSGI's."""
        super().__init__(Lan(stations))
        self._arguments = arguments
        self._placeholders = placeholders
        self.nginx = Nginx(self.lan.server)

    def prepare(self) -> None:
        """Set up what the server needs before it starts; a subclass overrides it."""

    def build(self) -> None:
        """Make the LAN, then nginx, then uWSGI."""
        self.directory = Path(self.parts.enter_context(tempfile.TemporaryDirectory()))
        self.parts.enter_context(self.lan)
        self.prepare()
        self.parts.enter_context(self.nginx)
        self.uwsgi = self.parts.enter_context(
            Uwsgi(
                *self._arguments,
                namespace=self.lan.server,
                socket_path=self.nginx.socket_path,
                placeholders=self._placeholders,
            )
        )

    def trust(self, url: str) -> tuple[str, ...]:
        """Return the client's options for the server's certificate."""
        return ("--ca", str(self.nginx.ca.crt)) if url.startswith("wss") else ()

    def join(self, index: int, url: str = "", *options: str) -> Client:
        """Start station `index`'s client and wait until it is connected; by default over TLS."""
        url = url or f"wss://{LOGIN}{SERVER_ADDRESS}/vpn"
        addresses = f"{self.address(index)}/24", f"{self.address_6(index)}/64"
        given = [word for address in addresses for word in ("--address", address)]
        return self.connect(self.lan.stations[index], url, *given, *self.trust(url), *options)

    def join_all(self) -> list[Client]:
        """Have every station join."""
        return [self.join(index) for index in range(len(self.lan.stations))]


def kill(pid: int) -> None:
    """Kill a process with SIGKILL."""
    os.kill(pid, signal.SIGKILL)

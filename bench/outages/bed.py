"""A whole VPN whose stations meet outages: nginx with TLS, uWSGI, clients, HAProxy, dnsmasq.

stations[0]: the peer that all others ping and have a TCP connection with
stations[i]: vpnws-client, which meets an outage
server: nginx :443 -- uWSGI;  HAProxy :8443 (passes on to nginx) and :8444 (a certificate that has
expired);  dnsmasq, which knows vpn.example.org
"""

from __future__ import annotations

import re
import socket
import time
from typing import TYPE_CHECKING, Final

from bench.outages.inside import Echoes, Pings, TcpInside
from tests.support.netns import SERVER_ADDRESS
from tests.support.service import Service
from tests.support.vpn import JOIN_S, LOGIN, TAP, Client, Vpn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.support.ca import CertificateAuthority
    from tests.support.netns import Namespace

NAME: Final = "vpn.example.org"
PASSES_ON: Final = 8443
EXPIRED: Final = 8444
_PREFIX: Final = re.compile(r"^vpnws-client: ", re.MULTILINE)
_HAPROXY: Final = """\
global
    stats socket {directory}/admin.sock mode 600 level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client  {idle_s:.0f}s
    timeout server  {idle_s:.0f}s
frontend passes-on
    bind :{passes_on}
    default_backend nginx
frontend expired
    bind :{expired} ssl crt {directory}/expired.pem
    default_backend nginx
backend nginx
    server nginx {address}:443
"""


class Haproxy(Service):
    """HAProxy before nginx: it cuts idle connections, and each one when it is told to."""

    name = "haproxy"

    def __init__(self, namespace: Namespace, ca: CertificateAuthority, idle_s: float) -> None:
        """Cut connections on which nothing passes for `idle_s`; `ca` signs what has expired."""
        super().__init__(namespace)
        self._ca = ca
        self._idle_s = idle_s

    def lay_out(self) -> None:
        """Write the configuration and the certificate."""
        old = self._ca.server_valid(SERVER_ADDRESS, "20240101000000Z", "20240201000000Z")
        (self.directory / "expired.pem").write_text(old.crt.read_text() + old.key.read_text())
        text = _HAPROXY.format(
            directory=self.directory,
            idle_s=self._idle_s,
            passes_on=PASSES_ON,
            expired=EXPIRED,
            address=SERVER_ADDRESS,
        )
        self._config.write_text(text)

    def command(self) -> list[str]:
        """Return the command line, in the foreground."""
        return ["haproxy", "-db", "-f", str(self._config)]

    def is_ready(self) -> bool:
        """Return whether its socket for commands is there."""
        return (self.directory / "admin.sock").exists()

    def cut_all(self) -> None:
        """Cut every connection, as proxies do with those that are too old."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.directory / "admin.sock"))
            sock.sendall(b"shutdown sessions server nginx/nginx\n")
            sock.recv(4096)

    @property
    def _config(self) -> Path:
        return self.directory / "haproxy.cfg"


class Dnsmasq(Service):
    """A name server that knows the VPN's server."""

    name = "dnsmasq"

    def command(self) -> list[str]:
        """Return the command line, in the foreground."""
        options = "--no-daemon --no-resolv --no-hosts --conf-file=/dev/null --user=root"
        here = f"--address=/{NAME}/{SERVER_ADDRESS} --listen-address={SERVER_ADDRESS}"
        return ["dnsmasq", *options.split(), *here.split(), "--bind-interfaces"]


class Bed(Vpn):
    """The VPN of the picture above."""

    def __init__(
        self, patients: int, *, idle_s: float, placeholders: Mapping[str, str] | None = None
    ) -> None:
        """Plan it with so many stations beside the peer; HAProxy cuts who is idle for `idle_s`.

        `placeholders` are settings of the server.
        """
        super().__init__(patients + 1, placeholders=placeholders)
        self._idle_s = idle_s

    def build(self) -> None:
        """Make the VPN, and have the peer join and listen."""
        super().build()
        server = self.lan.server
        self.haproxy = self.parts.enter_context(Haproxy(server, self.nginx.ca, self._idle_s))
        self.join(0)
        self.parts.enter_context(Echoes(self.lan.stations[0], self.address(0)))

    def go_away(self) -> None:
        """Have the server's machine serve nothing any more, at once."""
        self.nginx.stop()
        self.uwsgi.stop()

    def come_back(self) -> None:
        """Serve again."""
        self.uwsgi.start()
        self.nginx.start()


class Patient:
    """A station that meets an outage: its client, its pings, and how its machine was before."""

    def __init__(self, bed: Bed, index: int) -> None:
        """Use station `index` of `bed`; nothing is started yet."""
        self.bed = bed
        self.index = index
        self.namespace = bed.lan.stations[index]
        self._before = _traces(self.namespace)
        self._seen = 0
        self._pings: Pings | None = None
        self._tcp: TcpInside | None = None
        self.client: Client

    def start(
        self,
        *options: str,
        host: str = SERVER_ADDRESS,
        login: str = LOGIN,
        wrapper: Sequence[str] = (),
    ) -> None:
        """Start the client, and do not wait for anything; `host` may have a port."""
        address = f"{self.bed.address(self.index)}/24"
        self.client = Client(
            self.namespace,
            *("--address", address, "--ca", str(self.bed.nginx.ca.crt)),
            *options,
            TAP,
            f"wss://{login}{host}/vpn",
            wrapper=wrapper,
        )
        self.bed.parts.enter_context(self.client)

    def join(self, *options: str, host: str = SERVER_ADDRESS, pings: bool = True) -> None:
        """Start the client, wait until it is connected, and begin what goes on inside."""
        self.start(*options, host=host)
        self.client.wait_until_connected()
        self.bed.wait_until_reachable(self.index, 0)
        if pings:
            self.ping()
            self._tcp = TcpInside(self.namespace, self.bed.address(0))
            if not self._tcp.goes_on(JOIN_S):
                raise TimeoutError("nothing comes back on the TCP connection inside")
        self._seen = len(self.client.log_text())

    def ping(self) -> None:
        """Ping the peer from now on."""
        self._pings = Pings(self.namespace, self.bed.address(0))
        self.bed.parts.enter_context(self._pings)

    def send_inside(self) -> None:
        """Send a line on the TCP connection inside."""
        if self._tcp is not None:
            self._tcp.send()

    def first_ping_s(self, moment_s: float, within_s: float = 60.0) -> float:
        """Return how long after `moment_s` of time.time() the first ping was answered."""
        if self._pings is None:
            self.ping()
        assert self._pings is not None
        return self._pings.first_after_s(moment_s, within_s)

    def tcp_goes_on(self, within_s: float = 60.0) -> bool:
        """Tell whether the TCP connection inside has outlived the outage."""
        return self._tcp is not None and self._tcp.goes_on(within_s)

    def said(self) -> list[str]:
        """Return the lines that the client has said since it joined."""
        return _PREFIX.sub("", self.client.log_text()[self._seen :]).splitlines()

    def left(self) -> list[str]:
        """Return what the client has left on its machine; call it after the client's end."""
        for _ in range(50):
            if not (left := sorted(_traces(self.namespace) - self._before)):
                return []
            time.sleep(0.1)
        return left

    def close(self) -> None:
        """End what goes on inside."""
        if self._tcp is not None:
            self._tcp.close()
        if self._pings is not None:
            self._pings.stop()


def _traces(namespace: Namespace) -> set[str]:
    """Return the devices, addresses, routes and rules that are not the road's."""
    asked = ("-br link", "-o address", "route show table all", "-6 route show table all", "rule")
    lines = {line.strip() for what in asked for line in namespace.ip(what).splitlines()}
    return {re.sub(r"expires \w+|_lft \w+", "", line) for line in lines if "eth0" not in line}

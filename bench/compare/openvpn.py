"""OpenVPN in tap mode, client to client through its server, over TCP or UDP."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bench.compare.contestant import Contestant
from tests.support.ca import CertificateAuthority
from tests.support.netns import SERVER_ADDRESS
from tests.support.service import Daemon

if TYPE_CHECKING:
    from tests.support.ca import Certificate
    from tests.support.netns import Namespace

PORT = 1194

# sndbuf and rcvbuf 0 leave the sizes to the kernel, which grows them for TCP.
COMMON = """
dev tap0
dev-type tap
data-ciphers AES-256-GCM
txqueuelen 1000
tun-mtu 1500
persist-tun
persist-key
verb 1
"""
_SERVER = """
mode server
tls-server
dh none
client-to-client
keepalive 10 60
max-clients 16
"""
_CLIENT = """
client
nobind
remote-cert-tls server
"""


class OpenVpn(Contestant):
    """What TCP and UDP have in common."""

    tools = ("openvpn", "openssl")
    server_lines: ClassVar[str]
    client_lines: ClassVar[str]

    def start(self) -> None:
        """Start the server, then both clients, and wait until each says that it is ready."""
        self.parts.enter_context(self.lan)
        ca = CertificateAuthority(self.directory)
        role = f"port {PORT}\n{_SERVER}{self.server_lines}"
        self._run(self.lan.server, role, ca, ca.server(SERVER_ADDRESS))
        self.lan.server.ip("link set tap0 up")
        for index, station in enumerate(self.stations):
            address = f"ifconfig {self.address(index)} 255.255.255.0\n"
            remote = f"remote {SERVER_ADDRESS} {PORT}\n"
            role = f"{_CLIENT}{address}{remote}{self.client_lines}"
            self._run(station, role, ca, ca.client(f"station{index}"))

    def _run(
        self, namespace: Namespace, role: str, ca: CertificateAuthority, own: Certificate
    ) -> None:
        config = self.directory / f"{namespace.name}.conf"
        files = f"ca {ca.crt}\ncert {own.crt}\nkey {own.key}\n"
        config.write_text(COMMON + role + files)
        command = ["openvpn", "--config", str(config)]
        self.parts.enter_context(Daemon(namespace, command, "Initialization Sequence Completed"))


class OpenVpnTcp(OpenVpn):
    """Over TCP, which passes the same firewalls as a WebSocket."""

    name = "openvpn-tcp"
    sentence = "OpenVPN, tap, TCP, AES-256-GCM"
    # The queue is what the server keeps for a client that reads too slowly: 64 loses frames that
    # a bulk transfer then has to repeat.
    server_lines = (
        "proto tcp-server\nsocket-flags TCP_NODELAY\nsndbuf 0\nrcvbuf 0\nmssfix 0\n"
        "tcp-queue-limit 256\n"
    )
    client_lines = "proto tcp-client\nsocket-flags TCP_NODELAY\nsndbuf 0\nrcvbuf 0\nmssfix 0\n"


class OpenVpnUdp(OpenVpn):
    """Over UDP, as its authors advise wherever UDP passes."""

    name = "openvpn-udp"
    sentence = "OpenVPN, tap, UDP, AES-256-GCM"
    # mssfix 1500 mtu: a full TCP segment inside fits one packet of the road, and none fragments.
    server_lines = "proto udp\nfast-io\nsndbuf 2097152\nrcvbuf 2097152\nmssfix 1500 mtu\n"
    client_lines = server_lines + "explicit-exit-notify 1\n"

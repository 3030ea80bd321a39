"""The client's whole program in a namespace of its own, with a server that echoes there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.assembly import Assembly
from tests.support.echo_server import EchoServer
from tests.support.frames import EXPERIMENT, ethernet, mac
from tests.support.site import raw_socket
from tests.support.vpn import TAP, Client
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from websockets.sync.server import ServerConnection

    from tests.support.netns import Namespace

WAIT_S = 10.0
MAC = "02:00:00:00:00:0a"
PEER = mac(0x0B)
TEST_TYPE = EXPERIMENT.to_bytes(2, "big")
PACKET_OUTGOING = 4


class ProgramBed(Assembly):
    """The namespace, a server in it, and clients."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace

    def build(self) -> None:
        """Start the server."""
        self.server = self.parts.enter_context(EchoServer(self.namespace))

    def start(self, *arguments: str, prefix: str = "") -> Client:
        """Start a client with exactly these arguments, behind the command `prefix`."""
        return self.start_behind(prefix.split(), *arguments)

    def start_behind(self, wrapper: Sequence[str], *arguments: str) -> Client:
        """Start a client behind a command that runs it in the end."""
        return self.parts.enter_context(Client(self.namespace, *arguments, wrapper=wrapper))

    def connect(self, *options: str) -> Client:
        """Start a client against the server, and wait until it is connected."""
        client = self.start(*options, TAP, self.url)
        client.wait_until_connected()
        self.link()
        return client

    def link(self) -> ServerConnection:
        """Return the server's end of a connection; it may be made after the client's."""
        made = self.server.connections
        wait_for(lambda: made, WAIT_S, "the server to serve the client")
        return made[-1]

    @property
    def url(self) -> str:
        """Where the server listens."""
        return f"ws://127.0.0.1:{self.server.port}/vpn"

    def has_tap(self) -> bool:
        """Tell whether the device is there."""
        return TAP in self.namespace.ip("-o link show")


def on_the_tap(namespace: Namespace) -> socket.socket:
    """Return a packet socket on the client's TAP: what it sends, the client reads."""
    made = raw_socket(namespace, TAP)
    made.settimeout(WAIT_S)
    return made


def make_frame(number: int, size: int) -> bytes:
    """Return a different test frame of `size` bytes for each number."""
    content = number.to_bytes(4, "big").ljust(size - 14, b"\0")
    return ethernet(EXPERIMENT, content, macs=PEER + mac(0x0A))


def echoes(sock: socket.socket, count: int) -> list[bytes]:
    """Return the next `count` test frames that come out of the tunnel."""
    got: list[bytes] = []
    while len(got) < count:
        data, address = sock.recvfrom(65536)
        if address[2] != PACKET_OUTGOING and data[12:14] == TEST_TYPE:
            got.append(data)
    return got

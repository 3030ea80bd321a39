"""Opens a tunnel through a proxy on a connected stream, within its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from vpnws.client.connect.exchange import read, write
from vpnws.client.connect.reasons import reason_of
from vpnws.errors import ConnectError

if TYPE_CHECKING:
    from vpnws.client.carry.stream import Stream
    from vpnws.client.settings import Proxy
    from vpnws.client.waiting import Waiter

PROXY_TIMEOUT_S: Final = 15.0
"""A proxy that needs longer to reach the server is given up."""
READ_BYTES: Final = 4096
"""One read of a proxy's answer takes at most this much."""


class Tunnel(Protocol):
    """What is said to a proxy until it passes on our bytes: a state machine without I/O."""

    @property
    def is_open(self) -> bool:
        """Whether what comes next is the server's."""

    def take_unsent(self) -> bytes:
        """Return what to send now."""

    def feed(self, data: bytes | memoryview) -> None:
        """Take received bytes. Raises ConnectError if the proxy makes no tunnel."""


def open_tunnel(stream: Stream, tunnel: Tunnel, proxy: Proxy, waiter: Waiter) -> None:
    """Speak with the proxy at the other end of `stream` until the tunnel is open.

    Raises ConnectError, RefusedError, Stopped.
    """
    until_s = waiter.now() + PROXY_TIMEOUT_S
    buffer = memoryview(bytearray(READ_BYTES))
    name = proxy.named
    try:
        while not tunnel.is_open:
            write(stream, tunnel.take_unsent(), waiter, until_s)
            count = read(stream, buffer, waiter, until_s)
            if not count:
                hint = "is it a proxy of that kind, and does it allow this machine?"
                raise ConnectError(f"{name} hung up instead of answering: {hint}")
            tunnel.feed(buffer[:count])
    except TimeoutError as error:
        raise ConnectError(
            f"{name} took the connection, then said nothing for {PROXY_TIMEOUT_S:.0f} s: is it a"
            " proxy of that kind (http:// or socks5h://), and can it reach the server?"
        ) from error
    except OSError as error:
        raise ConnectError(f"{name} hung up: {reason_of(error)}") from error


def host_port(host: str, port: int) -> str:
    """Return host and port as HTTP writes them, with the port in any case."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

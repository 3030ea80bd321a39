"""Opens a connection that leads to a server: straight there, or through its proxy."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

from vpnws.client.carry.nested import NestedSocket
from vpnws.client.carry.stream import Stream, TlsStream
from vpnws.client.connect.http_tunnel import HttpTunnel
from vpnws.client.connect.race import interleave
from vpnws.client.connect.reasons import TLS_ENDED, reason_of
from vpnws.client.connect.resolve import Resolver
from vpnws.client.connect.secure import shake_hands
from vpnws.client.connect.socks import SocksTunnel
from vpnws.client.connect.tcp import connect_first
from vpnws.client.connect.tunnel import PROXY_TIMEOUT_S, Tunnel, open_tunnel
from vpnws.client.settings import Proxy, ProxyScheme, ServerUrl
from vpnws.errors import ConnectError, NetworkChangedError, RefusedError
from vpnws.https import tls

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vpnws.client.carry.stream import StreamSocket
    from vpnws.client.connect.race import Address
    from vpnws.client.waiting import Waiter

PROXY_CA: Final = "--proxy-ca"
"""The option that names the authorities of an HTTPS proxy."""
MAX_TARGETS: Final = 2
"""How many addresses of a server a socks5:// proxy is asked for in turn: one of each family."""


class Ways:
    """Opens the connections of one station; knows the addresses of its servers and proxies."""

    def __init__(self, own: Sequence[str], urls: Iterable[ServerUrl], waiter: Waiter) -> None:
        """`own` are this station's addresses in the VPN, through which nothing can be reached.

        `urls` are the servers. Raises ConfigError if the authorities of a proxy cannot be read.
        """
        self._own = own
        # Later the program may no longer be allowed to read the file.
        self._contexts = {
            url.proxy: _context(url.proxy)
            for url in urls
            if url.proxy is not None and url.proxy.scheme is ProxyScheme.HTTPS
        }
        self._waiter = waiter
        self._resolver = Resolver(waiter)
        # Addresses that took a connection and then failed us; at most those that are known.
        self._doubtful: set[str] = set()

    @property
    def known_addresses(self) -> tuple[str, ...]:
        """Every IP address that a connection may go to, as far as names were looked up yet."""
        return self._resolver.known

    def open(self, url: ServerUrl) -> StreamSocket:
        """Return a connected socket: what is sent comes to the server at `url`.

        Raises ConnectError, RefusedError if a proxy wants another login, Stopped.
        """
        proxy = url.proxy
        if proxy is None:
            addresses = self._ordered(url.host, url.port)
            return connect_first(url.authority, "server", addresses, self._own, self._waiter)
        *others, last = self._targets(proxy, url)
        for host in others:
            try:
                return self._through(proxy, host, url.port)
            except (RefusedError, NetworkChangedError):
                raise
            except ConnectError:
                continue
        return self._through(proxy, last, url.port)

    def doubt(self, address: str) -> None:
        """Try the IP address `address` last: it took a connection, and then nothing came.

        So a path that loses long packets, as some do with IPv6, is left at the next attempt.
        """
        if address in self.known_addresses:
            self._doubtful.add(address)

    def trust(self, address: str) -> None:
        """Try the IP address `address` in its turn again."""
        self._doubtful.discard(address)

    def _ordered(self, host: str, port: int) -> list[Address]:
        """Return the addresses of `host` in the order to try them."""
        found = self._resolver.addresses(host, port)
        self._doubtful.intersection_update(self.known_addresses)
        return interleave(found, self._doubtful)

    def _targets(self, proxy: Proxy, url: ServerUrl) -> list[str]:
        """Return what to ask the proxy for: the server's name, or its addresses."""
        if proxy.scheme is not ProxyScheme.SOCKS5:
            return [url.server_name]
        addresses = self._resolver.addresses(url.server_name, url.port)
        return [str(place[0]) for _, place in addresses[:MAX_TARGETS]]

    def _through(self, proxy: Proxy, host: str, port: int) -> StreamSocket:
        """Return a socket that leads through `proxy` to `host` and `port`."""
        tunnel: Tunnel
        if proxy.scheme in (ProxyScheme.HTTP, ProxyScheme.HTTPS):
            tunnel = HttpTunnel(proxy, host, port)
        else:
            tunnel = SocksTunnel(proxy, host, port)
        addresses = self._ordered(proxy.host, proxy.port)
        sock = connect_first(proxy.named, "proxy", addresses, self._own, self._waiter)
        try:
            if proxy.scheme is ProxyScheme.HTTPS:
                return self._through_tls(
                    TlsStream(sock, self._contexts[proxy], proxy.host), tunnel, proxy
                )
            open_tunnel(Stream(sock), tunnel, proxy, self._waiter)
        except BaseException:
            sock.close()
            raise
        return sock

    def _through_tls(self, stream: TlsStream, tunnel: Tunnel, proxy: Proxy) -> NestedSocket:
        try:
            shake_hands(stream, proxy.named, self._waiter, self._waiter.now() + PROXY_TIMEOUT_S)
        except TLS_ENDED as error:
            raise ConnectError(f"{proxy.named} hung up inside TLS: does it speak TLS?") from error
        except ssl.SSLError as error:
            raise tls.explain(error, proxy.named, proxy.authority, option=PROXY_CA) from error
        except OSError as error:
            raise ConnectError(f"{proxy.named} hung up: {reason_of(error)}") from error
        open_tunnel(stream, tunnel, proxy, self._waiter)
        return NestedSocket(stream)


def _context(proxy: Proxy) -> ssl.SSLContext:
    return tls.make_context(tls.TlsSettings(authority=proxy.authority), PROXY_CA)

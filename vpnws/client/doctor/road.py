"""The steps of the road to a server: name, route, TCP, proxy, TLS."""

from __future__ import annotations

import ipaddress
import ssl
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from vpnws.client.connect.dial import open_tls
from vpnws.client.connect.reasons import TLS_ENDED, reason_of
from vpnws.client.connect.resolve import Resolver
from vpnws.client.connect.secure import explain
from vpnws.client.connect.tcp import connect_first
from vpnws.client.connect.way import Ways
from vpnws.client.doctor.step import NoteError, SkippedError, Step
from vpnws.errors import ConnectError
from vpnws.https.issuer import issuer_of
from vpnws.tap.ways import way_to

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.client.carry.stream import TlsStream
    from vpnws.client.connect.race import Address
    from vpnws.client.settings import ClientSettings
    from vpnws.client.waiting import Waiter

SOON_S: Final = 14 * 86400
"""A certificate that ends sooner than this is worth a note."""


class Road:
    """The road to the server of `settings`, or to its proxy."""

    def __init__(
        self, settings: ClientSettings, context: ssl.SSLContext | None, waiter: Waiter
    ) -> None:
        """`context` is for wss."""
        self._settings = settings
        self._url = settings.url
        self._context = context if settings.url.secure else None
        self._waiter = waiter
        self._ways = Ways(settings.addresses, [settings.url], waiter)
        self._addresses: list[Address] = []

    def steps(self) -> tuple[Step, ...]:
        """Return the steps, in order."""
        return (
            Step("name lookup", self._look_up),
            Step("route", self._route, is_vital=False),
            Step("TCP", self._connect),
            Step("proxy", self._through),
            Step("TLS", self._secure),
        )

    def _look_up(self) -> str:
        host, port = self._first_hop()
        self._addresses = Resolver(self._waiter).addresses(host, port)
        shown = ", ".join(str(place[0]) for _, place in self._addresses)
        if self._url.proxy is None:
            return shown if shown == host else f"{host}: {shown}"
        return f"{self._url.proxy.named}: {shown}"

    def _first_hop(self) -> tuple[str, int]:
        proxy = self._url.proxy
        return (self._url.host, self._url.port) if proxy is None else (proxy.host, proxy.port)

    def _route(self) -> str:
        if not self._addresses:
            raise SkippedError("no address is known")
        ways = [(str(place[0]), way_to(str(place[0]))) for _, place in self._addresses]
        told = [f"{address} by {way.device}{_via(way.gateway)}" for address, way in ways if way]
        if not told:
            raise NoteError("the kernel tells no way there (ip route get ADDRESS shows it)")
        return "; ".join(told)

    def _connect(self) -> str:
        """Connect to each address by itself. Raises ConnectError if none takes the connection."""
        taken: list[str] = []
        failures: list[str] = []
        for address in self._addresses:
            began_s = self._waiter.now()
            shown = str(address[1][0])
            try:
                self._connect_to(address)
            except ConnectError as error:
                failures.append(str(error).partition(": ")[2] or str(error))
            else:
                taken.append(f"{shown} in {(self._waiter.now() - began_s) * 1000:.0f} ms")
        if not taken:
            raise ConnectError(f"cannot connect to {self._name()}: {'; '.join(failures)}")
        if failures:
            raise NoteError(f"{', '.join(taken)}; but not every address: {'; '.join(failures)}")
        return ", ".join(taken)

    def _connect_to(self, address: Address) -> None:
        role = "server" if self._url.proxy is None else "proxy"
        own = self._settings.addresses
        connect_first(self._name(), role, [address], own, self._waiter).close()

    def _name(self) -> str:
        return self._url.authority if self._url.proxy is None else self._url.proxy.named

    def _through(self) -> str:
        proxy = self._url.proxy
        if proxy is None:
            raise SkippedError("none is used")
        self._ways.open(self._url).close()
        return f"{proxy.named} connects to {self._url.authority}"

    def _secure(self) -> str:
        if self._context is None:
            raise SkippedError("ws:// is not encrypted: use wss:// outside of tests")
        try:
            stream = self._look(self._context)
        except ssl.SSLError as error:
            raise self._explained(error) from error
        except OSError as error:
            raise ConnectError(f"{self._url.authority} hung up: {reason_of(error)}") from error
        with closing(stream):
            return _certified(stream, time.time())

    def _look(self, context: ssl.SSLContext) -> TlsStream:
        return open_tls(self._ways, self._settings, context, self._waiter)

    def _explained(self, error: ssl.SSLError) -> ConnectError:
        if isinstance(error, TLS_ENDED):
            return ConnectError(f"{self._url.authority} hung up: {reason_of(error)}")
        settings = self._settings
        return explain(error, settings.certified_name, settings.tls, self._context, self._look)


def _via(gateway: bytes) -> str:
    return f" via {ipaddress.ip_address(gateway)}" if gateway else ""


def _certified(stream: TlsStream, now_s: float) -> str:
    """Return who certifies the server and until when. Raises NoteError if that is nearly over."""
    issuer = issuer_of(stream.certificate_bytes)
    certificate: Mapping[str, Any] = stream.certificate
    if not certificate:
        raise NoteError(f"a certificate signed by {issuer or 'nobody'}, not checked (--no-verify)")
    ends_s = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    day = time.strftime("%Y-%m-%d", time.gmtime(ends_s))
    says = f"{stream.version}, a certificate signed by {issuer}, valid until {day}"
    if ends_s - now_s < SOON_S:
        raise NoteError(f"{says}: it has to be renewed soon")
    return says

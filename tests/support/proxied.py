"""Stations behind a proxy of tests/support/proxies.py: how they log in, and who they are there.

stations[i]: vpnws-client -- tap0 10.8.0.(i+1)/24
     | wss://10.99.0.1/vpn or /cert
server: the proxy, port 443 -- 127.0.0.1:8080 or the unix socket -- uWSGI
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .netns import SERVER_ADDRESS, Lan
from .proxies import PASSWORD, USER, Kind, Proxy
from .raw_client import RawClient, Response, basic
from .uwsgi import INI, Uwsgi
from .vpn import Client, ClientBed

if TYPE_CHECKING:
    from pathlib import Path

    from .ca import Certificate

HTTP = "127.0.0.1:8080"
LOGIN = basic(USER, PASSWORD)
CERTIFIED = "laptop"


class Proxied(ClientBed):
    """A server behind a proxy from the start of a `with` block to its end."""

    def __init__(
        self, kind: Kind, stations: int, *, ini: Path = INI, trusted: str = "127.0.0.1"
    ) -> None:
        """Plan it; `ini` is uWSGI's, the project's by default, `trusted` vpnws-trusted-proxies."""
        super().__init__(Lan(stations))
        self.kind = kind
        self._ini = ini
        # The router works without a trusted proxy, so it is tested without one.
        self._trusted = trusted if kind.knows_passwords else ""

    def build(self) -> None:
        """Make the LAN, then the proxy, then uWSGI."""
        self.parts.enter_context(self.lan)
        self.proxy = self.parts.enter_context(Proxy(self.kind, self.lan.server))
        self.uwsgi = self.parts.enter_context(
            Uwsgi(
                namespace=self.lan.server,
                http=HTTP,
                socket_path=self.proxy.socket_path,
                placeholders={"vpnws-trusted-proxies": self._trusted},
                ini=self._ini,
                has_mule=self._ini == INI,
            )
        )
        self.certificate = self.proxy.clients_ca.client(CERTIFIED)

    @property
    def dn(self) -> str:
        """The DN of `certificate` as this proxy writes it."""
        if not self.kind.knows_passwords:
            return f"/O=vpnws tests/CN={CERTIFIED}"
        return f"CN={CERTIFIED},O=vpnws tests"

    def set_out(self, index: int, path: str, *options: str, login: str = "") -> Client:
        """Start station `index`'s client and do not wait for anything."""
        return self.start_client(
            self.lan.stations[index],
            f"wss://{login}{SERVER_ADDRESS}{path}",
            *("--address", f"{self.address(index)}/24", "--ca", str(self.proxy.ca.crt)),
            *options,
        )

    def join(self, index: int, *options: str, certified: bool) -> Client:
        """Join station `index` with its certificate, or with the name and the password."""
        own = ("--crt", str(self.certificate.crt), "--key", str(self.certificate.key))
        if certified:
            client = self.set_out(index, "/cert", *own, *options)
        else:
            client = self.set_out(index, "/vpn", *options, login=f"{USER}:{PASSWORD}@")
        client.wait_until_connected()
        return client

    def dial(self, certificate: Certificate | None = None) -> RawClient:
        """Return a TLS connection to the proxy from station 0, without a request."""
        context = self.proxy.ca.client_context(certificate)
        return RawClient(SERVER_ADDRESS, 443, namespace=self.lan.stations[0], tls=context)

    def ask(
        self, path: str, *headers: tuple[str, str], certificate: Certificate | None = None
    ) -> Response:
        """Ask for a WebSocket, hang up, and return the answer."""
        with self.dial(certificate) as client:
            return client.upgrade(path, headers)

    def enter(self, *headers: tuple[str, str], certified: bool) -> RawClient:
        """Return a connection that has been upgraded. Raises ConnectionError if it was not."""
        client = self.dial(self.certificate if certified else None)
        login = () if certified else (LOGIN,)
        status = client.upgrade("/cert" if certified else "/vpn", [*login, *headers]).status
        if status != 101:
            client.close()
            raise ConnectionError(f"{self.kind.name} answered {status}")
        return client

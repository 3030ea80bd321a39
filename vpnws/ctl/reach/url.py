"""The way over a web server: HTTPS to the location that it grants the control interface."""

from __future__ import annotations

import base64
import socket
import ssl
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, quote, urlsplit

from vpnws import __version__
from vpnws.ctl.reach.request import ANSWER_S, CONNECT_S, Answer
from vpnws.errors import ConfigError, ConnectError
from vpnws.https import tls

if TYPE_CHECKING:
    from pathlib import Path

    from vpnws.ctl.reach.request import Request

_PORTS: Final = {"http": 80, "https": 443}
_KEPT_IN_PATH: Final = "/:@!$&'()*+,;=%"
EXAMPLE: Final = "write it like https://vpn.example.org/vpn_admin"


@dataclass(frozen=True, slots=True)
class Url:
    """Where the control interface is."""

    secure: bool
    host: str
    port: int
    path: str
    """Without a slash at its end."""

    @property
    def shown(self) -> str:
        """The URL as people write it."""
        scheme = "https" if self.secure else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[scheme] else f":{self.port}"
        return f"{scheme}://{host}{port}{self.path}"


def parse_url(text: str) -> Url:
    """Read an http:// or https:// URL. Raises ConfigError, which never repeats a password."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _wrong("its host or port is not proper") from error
    what = _what_is_wrong(text, parts)
    if what:
        raise _wrong(what)
    return Url(
        parts.scheme == "https",
        parts.hostname or "",
        port or _PORTS[parts.scheme],
        quote(parts.path.rstrip("/"), safe=_KEPT_IN_PATH),
    )


def _what_is_wrong(text: str, parts: SplitResult) -> str:
    """Return what is wrong with a URL, empty if nothing is."""
    if any(c.isspace() or not c.isprintable() for c in text):
        return "it has a space or a control character in it"
    if parts.scheme not in _PORTS or "://" not in text:
        return "it does not begin with https:// or http://"
    if "@" in parts.netloc:
        return "everybody on this machine could read the password in it: use --user"
    if not parts.hostname:
        return "it names no host"
    if parts.query or parts.fragment:
        return "it must end with the path of the control location, without '?' and '#'"
    return ""


def _wrong(what: str) -> ConfigError:
    return ConfigError(f"the URL of the control interface cannot be used: {what}; {EXAMPLE}")


@dataclass(frozen=True, slots=True)
class UrlWay:
    """Requests to a web server, one connection each."""

    url: Url
    login: tuple[str, str] | None = field(default=None, repr=False)
    """User and password for HTTP's Basic scheme."""
    authority: Path | None = None
    context: ssl.SSLContext | None = None
    """None for http."""

    @property
    def shown(self) -> str:
        """The server, as sentences name it."""
        return self.url.shown

    def ask(self, request: Request) -> Answer:
        """Send `request` and return the answer. Raises ConnectError with the remedy."""
        connection = self._connection()
        try:
            self._connect(connection)
            return self._exchange(connection, request)
        except BaseException:
            connection.close()
            raise

    def _connection(self) -> HTTPConnection:
        host, port = self.url.host, self.url.port
        if self.context is None:
            return HTTPConnection(host, port, timeout=CONNECT_S)
        return HTTPSConnection(host, port, timeout=CONNECT_S, context=self.context)

    def _connect(self, connection: HTTPConnection) -> None:
        try:
            connection.connect()
        except ssl.SSLError as error:
            raise self._explain(error) from error
        except socket.gaierror as error:
            raise ConnectError(
                f"the name {self.url.host} cannot be looked up: {error.strerror}; is it right?"
            ) from error
        except TimeoutError as error:
            raise ConnectError(
                f"{self.shown} does not answer within {CONNECT_S:.0f} s: is the address right, and"
                " does a firewall let the port through?"
            ) from error
        except OSError as error:
            hint = ": nobody listens there" if isinstance(error, ConnectionRefusedError) else ""
            raise ConnectError(
                f"cannot connect to {self.shown}: {error.strerror or error}{hint}"
            ) from error

    def _exchange(self, connection: HTTPConnection, request: Request) -> Answer:
        sock = connection.sock
        sock.settimeout(ANSWER_S)
        query = request.query_string
        target = f"{self.url.path}/{request.path}{'?' if query else ''}{query}"
        try:
            connection.request(request.method, target, request.body or None, self._headers(request))
            return Answer(connection.getresponse(), sock, self.shown)
        except ssl.SSLError as error:
            raise self._explain(error) from error
        except TimeoutError as error:
            raise ConnectError(
                f"{self.shown} took the request and said nothing for {ANSWER_S:.0f} s: the switch"
                " behind it may hang, or be overloaded (see its log)"
            ) from error
        except (OSError, HTTPException) as error:
            hint = "" if self.url.secure else "; does that port speak TLS (https://)?"
            raise ConnectError(f"{self.shown} hung up, or is no web server{hint}") from error

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {"User-Agent": f"vpnws-ctl/{__version__}", **request.headers}
        if self.login is not None:
            secret = base64.b64encode(":".join(self.login).encode()).decode()
            headers["Authorization"] = f"Basic {secret}"
        return headers

    def _explain(self, error: ssl.SSLError) -> ConnectError:
        if tls.is_about_dates(error):
            return tls.explain_dates(self.url.host, {}, time.time())
        return tls.explain(error, self.url.host, self.authority)

"""Servers for vpnws-ctl: a WSGI application behind a unix socket as uWSGI's, or behind HTTPS."""

from __future__ import annotations

import base64
import io
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import formatdate
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import msgspec

from tests.fakes.control import Operator
from vpnws.ctl.reach.request import Answer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.fakes.house import House
    from vpnws.ctl.reach.request import Request

PREFIX = "/api/v1/"
TOKEN = "the-token"
JSON = "application/json"


class Canned:
    """A control interface with answers that a test gives: `answers["GET ports"] = {...}`.

    An answer is anything that becomes JSON, or a function of query and body that returns it. A
    Reply is sent as it is.
    """

    def __init__(self, **answers: Any) -> None:
        """`answers` are those to GET, by path."""
        self.answers: dict[str, Any] = {
            "GET token": {"token": TOKEN},
            **{f"GET {path}": answer for path, answer in answers.items()},
        }
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        """Method and path, query and body of each request."""
        self.environs: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Answer one request (PEP 3333)."""
        self.environs.append(environ)
        path = environ["PATH_INFO"].partition(PREFIX)[2]
        key = f"{environ['REQUEST_METHOD']} {path}"
        query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = msgspec.json.decode(environ["wsgi.input"].read(length)) if length else None
        self.asked.append((key, query, body))
        answer = self._answer(key, environ, query, body)
        start_response(answer.status, [("Content-Type", answer.kind), *answer.headers])
        return [answer.body] if isinstance(answer.body, bytes) else answer.body

    def changes(self) -> list[tuple[str, Any]]:
        """Return method and path, and the body, of each change that was asked for."""
        return [(key, body) for key, _, body in self.asked if not key.startswith("GET ")]

    def _answer(self, key: str, environ: dict[str, Any], query: dict[str, str], body: Any) -> Reply:
        if not key.startswith("GET ") and environ.get("HTTP_X_VPNWS_TOKEN") != TOKEN:
            return error("403 Forbidden", "a change needs a token.")
        if key not in self.answers:
            return error("404 Not Found", f"there is no {key.partition('/')[2] or key}.")
        answer = self.answers[key]
        if callable(answer):
            answer = answer(query, body)
        return answer if isinstance(answer, Reply) else Reply(msgspec.json.encode(answer))


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of HTTP; a body of several pieces is sent piece by piece."""

    body: bytes | Iterable[bytes]
    status: str = "200 OK"
    kind: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


def error(status: str, sentence: str) -> Reply:
    """Return an error as the API answers it."""
    return Reply(msgspec.json.encode({"error": sentence}), status)


def items(*rows: Any, missing: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a list as the API answers it."""
    return {"items": rows, "next": "", "missing": missing}


@contextmanager
def at_socket(path: Path, application: Callable[..., Any]) -> Iterator[None]:
    """Have `application` answer at a unix socket, by the uwsgi protocol, one request at a time."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(8)
        thread = threading.Thread(target=_serve, args=(server, application), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def at_url(
    application: Callable[..., Any],
    context: ssl.SSLContext | None = None,
    login: tuple[str, str] | None = None,
) -> Iterator[int]:
    """Have `application` answer HTTP at a port of 127.0.0.1; yield the port.

    With `context` it speaks TLS; with `login` it wants that user and password for everything.
    """
    checked = application if login is None else _behind(application, *login)
    with WSGIServer(("127.0.0.1", 0), _Quiet) as server:
        server.set_app(checked)
        if context is not None:
            # The handshake happens at the first read, in the turn of one request.
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@dataclass
class HouseWay:
    """vpnws-ctl's way to a worker of a server in one process."""

    house: House
    worker: int = 1
    shown: str = "the house"

    def ask(self, request: Request) -> Answer:
        """Send `request`, let the time pass that an answer takes, and return the answer."""
        headers = {
            f"HTTP_{name.upper()}".replace("-", "_"): v for name, v in request.headers.items()
        }
        asked = Operator(self.house, self.worker, location="/").begin(
            request.method,
            request.path,
            msgspec.json.decode(request.body) if request.body else None,
            query=request.query_string,
            **headers,
        )
        if not asked.is_over:
            self.house.loop.advance(5.0)
        # A web server adds it: the house has a clock of its own.
        date = formatdate(self.house.loop.unix_s(), usegmt=True)
        near, far = socket.socketpair()
        with far:
            far.sendall(_head(asked.status, [*asked.headers, ("Date", date)]) + asked.body)
        response = HTTPResponse(near, method=request.method)
        response.begin()
        return Answer(response, near, self.shown)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def _behind(application: Callable[..., Any], user: str, password: str) -> Callable[..., Any]:
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def checked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if environ.get("HTTP_AUTHORIZATION") != wanted:
            start_response("401 Unauthorized", [("Content-Type", "text/html")])
            return [b"<h1>401 Authorization Required</h1>"]
        return application({**environ, "REMOTE_USER": user}, start_response)

    return checked


def _serve(server: socket.socket, application: Callable[..., Any]) -> None:
    # accept fails when the listening socket is shut down.
    with suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection, suppress(OSError, EOFError):
                _answer(connection, application)


def _answer(connection: socket.socket, application: Callable[..., Any]) -> None:
    stream = connection.makefile("rb")
    modifier, length, _ = struct.unpack("<BHB", stream.read(4))
    assert modifier == 0
    environ = _variables(stream.read(length))
    body = stream.read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    environ["connection"] = connection

    def start_response(status: str, headers: list[tuple[str, str]]) -> None:
        connection.sendall(_head(status, headers))

    for part in application(environ, start_response):
        connection.sendall(part)


def _head(status: str, headers: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode()


def _variables(block: bytes) -> dict[str, Any]:
    texts: list[str] = []
    while block:
        (length,) = struct.unpack_from("<H", block)
        texts.append(block[2 : 2 + length].decode("latin-1"))
        block = block[2 + length :]
    return dict(zip(texts[::2], texts[1::2], strict=True))

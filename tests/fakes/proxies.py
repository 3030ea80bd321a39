"""Small HTTP and SOCKS5 proxies in threads: they check logins, and look up names of their own."""

from __future__ import annotations

import base64
import ipaddress
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.support.assembly import Assembly

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

WAIT_S = 5.0
MAX_HEAD_BYTES = 16384


class FakeProxy(Assembly):
    """Joins each connection to the server that it asks for; `names` are the hosts it knows."""

    def __init__(
        self,
        names: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Want `login` if there is one; with `context` speak TLS."""
        self.names = dict(names or {})
        self.login = login
        self.asked: list[tuple[str, int]] = []
        """Hosts and ports that were asked for, as they were written."""
        self.logins: list[tuple[str, str] | None] = []
        """The user and password of each request."""
        self._context = context
        self._open: list[socket.socket] = []

    def build(self) -> None:
        """Listen, and serve in threads."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
        thread.start()
        self.parts.callback(self._close_all)
        self.parts.callback(thread.join, WAIT_S)
        self.parts.callback(listener.close)
        self.parts.callback(listener.shutdown, socket.SHUT_RDWR)

    def greet(self, sock: socket.socket) -> tuple[str, int] | None:
        """Speak with a client until it has asked for a server; None if it gets none."""
        raise NotImplementedError

    def answer(self, sock: socket.socket, error: OSError | None) -> None:
        """Tell a client whether it is connected."""
        raise NotImplementedError

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                self._open.append(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError):
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            with sock:
                target = self.greet(sock)
                if target is not None:
                    self.asked.append(target)
                    self._connect(sock, target)

    def _connect(self, sock: socket.socket, target: tuple[str, int]) -> None:
        host, port = target
        try:
            if not _is_address(host) and host not in self.names:
                raise socket.gaierror(socket.EAI_NONAME, "no such name")
            there = socket.create_connection((self.names.get(host, host), port), WAIT_S)
        except OSError as error:
            self.answer(sock, error)
            return
        there.settimeout(None)
        self._open.append(there)
        self.answer(sock, None)
        back = threading.Thread(target=_pass_on, args=(there, sock), daemon=True)
        back.start()
        _pass_on(sock, there)
        back.join(WAIT_S)

    def _close_all(self) -> None:
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


class HttpProxy(FakeProxy):
    """Answers CONNECT; a login is Basic."""

    def greet(self, sock: socket.socket) -> tuple[str, int] | None:
        """Read the request; refuse it without the right login."""
        head = b""
        while b"\r\n\r\n" not in head:
            data = sock.recv(4096)
            if not data or len(head) > MAX_HEAD_BYTES:
                return None
            head += data
        line, *fields = head.decode().partition("\r\n\r\n")[0].split("\r\n")
        headers = {name.lower(): value for name, _, value in (f.partition(": ") for f in fields)}
        login = _basic(headers.get("proxy-authorization", ""))
        self.logins.append(login)
        if self.login is not None and login != self.login:
            challenge = 'Proxy-Authenticate: Basic realm="fake"\r\nContent-Length: 0'
            _send(sock, f"407 Proxy Authentication Required\r\n{challenge}")
            return None
        host, _, port = line.split(" ")[1].rpartition(":")
        return host.strip("[]"), int(port)

    def answer(self, sock: socket.socket, error: OSError | None) -> None:
        """Send 200, or 503 as Squid does."""
        if error is None:
            _send(sock, "200 Connection established")
            return
        name = "ERR_DNS_FAIL" if isinstance(error, socket.gaierror) else "ERR_CONNECT_FAIL"
        _send(sock, f"503 Service Unavailable\r\nX-Squid-Error: {name} {error.errno}")


class SocksProxy(FakeProxy):
    """Answers CONNECT of SOCKS5; a login is that of RFC 1929."""

    def greet(self, sock: socket.socket) -> tuple[str, int] | None:
        """Read greeting, login and request."""
        _, count = _receive(sock, 2)
        methods = _receive(sock, count)
        wanted = 0 if self.login is None else 2
        sock.sendall(bytes((5, wanted if wanted in methods else 0xFF)))
        if wanted not in methods:
            return None
        login = self._check_login(sock) if wanted else None
        self.logins.append(login)
        if login != self.login:
            return None
        kind = _receive(sock, 4)[3]
        if kind == 3:
            host = _receive(sock, _receive(sock, 1)[0]).decode()
        else:
            host = str(ipaddress.ip_address(_receive(sock, 4 if kind == 1 else 16)))
        return host, int.from_bytes(_receive(sock, 2))

    def answer(self, sock: socket.socket, error: OSError | None) -> None:
        """Send the reply, with an address that means nothing."""
        code = 0
        if error is not None:
            code = 4 if isinstance(error, socket.gaierror) else 5
        sock.sendall(bytes((5, code, 0, 1)) + bytes(6))

    def _check_login(self, sock: socket.socket) -> tuple[str, str]:
        _, user_bytes = _receive(sock, 2)
        user = _receive(sock, user_bytes).decode()
        password = _receive(sock, _receive(sock, 1)[0]).decode()
        sock.sendall(bytes((1, (user, password) != self.login)))
        return user, password


def _receive(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            raise OSError("the client hung up")
        data += part
    return data


def _send(sock: socket.socket, status_and_headers: str) -> None:
    sock.sendall(f"HTTP/1.1 {status_and_headers}\r\n\r\n".encode())


def _basic(value: str) -> tuple[str, str] | None:
    if not value.startswith("Basic "):
        return None
    user, _, password = base64.b64decode(value.removeprefix("Basic ")).decode().partition(":")
    return user, password


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)

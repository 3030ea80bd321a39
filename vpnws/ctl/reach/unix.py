"""The way over the switch's own unix socket, spoken to as a web server does: the uwsgi protocol.

Whoever may connect to that socket can be any web server, and so any station: it is trusted already.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import stat
import struct
from http.client import HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Final

from vpnws.ctl.reach.request import ANSWER_S, CONNECT_S, Answer
from vpnws.errors import ConfigError, ConnectError

if TYPE_CHECKING:
    from pathlib import Path

    from vpnws.ctl.reach.request import Request

MAX_VARS_BYTES: Final = 16384
"""A request with more variables is not sent: uWSGI's buffer-size in uwsgi.ini is this much."""
_ENDPOINT: Final = {"VPNWS_ENDPOINT": "control"}
"""What a web server grants in the location of the control interface."""
_NO_UWSGI: Final = "does not speak the uwsgi protocol, so it is no vpnws: see --socket"


class UnixWay:
    """Requests over a unix socket, one connection each."""

    def __init__(self, path: Path, user: str, *, answer_s: float = ANSWER_S) -> None:
        """`user` goes into the server's record of what was changed by whom.

        A server that says nothing for `answer_s` seconds is given up.
        """
        self.path = path
        self._answer_s = answer_s
        self.shown = f"the server at {path}"
        self._user = user

    def ask(self, request: Request) -> Answer:
        """Send `request` and return the answer. Raises ConnectError with the remedy."""
        sent = encode(_variables(request, self._user), request.body)
        sock = self._connect()
        try:
            return self._exchange(sock, sent, request.method)
        except BaseException:
            sock.close()
            raise

    def _exchange(self, sock: socket.socket, sent: bytes, method: str) -> Answer:
        try:
            sock.settimeout(self._answer_s)
            sock.sendall(sent)
            response = HTTPResponse(sock, method=method)
            response.begin()
        except TimeoutError as error:
            raise ConnectError(
                f"{self.shown} took the request and said nothing for {self._answer_s:.0f} s: it"
                f" hangs or is overloaded (see its log), or it {_NO_UWSGI}"
            ) from error
        except (OSError, HTTPException) as error:
            raise ConnectError(f"what listens at {self.path} {_NO_UWSGI}") from error
        return Answer(response, sock, self.shown)

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(CONNECT_S)
            sock.connect(os.fspath(self.path))
        except OSError as error:
            sock.close()
            raise ConnectError(_why_not(self.path, error)) from error
        return sock


def local_user() -> str:
    """Return the name of who runs this program; under sudo, of who ran sudo."""
    if os.geteuid() == 0 and os.environ.get("SUDO_USER"):
        return os.environ["SUDO_USER"]
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"


def encode(variables: dict[str, str], body: bytes = b"") -> bytes:
    """Return a request in the uwsgi protocol: modifier 0, the variables, then the body.

    See https://uwsgi-docs.readthedocs.io/en/latest/Protocol.html. Raises ConfigError if the
    variables are too long for the server.
    """
    block = b"".join(_counted(name) + _counted(value) for name, value in variables.items())
    if len(block) > MAX_VARS_BYTES:
        raise ConfigError("the request is too long: shorten the name or the text to search for")
    return struct.pack("<BHB", 0, len(block), 0) + block + body


def _variables(request: Request, user: str) -> dict[str, str]:
    path = f"/{request.path}"
    query = request.query_string
    headers = {
        name if name == "CONTENT_TYPE" else f"HTTP_{name}": value
        for name, value in (
            (header.upper().replace("-", "_"), value) for header, value in request.headers.items()
        )
    }
    return {
        "REQUEST_METHOD": request.method,
        "REQUEST_URI": f"{path}?{query}" if query else path,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(request.body)) if request.body else "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "443",
        "HTTP_HOST": "localhost",
        "REMOTE_USER": user,
        **headers,
        **_ENDPOINT,
    }


def _counted(text: str) -> bytes:
    data = text.encode(errors="surrogateescape")
    # A longer text makes the whole too long, which is found out afterwards.
    return struct.pack("<H", min(len(data), 0xFFFF)) + data


def _why_not(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return (
            f"there is no socket at {path}: is the switch running (systemctl status vpnws), and"
            " does its vpnws-socket name that place? --socket names another one"
        )
    if isinstance(error, PermissionError):
        return f"{path} may not be used by {local_user()}: {_who_may(path)}"
    if isinstance(error, TimeoutError | BlockingIOError):
        return f"the server at {path} takes no connection: it hangs or is overloaded (see its log)"
    if isinstance(error, ConnectionRefusedError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            return f"{path} is not a socket: --socket wants the switch's vpnws-socket"
        return f"nobody listens at {path} any more: start the switch (systemctl start vpnws)"
    return f"{path} cannot be used: {error.strerror or error}"


def _may_enter(directory: Path) -> bool:
    return os.access(directory, os.X_OK, effective_ids=True)


def _who_may(path: Path) -> str:
    """Return what a user without permission can do: which group lets in."""
    closed = next((each for each in reversed(path.parents) if not _may_enter(each)), path)
    group_id = closed.stat().st_gid
    try:
        group = grp.getgrgid(group_id).gr_name
    except KeyError:
        group = str(group_id)
    return (
        f"its group is {group}; become a member (sudo usermod -aG {group} {local_user()}, then log"
        " in again), or use sudo"
    )

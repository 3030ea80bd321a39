"""Runs nginx on a free port of this machine, with a location for stations and one for control."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .nginx import UWSGI_PARAMS
from .service import Service
from .tools import tool_path
from .uwsgi import free_port

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

CONTROL = "/vpn_admin/"
TIMEOUT_S = 10.0

_CONF = """\
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
daemon off;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {directory}/temp-body;
    proxy_temp_path {directory}/temp-proxy;
    fastcgi_temp_path {directory}/temp-fastcgi;
    uwsgi_temp_path {directory}/temp-uwsgi;
    scgi_temp_path {directory}/temp-scgi;
    access_log off;
    server {{
        listen 127.0.0.1:{port};
        location = /vpn {{
            include     uwsgi_params;
            uwsgi_param REMOTE_USER $http_x_user;
            uwsgi_pass  unix:{socket};
            uwsgi_read_timeout 1h;
        }}
        location {control} {{
            include     uwsgi_params;
            uwsgi_param REMOTE_USER    operator;
            uwsgi_param VPNWS_ENDPOINT control;
            uwsgi_pass  unix:{socket};
        }}
        {locations}
    }}
}}
"""


class PlainNginx(Service):
    """nginx without TLS and passwords: what tests of control need of a web server."""

    name = "nginx"

    def __init__(self, uwsgi_socket: Path, locations: str = "") -> None:
        """Plan one that passes requests on to `uwsgi_socket`, with more `locations`."""
        super().__init__()
        self._locations = locations
        self.port = free_port()
        self._uwsgi_socket = uwsgi_socket

    def lay_out(self) -> None:
        """Write its configuration."""
        shutil.copy(UWSGI_PARAMS, self.directory)
        text = _CONF.format(
            # Else root's workers become nobody, who may not enter the socket's directory.
            user="user root;" if os.geteuid() == 0 else "",
            directory=self.directory,
            port=self.port,
            socket=self._uwsgi_socket,
            control=CONTROL,
            locations=self._locations,
        )
        (self.directory / "nginx.conf").write_text(text)

    def command(self) -> list[str]:
        """Return the command line."""
        conf, log = self.directory / "nginx.conf", self.directory / "error.log"
        return [
            tool_path("nginx") or "nginx",
            *("-p", f"{self.directory}/", "-c", str(conf), "-e", str(log)),
        ]

    def logs(self) -> list[Path]:
        """Return its output and its error log."""
        return [*super().logs(), self.directory / "error.log"]

    def is_ready(self) -> bool:
        """Return whether it listens."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
            return True
        return False

    def get(self, path: str) -> tuple[int, Any]:
        """Ask the control location; return the status and what the JSON says."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            connection.request("GET", f"{CONTROL}{path}")
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def open_stream(self, path: str = "api/v1/stream") -> LiveReader:
        """Ask the control location for a stream."""
        return LiveReader(self.port, f"{CONTROL}{path}")


class LiveReader:
    """Reads a stream of server-sent events, as a browser does."""

    def __init__(self, port: int, path: str) -> None:
        """Connect, ask, and read the head of the answer."""
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
        self._connection.request("GET", path, headers={"Accept": "text/event-stream"})
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.headers = self._answer.headers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> tuple[str, Any]:
        """Return the next message: its name and its data. Raises EOFError at the end."""
        name = ""
        while line := self._answer.readline():
            key, _, value = line.decode().rstrip("\n").partition(": ")
            if key == "event":
                name = value
            elif key == "data" and name:
                return name, json.loads(value)
        raise EOFError("the stream has ended")

    def read_to_end(self) -> None:
        """Read until the server ends the stream."""
        with suppress(EOFError):
            while True:
                self.read()

    def read_until(self, event: str) -> Any:
        """Return the first event of that name that comes."""
        while True:
            name, data = self.read()
            if name == "event" and data["name"] == event:
                return data

    def close(self) -> None:
        """Hang up."""
        self._answer.close()
        self._connection.close()

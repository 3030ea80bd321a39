"""A program that speaks to the control location of a server in one process."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.fakes.wire import Wire

if TYPE_CHECKING:
    from tests.fakes.house import House
    from tests.fakes.uwsgi import Request

ROOM_BYTES: Final = 1 << 26


@dataclass
class Operator:
    """Asks a worker of `house` as the web server passes it on; `user` is who it says asks."""

    house: House
    worker: int = 1
    user: str = "root"
    location: str = "/vpn_admin/"
    wire: Wire | None = None
    """The connection of its only request, where a test has to read a stream or to hang up."""

    def begin(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: str = "",
        **headers: str,
    ) -> Request:
        """Send a request and let everybody do what is ready; return the request."""
        text = b"" if body is None else json.dumps(body).encode()
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": self.location + path,
            "QUERY_STRING": query,
            "HTTP_HOST": "vpn.example",
            "REMOTE_USER": self.user,
            "VPNWS_ENDPOINT": "control",
            "CONTENT_LENGTH": str(len(text)) if text else "",
            "CONTENT_TYPE": "application/json" if text else "",
            "wsgi.input": io.BytesIO(text),
            **headers,
        }
        return self.pass_on(environ)

    def pass_on(self, environ: dict[str, Any]) -> Request:
        """Let the worker begin to serve a request as it is; return the request."""
        process = self.house.processes[self.worker]
        # Where nobody reads it, `body` of the request has the answer too.
        wire = self.wire or Wire(self.house.loop, room_bytes=ROOM_BYTES, max_write_bytes=ROOM_BYTES)
        request = process.uwsgi.serve(process.application, environ, wire.near)
        self.house.loop.settle()
        return request

    def ask(
        self, method: str, path: str, body: object = None, *, query: str = "", **headers: str
    ) -> tuple[int, Any]:
        """Send a request, wait for its answer and return its status and what its JSON says."""
        request = self.finish(self.begin(method, path, body, query=query, **headers))
        return int(request.status[:3]), json.loads(request.body)

    def finish(self, request: Request) -> Request:
        """Wait until a request is answered; return it."""
        if not request.is_over:
            self.house.loop.advance(5.0)
        assert request.is_over, "the request goes on"
        return request

    def get(self, path: str, query: str = "") -> Any:
        """Return what a page of the API says."""
        status, answer = self.ask("GET", f"api/v1/{path}", query=query)
        assert status == 200, answer
        return answer

    def change(self, method: str, path: str, body: object = None) -> Any:
        """Change something, with the token; return the answer."""
        status, answer = self.try_change(method, path, body)
        assert status == 200, answer
        return answer

    def try_change(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Change something, with the token; return the status and the answer."""
        token = self.get("token")["token"]
        return self.ask(method, f"api/v1/{path}", body, HTTP_X_VPNWS_TOKEN=token)

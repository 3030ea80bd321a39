"""The websockets library's server in a thread: a peer for our client that is not our code."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import serve

from .assembly import Assembly

if TYPE_CHECKING:
    import ssl
    from collections.abc import Sequence
    from http import HTTPStatus

    from websockets.http11 import Request, Response
    from websockets.sync.server import ServerConnection
    from websockets.typing import Subprotocol

    from .netns import Namespace

WAIT_S = 10.0


class EchoServer(Assembly):
    """Sends every message back; a test can make it refuse, and close its connections."""

    def __init__(
        self,
        namespace: Namespace | None = None,
        address: tuple[str, int] = ("127.0.0.1", 0),
        *,
        context: ssl.SSLContext | None = None,
        status: HTTPStatus | None = None,
    ) -> None:
        """Listen at `address` (port 0: any free one); refuse with `status` if there is one."""
        self.requests: list[Request] = []
        self.status = status
        self.connections: list[ServerConnection] = []
        """All connections so far, the newest one last."""
        self.closed_with: list[int | None] = []
        self._namespace = namespace
        self._address = address
        self._context = context

    def build(self) -> None:
        """Listen, and serve in a thread."""
        listen = self._listen
        listener = self._namespace.call(listen) if self._namespace else listen()
        self.port: int = listener.getsockname()[1]
        server = serve(
            self._serve,
            sock=listener,
            ssl=self._context,
            process_request=self._look,
            select_subprotocol=self.choose,
            compression=None,
        )
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.parts.callback(thread.join, WAIT_S)
        self.parts.callback(server.shutdown)

    def choose(
        self, connection: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        """Return the subprotocol to speak, of those offered."""

    def converse(self, connection: ServerConnection) -> None:
        """Handle a connection until it is closed."""
        for message in connection:
            connection.send(message)

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        return socket.create_server(self._address, family=family)

    def _look(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        return None if self.status is None else connection.respond(self.status, "no\n")

    def _serve(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        with suppress(ConnectionClosed):
            self.converse(connection)
        self.closed_with.append(connection.close_code)

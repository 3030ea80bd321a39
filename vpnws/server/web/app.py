"""The WSGI entry: a request becomes a port, or gets a polite refusal."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from websockets.utils import accept_key

from vpnws.errors import CapacityError, RightsError, UpgradeError
from vpnws.server.hooks.permits import make_permits
from vpnws.server.offers import Offers
from vpnws.server.port.describe import describe_identity
from vpnws.server.port.receiver import receive_native, receive_stream
from vpnws.server.web.endpoint import ControlEndpoint, is_control
from vpnws.server.web.identity import read_identity, text_of
from vpnws.server.web.refusals import Refusal, Refusals
from vpnws.server.web.request import (
    UPGRADE_REQUIRED,
    VERSION,
    asks_for_more,
    read_request,
    wrong_right,
)
from vpnws.text import MAX_SENTENCE_CHARACTERS, one_line
from vpnws.wire.websocket import PONG_HEADER

if TYPE_CHECKING:
    from vpnws.server.hooks.permits import Permits
    from vpnws.server.journal import Note
    from vpnws.server.node import Node
    from vpnws.server.port.session import Session
    from vpnws.server.start import Server
    from vpnws.server.web.identity import Environ

StartResponse: TypeAlias = Callable[[str, "list[tuple[str, str]]"], Callable[[bytes], object]]

RETRY_AFTER_S: Final = 10
"""A station that finds no room is told to come back after this time."""
LOOK_EVERY_S: Final = 1.0
"""This often the server checks whether a burst of refusals is due to be logged."""


class Application:
    """The WSGI application of one server."""

    def __init__(self, server: Server) -> None:
        """Prepare in the master; each worker gets its node after the fork."""
        self._server = server
        self._settings = server.settings
        self._loop = server.loop
        self._uwsgi = server.uwsgi
        self._node: Node | None = None
        self._control: ControlEndpoint | None = None
        self._permits: Permits | None = None
        self._offers: Offers | None = None
        self._refusals = Refusals()
        self._uwsgi.on_fork(self._begin)
        self._uwsgi.on_exit(self._end)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        try:
            if self._control is not None and is_control(environ):
                return self._control(environ, start_response)
            session = read_request(environ, self._settings)
            return self._upgrade(session, partial(_answer, environ, start_response))
        except CapacityError as error:
            status, sentence = "503 Service Unavailable", str(error)
        except UpgradeError as error:
            status, sentence = error.status, str(error)
        except RightsError as error:
            status, sentence = "500 Internal Server Error", wrong_right(error)
        if self._node is not None:
            self._node.tally.refuse(status)
        self._note_refusal(environ, status, sentence)
        return refuse(start_response, status, sentence, _headers_of(status, environ))

    def _begin(self) -> None:
        """Start to serve in this process; uWSGI calls it after each fork, of mules too."""
        if self._uwsgi.worker_id():
            self._node = self._server.worker_node(self._uwsgi.worker_id())
            self._control = ControlEndpoint(self._server)
            self._permits = make_permits(self._server)
            self._offers = Offers(self._node)
            # The garbage collector need not look again at what lives as long as the process.
            gc.freeze()
            self._log_ticker = self._loop.every(LOOK_EVERY_S, self._note_refusals)
            # uWSGI waits for requests under way, and a station on `native` is one.
            end = partial(self._end_for_a_reload, self._node, self._control)
            self._reload = self._loop.on_reload(end)

    def _end(self) -> None:
        """Close all ports. uWSGI may call this when a request ends, too: then it does nothing."""
        if self._node is not None and self._loop.in_main_greenlet():
            self._node.stop()

    def _end_for_a_reload(self, node: Node, control: ControlEndpoint) -> None:
        node.stop()
        control.end()
        self._server.keep_claims(node)

    def _note_refusal(self, environ: Environ, status: str, sentence: str) -> None:
        if status == UPGRADE_REQUIRED and not asks_for_more(environ):
            # Somebody is looking at the page with a browser.
            return
        refusal = Refusal(
            describe_identity(read_identity(environ, self._settings)),
            status[:3],
            one_line(sentence.partition("\n")[0], max_characters=MAX_SENTENCE_CHARACTERS),
        )
        note = self._refusals.note(refusal, self._loop.now())
        if note is not None:
            self._note(note)

    def _note_refusals(self) -> None:
        for note in self._refusals.look(self._loop.now()):
            self._note(note)

    def _note(self, note: Note) -> None:
        if self._node is not None:
            self._node.journal.note(note.event, note.text, **note.fields)

    def _upgrade(self, session: Session, answer: Callable[[str], None]) -> Iterable[bytes]:
        node = self._node
        if node is None:
            raise CapacityError("the switch has not started in this process")
        policies = self._server.policies
        self._check(node, session)
        if self._permits is not None:
            self._permits.ask(session)
            # It may have been banned while it waited.
            self._check(node, session)
        try:
            answer(session.subprotocol)
            connection = self._uwsgi.own_connection()
        except OSError as error:
            node.stations.lost(session, "a station was lost in its handshake", str(error))
            return ()
        try:
            link = node.attach(connection, session)
        except CapacityError as error:
            node.stations.lost(session, "a station came in too late", str(error))
            connection.close()
            return ()
        if policies is not None:
            policies.greet(link)
        if self._offers is not None:
            self._offers.greet(link)
        if self._settings.receiver == "native":
            receive_native(self._loop, self._uwsgi, link, self._uwsgi.connection(), node.switch)
        else:
            receive_stream(self._loop, link, node.switch)
        return ()

    def _check(self, node: Node, session: Session) -> None:
        """Raise UpgradeError if the station is banned, CapacityError if there is no room for it."""
        if self._server.policies is not None:
            self._server.policies.check(session)
        node.check_room(session)


def refuse(
    start_response: StartResponse, status: str, sentence: str, headers: list[tuple[str, str]]
) -> Iterable[bytes]:
    """Answer with `status` and one sentence as plain text."""
    body = f"{status}\n\n{sentence}\n".encode()
    fixed = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
    ]
    start_response(status, fixed + headers)
    return (body,)


def _headers_of(status: str, environ: Environ) -> list[tuple[str, str]]:
    if status.startswith("503"):
        return [("Retry-After", str(RETRY_AFTER_S))]
    if status != UPGRADE_REQUIRED:
        return []
    headers = [("Sec-WebSocket-Version", VERSION)]
    # HTTP/2 and later forbid the header (RFC 9113 8.2.2); 1.1 wants it (RFC 9110 15.5.22).
    if text_of(environ, "SERVER_PROTOCOL").startswith("HTTP/1"):
        headers.append(("Upgrade", "websocket"))
    return headers


def _answer(environ: Environ, start_response: StartResponse, subprotocol: str) -> None:
    """Answer with 101. Raises OSError when the answer cannot be written.

    uWSGI's own handshake would answer with the whole offer of subprotocols, and could not say that
    this server answers pings.
    """
    headers = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_key(text_of(environ, "HTTP_SEC_WEBSOCKET_KEY"))),
        (PONG_HEADER, "on"),
    ]
    if subprotocol:
        headers.append(("Sec-WebSocket-Protocol", subprotocol))
    start_response("101 Switching Protocols", headers)(b"")

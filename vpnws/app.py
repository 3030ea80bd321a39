"""The WSGI entry: a request becomes a port, or gets a polite refusal."""

from __future__ import annotations

import gc
import logging
import os
import re
import socket
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from websockets.utils import accept_key

from vpnws.config import DEFAULT_NETWORK, NETWORK_NAME_MOST_BYTES, is_network_name
from vpnws.errors import CapacityError, RightsError, UpgradeError
from vpnws.host import loop, uwsgi_api
from vpnws.host.receiver import receive_native, receive_stream
from vpnws.host.session import Identity, Session
from vpnws.switch.queue import EgressQueue
from vpnws.switch.rights import ALLOW, BRIDGE, ROLE, read_rights
from vpnws.wire import offload
from vpnws.wire.ethernet import parse_mac

if TYPE_CHECKING:
    from vpnws.config import Settings
    from vpnws.host.node import Node
    from vpnws.host.server import Server

Environ: TypeAlias = "dict[str, Any]"
StartResponse: TypeAlias = Callable[[str, "list[tuple[str, str]]"], Callable[[bytes], object]]

RIGHTS: Final = (ROLE, ALLOW, BRIDGE)
RETRY_AFTER_S: Final = 10
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{4,86}={0,2}")
"""RFC 6455 wants 16 bytes in base64; the C vpn-ws client sends 10."""
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")

log = logging.getLogger("vpnws")


class Application:
    """The WSGI application of one server."""

    def __init__(self, server: Server) -> None:
        """Bind it to the lives of `server`'s workers: each gets its node after the fork."""
        self._server = server
        self._settings = server.settings
        self._node: Node | None = None
        uwsgi_api.on_fork(self._begin)
        uwsgi_api.on_exit(self._end)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        try:
            session = read_request(environ, self._settings)
            return self._upgrade(session, partial(_answer, environ, start_response))
        except CapacityError as error:
            headers = [("Retry-After", str(RETRY_AFTER_S))]
            return refuse(start_response, "503 Service Unavailable", str(error), headers)
        except UpgradeError as error:
            headers = [("Upgrade", "websocket")] if error.status.startswith("426") else []
            return refuse(start_response, error.status, str(error), headers)

    def _begin(self) -> None:
        """Start to serve in this process; uWSGI calls it after each fork, of mules too."""
        if uwsgi_api.worker_id():
            self._node = self._server.worker_node(uwsgi_api.worker_id())
            # What lives as long as the process need not be looked at by the collector again.
            gc.freeze()
            # uWSGI waits for requests under way, and a station on `native` is one.
            self._reload = loop.on_reload(self._node.stop)

    def _end(self) -> None:
        """Close all ports; uWSGI may call it at the end of a request too, which is no end."""
        if self._node is not None and loop.in_main_greenlet():
            self._node.stop()

    def _upgrade(self, session: Session, answer: Callable[[str], int]) -> Iterable[bytes]:
        node = self._node
        if node is None:
            raise CapacityError("the switch has not started in this process")
        node.check_room(session)
        try:
            fd = answer(session.subprotocol)
            connection = socket.socket(fileno=os.dup(fd))
        except OSError as error:
            log.warning("a station was lost in its handshake: %s", error)
            return ()
        try:
            link = node.attach(connection, session)
        except CapacityError as error:
            log.warning("a station came in too late: %s", error)
            connection.close()
            return ()

        if session.subprotocol == offload.SUBPROTOCOL:
            forward = partial(node.forward_records, link.port)
            longest = offload.MESSAGE_MOST_BYTES
        else:
            forward = partial(node.forward, link.port)
            longest = self._settings.max_frame_bytes
        if self._settings.receiver == "native":
            receive_native(link, fd, forward)
        else:
            receive_stream(link, longest, forward)
        return ()


def read_request(environ: Environ, settings: Settings) -> Session:
    """Judge a request and return the session it asks for; rights come from uwsgi vars alone.

    Raises UpgradeError with the status and the sentence to refuse it with.
    """
    _check_upgrade(environ)
    mac_text = _text(environ, "HTTP_X_VPN_WS_MAC")
    mac = parse_mac(mac_text) if mac_text else None
    if mac_text and mac is None:
        raise UpgradeError("400 Bad Request", "X-vpn-ws-MAC is not a MAC (aa:bb:cc:dd:ee:ff).")
    network = _text(environ, "VPNWS_NETWORK") or DEFAULT_NETWORK
    if not is_network_name(network):
        raise UpgradeError(
            "500 Internal Server Error",
            "The web server set VPNWS_NETWORK to something that cannot name a network: it must be"
            f" 1 to {NETWORK_NAME_MOST_BYTES} letters, digits, dots, dashes and underscores.",
        )
    try:
        rights = read_rights(
            {name: _text(environ, name) for name in RIGHTS if name in environ}, settings.mode
        )
    except RightsError as error:
        raise UpgradeError(
            "500 Internal Server Error", f"The web server grants a right wrongly: {error}."
        ) from error
    return Session(
        EgressQueue(settings.egress_limit_bytes),
        _identity(environ, settings),
        network=network,
        rights=rights,
        wants_bridge=_text(environ, "HTTP_X_VPN_WS_BRIDGE").lower() == "on",
        subprotocol=choose_subprotocol(
            _text(environ, "HTTP_SEC_WEBSOCKET_PROTOCOL"), offload_allowed=settings.offload
        ),
        announced_mac=mac,
        answers_pings=bool(_text(environ, "HTTP_SEC_WEBSOCKET_VERSION")),
    )


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


def _check_upgrade(environ: Environ) -> None:
    wants = "websocket" in _text(environ, "HTTP_UPGRADE").lower()
    key = _text(environ, "HTTP_SEC_WEBSOCKET_KEY")
    method = environ.get("REQUEST_METHOD")
    if not wants and not key and method in ("GET", "HEAD"):
        raise UpgradeError(
            "426 Upgrade Required",
            "This is a vpnws switch: a layer-2 VPN that speaks WebSocket. Join it with\n\n"
            "    vpnws-client tap0 wss://THIS-HOST/THIS-PATH\n\n"
            "(ws:// where a browser would need http://)\n"
            "or with any client that carries one Ethernet frame per binary message.",
        )
    if method != "GET":
        raise UpgradeError("400 Bad Request", "A WebSocket handshake is a GET request.")
    if not wants:
        raise UpgradeError(
            "400 Bad Request",
            "The request has no 'Upgrade: websocket' header. If the client sent one, a proxy on"
            " the way removed it: configure that proxy to pass WebSocket upgrades.",
        )
    if not _text(environ, "HTTP_ORIGIN").isprintable():
        # uWSGI sends it back in a header of the 101.
        raise UpgradeError("400 Bad Request", "Origin has characters that no origin has.")
    if _KEY.fullmatch(key) is None:
        raise UpgradeError("400 Bad Request", "Sec-WebSocket-Key is missing or not base64.")


def _identity(environ: Environ, settings: Settings) -> Identity:
    """Return who the web server says this is: vars beat headers, which a trusted proxy sets."""
    told = Identity(
        remote_user=_raw(environ, "REMOTE_USER"),
        dn=_raw(environ, "HTTPS_DN") or _raw(environ, "DN"),
        remote_addr=_unmapped(_text(environ, "REMOTE_ADDR")),
    )
    # With a var the web server has spoken: a header beside it is what nginx passes on unread.
    if told.remote_user or told.dn or not _is_trusted(told.remote_addr, settings):
        return told
    # A proxy appends the address it sees: whatever stands before came with the request.
    forwarded_for = _text(environ, "HTTP_X_FORWARDED_FOR").split(",")[-1].strip()
    return Identity(
        remote_user=_raw(environ, "HTTP_X_FORWARDED_USER"),
        dn=_raw(environ, "HTTP_X_FORWARDED_DN"),
        remote_addr=forwarded_for or told.remote_addr,
    )


def _unmapped(address: str) -> str:
    """Return an IPv4 address that came in over an IPv6 socket as itself (RFC 4291 2.5.5.2)."""
    return address.removeprefix("::ffff:") if "." in address else address


def _is_trusted(address: str, settings: Settings) -> bool:
    try:
        peer = ip_address(address)
    except ValueError:
        return False
    return any(peer in network for network in settings.trusted_proxies)


def choose_subprotocol(offer: str, *, offload_allowed: bool) -> str:
    """Choose from the names that a station offers, comma between them; empty is none.

    Ours where it is allowed; else the first other one, because browsers hang up when none of
    their offer is chosen. Raises UpgradeError.
    """
    names = [name.strip() for name in offer.split(",")] if offer else []
    if not all(map(_TOKEN.fullmatch, names)):
        raise UpgradeError("400 Bad Request", "Sec-WebSocket-Protocol is not a list of names.")
    if offload_allowed and offload.SUBPROTOCOL in names:
        return offload.SUBPROTOCOL
    return next((name for name in names if name != offload.SUBPROTOCOL), "")


def _answer(environ: Environ, start_response: StartResponse, subprotocol: str) -> int:
    """Answer with 101; return the connection's descriptor, which uWSGI owns. Raises OSError."""
    if not subprotocol and "HTTP_SEC_WEBSOCKET_PROTOCOL" in environ:
        # uWSGI's own handshake would choose all that was offered.
        headers = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", accept_key(_text(environ, "HTTP_SEC_WEBSOCKET_KEY"))),
        ]
        start_response("101 Switching Protocols", headers)(b"")
        return uwsgi_api.connection()
    return uwsgi_api.handshake(subprotocol)


def _text(environ: Environ, name: str) -> str:
    return _raw(environ, name).strip()


def _raw(environ: Environ, name: str) -> str:
    """Return a variable as text: PEP 3333 gives bytes in latin-1's clothing.

    What is not UTF-8 stays distinct, so two names never become one.
    """
    value: str = environ.get(name, "")
    return value.encode("latin-1").decode("utf-8", "surrogateescape")

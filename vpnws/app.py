"""The WSGI entry: a request becomes a port, or gets a polite refusal."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from vpnws.config import Settings, read_settings
from vpnws.errors import CapacityError, ConfigError, UpgradeError
from vpnws.host import loop, uwsgi_api
from vpnws.host.bus import SLOTS_MOST, Bus
from vpnws.host.node import Node
from vpnws.host.preflight import check_options
from vpnws.host.receiver import receive_native, receive_stream
from vpnws.host.session import Identity, Session
from vpnws.host.shared_page import SharedPage
from vpnws.switch.network import DEFAULT, NAME_MOST_BYTES, is_name
from vpnws.switch.queue import EgressQueue
from vpnws.wire.ethernet import parse_mac

Environ: TypeAlias = "dict[str, Any]"
StartResponse: TypeAlias = Callable[[str, "list[tuple[str, str]]"], object]

RETRY_AFTER_S: Final = 10
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{4,86}={0,2}")
"""RFC 6455 wants 16 bytes in base64; the C vpn-ws client sends 10."""
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")

log = logging.getLogger("vpnws")


class Application:
    """The WSGI application of one server; each process gives it a node after the fork."""

    def __init__(self, settings: Settings, slots: int) -> None:
        """Make what `slots` processes will share; call it in the master, before the fork."""
        self._settings = settings
        self._page = SharedPage(slots)
        self._bus = Bus(slots)
        self._node: Node | None = None

    def begin(self) -> None:
        """Start to serve in this process; uWSGI calls it after each fork."""
        slot = uwsgi_api.worker_id() - 1
        if slot < 0:
            return
        _log_as(f"worker {slot + 1}")
        self._node = Node(self._settings, self._page, self._bus, slot)

    def end(self) -> None:
        """Close all ports; uWSGI may call it at the end of a request too, which is no end."""
        if self._node is not None and loop.in_main_greenlet():
            self._node.stop()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        try:
            session = read_request(environ, self._settings)
            return self._upgrade(session)
        except CapacityError as error:
            headers = [("Retry-After", str(RETRY_AFTER_S))]
            return refuse(start_response, "503 Service Unavailable", str(error), headers)
        except UpgradeError as error:
            headers = [("Upgrade", "websocket")] if error.status.startswith("426") else []
            return refuse(start_response, error.status, str(error), headers)

    def _upgrade(self, session: Session) -> Iterable[bytes]:
        node = self._node
        if node is None:
            raise CapacityError("the switch has not started in this process")
        node.check_room(session)
        fd = uwsgi_api.handshake(session.subprotocol)
        connection = socket.socket(fileno=os.dup(fd))
        try:
            link = node.attach(connection, session)
        except CapacityError as error:
            log.warning("a station came in too late: %s", error)
            connection.close()
            return ()

        def forward(frames: list[bytes]) -> None:
            node.forward(link.port, frames)

        if self._settings.receiver == "native":
            receive_native(link, fd, forward)
        else:
            receive_stream(link, self._settings.max_frame_bytes, forward)
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
    network = _text(environ, "VPNWS_NETWORK") or DEFAULT
    if not is_name(network):
        raise UpgradeError(
            "500 Internal Server Error",
            "The web server set VPNWS_NETWORK to something that cannot name a network: it must be"
            f" 1 to {NAME_MOST_BYTES} letters, digits, dots, dashes and underscores.",
        )
    return Session(
        EgressQueue(settings.egress_limit_bytes),
        _identity(environ),
        network=network,
        subprotocol=_choose_subprotocol(_text(environ, "HTTP_SEC_WEBSOCKET_PROTOCOL")),
        announced_mac=mac,
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


def build() -> Application:
    """Make the application from uWSGI's placeholders and bind it to the processes' lives.

    On a wrong setting it says so in one sentence and stops uWSGI's start.
    """
    _log_as("start")
    try:
        options = uwsgi_api.options()
        settings = read_settings(options)
        check_options(options, settings.receiver, os.environ.get("VPNWS_USED", ""))
        application = Application(settings, _slots())
    except ConfigError as error:
        log.critical("cannot start: %s", error)
        sys.exit(1)
    uwsgi_api.on_fork(application.begin)
    uwsgi_api.on_exit(application.end)
    return application


def _slots() -> int:
    slots = uwsgi_api.workers()
    if slots > SLOTS_MOST:
        raise ConfigError(f"{slots} workers are more than the bus takes: {SLOTS_MOST}")
    return slots


def _log_as(process: str) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format=f"%(asctime)s vpnws[{process}] %(levelname)s %(message)s",
        force=True,
    )


def _check_upgrade(environ: Environ) -> None:
    wants = "websocket" in _text(environ, "HTTP_UPGRADE").lower()
    key = _text(environ, "HTTP_SEC_WEBSOCKET_KEY")
    method = environ.get("REQUEST_METHOD")
    if not wants and not key and method in ("GET", "HEAD"):
        raise UpgradeError(
            "426 Upgrade Required",
            "This is a vpnws switch: a layer-2 VPN that speaks WebSocket. Join it with\n\n"
            "    vpnws-client vpn0 wss://THIS-HOST/THIS-PATH\n\n"
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
    if _KEY.fullmatch(key) is None:
        raise UpgradeError("400 Bad Request", "Sec-WebSocket-Key is missing or not base64.")


def _identity(environ: Environ) -> Identity:
    return Identity(
        remote_user=_text(environ, "REMOTE_USER"),
        dn=_text(environ, "HTTPS_DN") or _text(environ, "DN"),
        remote_addr=_text(environ, "REMOTE_ADDR"),
    )


def _choose_subprotocol(offer: str) -> str:
    """Choose the first name offered: browsers hang up when none of their offer is chosen."""
    if not offer:
        return ""
    name = offer.split(",")[0].strip()
    if _TOKEN.fullmatch(name) is None:
        raise UpgradeError("400 Bad Request", "Sec-WebSocket-Protocol is not a list of names.")
    return name


def _text(environ: Environ, name: str) -> str:
    """Return a variable as text: PEP 3333 gives bytes in latin-1's clothing."""
    value: str = environ.get(name, "")
    return value.encode("latin-1", "replace").decode("utf-8", "replace").strip()

"""Judges a handshake: turns a request's variables into the session that it asks for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from vpnws.errors import RightsError, UpgradeError
from vpnws.server.port.session import Session
from vpnws.server.web.client_vars import read_client_vars
from vpnws.server.web.identity import Environ, read_identity, text_of
from vpnws.server.web.rights import read_rights
from vpnws.server.web.variables import KNOWN, NETWORK, check_names
from vpnws.values import DEFAULT_NETWORK, MAX_NETWORK_NAME_BYTES, is_network_name
from vpnws.wire.ethernet import parse_mac
from vpnws.wire.records import SUBPROTOCOL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.config import Settings
    from vpnws.server.web.rights import Rights

UPGRADE_REQUIRED: Final = "426 Upgrade Required"
"""The answer to a request that does not ask for a WebSocket."""
VERSION: Final = "13"
"""RFC 6455's version of the protocol."""
_MEANT_FOR_US: Final = ("HTTP_SEC_WEBSOCKET_", "HTTP_X_VPN_WS_")
"""Headers that a browser does not send for an ordinary page."""
_WHAT_THIS_IS: Final = """\
This is a vpnws switch: a layer-2 VPN that speaks WebSocket. Join it with

    vpnws-client tap0 wss://THIS-HOST/THIS-PATH

(ws:// where a browser would need http://)
or with any client that carries one Ethernet frame per binary message."""
_HEADERS: Final = {
    "Connection": "HTTP_CONNECTION",
    "Sec-WebSocket-Key": "HTTP_SEC_WEBSOCKET_KEY",
    "Sec-WebSocket-Version": "HTTP_SEC_WEBSOCKET_VERSION",
    "Sec-WebSocket-Protocol": "HTTP_SEC_WEBSOCKET_PROTOCOL",
    "X-vpn-ws-MAC": "HTTP_X_VPN_WS_MAC",
}
"""What a station sends besides, by name and variable."""
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{4,86}={0,2}")
"""RFC 6455 wants 16 bytes in base64; the C vpn-ws client sends 10."""
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")


def read_request(environ: Environ, settings: Settings) -> Session:
    """Judge a request and return the session it asks for; rights come from uwsgi vars alone.

    Raises UpgradeError with the status and the sentence to refuse it with.
    """
    _check_upgrade(environ)
    mac_text = text_of(environ, "HTTP_X_VPN_WS_MAC")
    mac = parse_mac(mac_text) if mac_text else None
    if mac_text and mac is None:
        raise UpgradeError("400 Bad Request", "X-vpn-ws-MAC is not a MAC (aa:bb:cc:dd:ee:ff).")
    told = _read_told(environ)
    network, rights = _read_granted(told, settings)
    offer, offer_faults = read_client_vars(told)
    return Session(
        read_identity(environ, settings),
        network=network,
        rights=rights,
        wants_bridge=text_of(environ, "HTTP_X_VPN_WS_BRIDGE").lower() == "on",
        subprotocol=choose_subprotocol(
            text_of(environ, "HTTP_SEC_WEBSOCKET_PROTOCOL"), offload_allowed=settings.offload
        ),
        announced_mac=mac,
        offer=offer,
        offer_faults=offer_faults,
        answers_pings=bool(text_of(environ, "HTTP_SEC_WEBSOCKET_VERSION")),
    )


def wrong_right(error: RightsError) -> str:
    """Return the sentence to answer with when the web server grants a right wrongly."""
    return f"The web server grants a right wrongly: {error}."


def _read_told(environ: Environ) -> dict[str, str]:
    """Return the variables by which the web server tells of the station. Raises UpgradeError."""
    try:
        check_names(environ)
    except RightsError as error:
        raise UpgradeError("500 Internal Server Error", wrong_right(error)) from error
    return {name: text_of(environ, name) for name in KNOWN if name in environ}


def _read_granted(told: Mapping[str, str], settings: Settings) -> tuple[str, Rights]:
    """Return the network and the rights that the web server gives. Raises UpgradeError."""
    try:
        return _read_network(told.get(NETWORK)), read_rights(told, settings.mode)
    except RightsError as error:
        raise UpgradeError("500 Internal Server Error", wrong_right(error)) from error


def _read_network(text: str | None) -> str:
    # Empty does not mean the default: a web server's map that matched nothing gives it.
    if text is None:
        return DEFAULT_NETWORK
    if not is_network_name(text):
        raise RightsError(
            f"{NETWORK} = {text!r} cannot name a network: it must be 1 to {MAX_NETWORK_NAME_BYTES}"
            f" letters, digits, dots, dashes and underscores (leave it out for the network"
            f" {DEFAULT_NETWORK})"
        )
    return text


def _check_upgrade(environ: Environ) -> None:
    wants = "websocket" in text_of(environ, "HTTP_UPGRADE").lower()
    key = text_of(environ, "HTTP_SEC_WEBSOCKET_KEY")
    method = environ.get("REQUEST_METHOD")
    if not wants and not key and method in ("GET", "HEAD"):
        sentence = _without_upgrade(environ) if asks_for_more(environ) else _WHAT_THIS_IS
        raise UpgradeError(UPGRADE_REQUIRED, sentence)
    if not method:
        raise UpgradeError(
            "500 Internal Server Error",
            "The web server does not pass the request on as uWSGI needs it. In nginx, a location"
            " with uwsgi_param lines needs 'include uwsgi_params;' too.",
        )
    if method != "GET":
        raise UpgradeError("400 Bad Request", "A WebSocket handshake is a GET request.")
    if not wants:
        raise UpgradeError("400 Bad Request", _without_upgrade(environ))
    if text_of(environ, "HTTP_SEC_WEBSOCKET_VERSION") not in ("", VERSION):
        # RFC 6455 4.2.2; the C vpn-ws client names none.
        raise UpgradeError(
            UPGRADE_REQUIRED, f"This is version {VERSION} of WebSocket (Sec-WebSocket-Version)."
        )
    if not text_of(environ, "HTTP_ORIGIN").isprintable():
        # uWSGI sends it back in a header of the 101.
        raise UpgradeError("400 Bad Request", "Origin has characters that no origin has.")
    if _KEY.fullmatch(key) is None:
        raise UpgradeError("400 Bad Request", "Sec-WebSocket-Key is missing or not base64.")


def _without_upgrade(environ: Environ) -> str:
    """Return what to say when somebody who wants an upgrade has not asked for it."""
    arrived = [name for name, variable in _HEADERS.items() if text_of(environ, variable)]
    others = f"; {', '.join(arrived)} did arrive" if arrived else ""
    return (
        f"The request has no 'Upgrade: websocket' header{others}. If the client sent one, a proxy"
        " on the way removed it: configure that proxy to pass WebSocket upgrades."
    )


def asks_for_more(environ: Environ) -> bool:
    """Return whether a request without an upgrade comes from a client that wanted one."""
    return any(value for name, value in environ.items() if name.startswith(_MEANT_FOR_US))


def choose_subprotocol(offer: str, *, offload_allowed: bool) -> str:
    """Choose from the names that a station offers, separated by commas; empty when none is chosen.

    Ours if it is offered and allowed; else the first other name, because a browser hangs up when
    nothing of its offer is chosen. Raises UpgradeError.
    """
    names = [name.strip() for name in offer.split(",")] if offer else []
    if not all(map(_TOKEN.fullmatch, names)):
        raise UpgradeError("400 Bad Request", "Sec-WebSocket-Protocol is not a list of names.")
    if offload_allowed and SUBPROTOCOL in names:
        return SUBPROTOCOL
    return next((name for name in names if name != SUBPROTOCOL), "")

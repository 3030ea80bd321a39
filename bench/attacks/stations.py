"""Raw stations: connections that joined through uWSGI's own socket, as nginx's do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.support.uwsgi_client import UwsgiClient
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path

IDLE, INNOCENT, ATTACKER, STRANGER, UNKNOWN = 1, 2, 3, 4, 5
"""Kinds of addresses, so that no two stations have the same one."""
TIMEOUT_S: Final = 60.0


def mac(kind: int, number: int) -> bytes:
    """Return address `number` of `kind`."""
    return bytes((2, kind)) + number.to_bytes(4, "big")


def join(
    path: Path, address: bytes, subprotocol: str = "", variables: Mapping[str, str] | None = None
) -> socket.socket:
    """Join a station that announces `address`; return its connection, which does not block.

    Raises ConnectionError with the answer if it is refused.
    """
    client = UwsgiClient(path, timeout_s=TIMEOUT_S)
    asked = {"HTTP_X_VPN_WS_MAC": format_mac(address), **(variables or {})}
    if subprotocol:
        asked["HTTP_SEC_WEBSOCKET_PROTOCOL"] = subprotocol
    answer = client.ask(asked)
    if answer.status != 101:
        client.close()
        raise ConnectionError(f"{answer.status} {answer.reason}")
    client.socket.setblocking(False)
    return client.socket

"""vpn-ws's control protocol: the list of its peers as JSON, and `?kill=ID`.

A peer's id is a number there. Ours is made of the number of the port and that of its process.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import msgspec

from vpnws.control.asks import AskError, KickAsk, PortsAsk, ask_page
from vpnws.control.calls import Response
from vpnws.control.paging import MAX_LIMIT, Filter
from vpnws.control.ports import command, port_key

if TYPE_CHECKING:
    from vpnws.control.calls import Call
    from vpnws.control.views import PortView

PROCESSES: Final = 256
"""More than there can be processes: an id is the port's number times this, and its process's."""
_HEADERS: Final = (("Cache-Control", "no-cache, no-store, must-revalidate"), ("Pragma", "no-cache"))


def list_peers(call: Call) -> Response:
    """Answer with every port of a station or a TAP, as vpn-ws lists its peers."""
    peers = [_peer(port) for port in _all_ports(call)]
    return _answer({"status": "ok", "peers": peers})


def kill(call: Call, text: str) -> Response:
    """End the port of a station, if `text` is the id of one."""
    port_id = _port_id(text)
    if port_id is None:
        return _answer({"status": "not found"}, 404)
    try:
        command(call, port_id, KickAsk(port=port_id, reason="killed by the operator", by=call.by))
    except AskError as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        return _answer({"status": "not found"}, 404)
    return _answer({"status": "ok"})


def _all_ports(call: Call) -> list[PortView]:
    ports: list[PortView] = []
    after = ""
    while True:
        ask = PortsAsk(filter=Filter(limit=MAX_LIMIT, after=after))
        page = ask_page(call.peers, ask, port_key, MAX_LIMIT)
        ports += page.items
        after = page.next
        if not after:
            return ports


def _peer(port: PortView) -> dict[str, Any]:
    process, _, number = port.id.partition(".")
    since_s = int(port.since_s)
    mac = port.announced_mac or next(iter(port.macs), "")
    return {
        "id": int(number) * PROCESSES + int(process),
        "MAC": mac.upper(),
        "REMOTE_ADDR": port.who.addr,
        "REMOTE_USER": port.who.user,
        "DN": port.who.dn,
        "ts": time.ctime(since_s),
        "bridge": int(port.may_bridge or port.kind == "tap"),
        "macs": [other.upper() for other in port.macs if other != mac],
        "unix": since_s,
        "tx": port.traffic.tx_bytes,
        "rx": port.traffic.rx_bytes,
    }


def _port_id(text: str) -> str | None:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(1 << 40))):
        return None
    number, process = divmod(int(text), PROCESSES)
    return f"{process}.{number}" if process else None


def _answer(answer: dict[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(answer), status=status, headers=_HEADERS)

"""A WSGI app whose first message lists the request's variables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .raw_client import RawClient

_APP = """
import json, uwsgi
def application(environ, start_response):
    uwsgi.websocket_handshake(environ["HTTP_SEC_WEBSOCKET_KEY"])
    told = {name: value for name, value in environ.items() if isinstance(value, str)}
    uwsgi.websocket_send_binary(json.dumps(told).encode())
    while True:
        uwsgi.websocket_send_binary(uwsgi.websocket_recv())
"""
_INI = """
[uwsgi]
master = true
processes = 1
gevent = 32
need-app = true
die-on-term = true
vacuum = true
chdir = %d
wsgi-file = tell.py
socket = %(vpnws-socket)
chmod-socket = 666
http-socket = %(vpnws-http)
"""


def write_tell(place: Path) -> Path:
    """Write the app into a directory and return the ini to start uWSGI with."""
    (place / "tell.py").write_text(_APP)
    ini = place / "tell.ini"
    ini.write_text(_INI)
    return ini


def read_told(client: RawClient) -> dict[str, str]:
    """Return the variables that the app was given for an upgraded connection."""
    told: dict[str, str] = json.loads(client.read_message())
    return told

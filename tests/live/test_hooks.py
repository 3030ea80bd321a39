"""Hooks as they ship: real uWSGI, a real shell, a real web server that is posted to."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.server import TwoWorkers
from tests.support.processes import is_alive
from tests.support.uwsgi_client import UwsgiClient
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.raw_client import Response

pytestmark = pytest.mark.live

MANY = 50
WAIT_S = 30.0
ON_CONNECT = """
case "$VPNWS_USER" in
    eve) echo "not today, $VPNWS_USER"; exit 1 ;;
    slow) echo $$ > {place}/slow; while [ ! -e {place}/go ]; do sleep 0.05; done ;;
    hang) echo $$ > {place}/hang; sleep 600 ;;
    broken) exit 7 ;;
esac
"""
ON_DISCONNECT = 'printf "%s\\n" "$VPNWS_EVENT $VPNWS_USER" >> {place}/went'


@pytest.fixture
def posted() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield the URL of a web server, and what is posted to it."""
    events: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            events.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/events", events
        server.shutdown()


class Asking(threading.Thread):
    """A station that asks to join, and may have to wait for the answer."""

    def __init__(self, server: TwoWorkers, user: str) -> None:
        super().__init__()
        self.client = UwsgiClient(server.socket_path, timeout_s=WAIT_S)
        self.user = user
        self.answer: Response | None = None
        self.start()

    def run(self) -> None:
        """Ask."""
        self.answer = self.client.ask({"REMOTE_USER": self.user})

    def status(self) -> int:
        """Wait for the answer and return its status."""
        self.join(WAIT_S)
        assert self.answer is not None
        return self.answer.status


def test_hooks(tmp_path: Path, posted: tuple[str, list[dict[str, Any]]]) -> None:
    url, events = posted
    script, place = tmp_path / "on-connect", tmp_path
    script.write_text(ON_CONNECT.format(place=place))
    settings = {
        "vpnws-on-connect": f". {script}",
        "vpnws-on-connect-may-refuse": "on",
        "vpnws-on-disconnect": ON_DISCONNECT.format(place=place),
        "vpnws-hook-timeout": "10",
        "vpnws-webhook": url,
    }
    with ExitStack() as parts:
        server = parts.enter_context(TwoWorkers(settings))
        eve = Asking(server, "eve")
        assert eve.status() == 403
        assert eve.answer is not None
        assert b"not today, eve" in eve.answer.body
        assert Asking(server, "broken").status() == 503

        slow, hang = Asking(server, "slow"), Asking(server, "hang")
        wait_for((place / "slow").exists, WAIT_S, "the slow command to begin")
        wait_for((place / "hang").exists, WAIT_S, "the hanging command to begin")
        for number in range(MANY):
            station = server.named_station({"REMOTE_USER": f"user{number}"})
            parts.callback(station.client.close)
        assert slow.is_alive(), "50 others have joined while this one waits"
        (place / "go").touch()
        assert slow.status() == 101
        assert hang.status() == 503
        group = int((place / "hang").read_text())
        wait_for(lambda: not is_alive(group), WAIT_S, "the hanging command to be killed")
        server.wait_for_log("vpnws-on-connect: status 7; it said: nothing")

        slow.client.close()
        went = place / "went"
        wait_for(lambda: went.exists() and "leave slow" in went.read_text(), WAIT_S, "its end")
        wait_for(lambda: len(named(events, "join")) == MANY + 1, WAIT_S, "all joins to be posted")
        wait_for(lambda: len(named(events, "leave")) == 1, WAIT_S, "its end to be posted")
        assert named(events, "leave")[0]["fields"]["user"] == "slow"
        assert {event["fields"]["status"] for event in named(events, "refused")} == {"403", "503"}
        server.stop()
        assert went.read_text().count("leave user") == MANY, "the end waits for the last hooks"


def named(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["name"] == name]

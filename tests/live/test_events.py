"""The log in JSON, the events of all workers, and live streams through nginx."""

from __future__ import annotations

import json
import os
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.server import TwoWorkers
from tests.support.plain_nginx import LiveReader, PlainNginx
from tests.support.prerequisites import require
from tests.support.waiting import wait_for
from vpnws.control.api.live import MAX_STREAMS
from vpnws.control.under_way import MAX_REQUESTS
from vpnws.server.log import MAX_LINE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live

EVIL = 'eve\n{"event":"ban"}\n2025-01-01 vpnws[worker 1] INFO <script>' + "\u202e\U0001f409" * 500


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[TwoWorkers, PlainNginx]]:
    require("nginx")
    with (
        TwoWorkers({"vpnws-log": "json"}) as server,
        PlainNginx(server.socket_path) as nginx,
    ):
        yield server, nginx


def lines(server: TwoWorkers) -> list[dict[str, Any]]:
    """Return the lines of vpnws in the log: those that begin as JSON does."""
    return [json.loads(line) for line in server.log_text().splitlines() if line.startswith("{")]


def noted(server: TwoWorkers, event: str) -> list[dict[str, Any]]:
    """Return the lines of an event."""
    return [line for line in lines(server) if line.get("event") == event]


def open_all(nginx: PlainNginx, stack: ExitStack, count: int) -> list[LiveReader]:
    """Open `count` streams, and return those that there was room for."""
    streams = [stack.enter_context(nginx.open_stream()) for _ in range(count)]
    assert {stream.status for stream in streams} <= {200, 503}
    return [stream for stream in streams if stream.status == 200]


@pytest.mark.timeout(120)
def test_what_happens_is_told_in_the_log_and_to_whoever_looks(
    served: tuple[TwoWorkers, PlainNginx],
) -> None:
    server, nginx = served
    first = lines(server)[0]
    assert (first["process"], first["level"]) == ("start", "info")
    assert first["message"].startswith("vpnws ")
    assert "vpnws[" not in server.log_text()

    with nginx.open_stream() as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        name, state = stream.read()
        assert (name, {port["kind"] for port in state["ports"]}) == ("state", {"trunk"})
        with server.named_station({"REMOTE_USER": EVIL, "REMOTE_ADDR": "192.0.2.7"}):
            told = stream.read_until("join")
        left = stream.read_until("leave")
    assert told["fields"]["user"].startswith('eve?{"event":"ban"}?2025')
    assert left["fields"]["port"] == told["fields"]["port"]

    (line,) = wait_for(lambda: noted(server, "leave"), 5, "the line of its end")
    assert line["user"] == left["fields"]["user"]
    assert line["message"] == left["text"]
    assert (line["addr"], line["network"]) == ("192.0.2.7", "default")
    assert all(len(line) < MAX_LINE_BYTES for line in server.log_text().encode().splitlines())
    assert "ban" not in {line.get("event") for line in lines(server)}

    # A worker dies: the cursor goes on with the next one.
    status, page = nginx.get("api/v1/events?limit=1000")
    assert (status, page["missing"], page["lost"]) == (200, [], 0)
    names = [event["name"] for event in page["items"]]
    assert names.count("process_up") == 2
    assert {"join", "learn", "leave"} <= set(names)
    victim = server.worker_pids()[0]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: server.worker_pids()[0] != victim, 10, "another worker")

    def news() -> Any:
        return nginx.get(f"api/v1/events?after={page['next']}")[1]["items"]

    (up,) = wait_for(news, 10, "it to say that it serves")
    assert (up["name"], up["process"]) == ("process_up", "worker 1")
    assert up["fields"]["pid"] == server.worker_pids()[0]


@pytest.mark.timeout(120)
def test_streams_end_with_their_clients_and_with_a_reload(
    served: tuple[TwoWorkers, PlainNginx],
) -> None:
    server, nginx = served
    before = server.descriptors()
    # If streams were not given back, a worker would have too many requests under way.
    for _ in range(MAX_REQUESTS // MAX_STREAMS + 1):
        with ExitStack() as stack:
            streams = open_all(nginx, stack, 2 * MAX_STREAMS + 10)
            assert MAX_STREAMS <= len(streams) <= 2 * MAX_STREAMS
            assert all(stream.read()[0] == "state" for stream in streams)
            # Each holds a core, and there is still one for a station.
            with server.station(1), server.station(2):
                assert all(stream.read()[0] == "state" for stream in streams)
        wait_for(lambda: server.descriptors() <= before + 2, 5, "the streams' ends to be closed")

    with ExitStack() as stack:
        streams = open_all(nginx, stack, 8)
        assert len(streams) == 8
        server.process.send_signal(signal.SIGHUP)
        for stream in streams:
            stream.read_to_end()
        server.wait_for_log("gracefully (RE)spawned")
    wait_for(lambda: nginx.get("api/v1/status")[0] == 200, 10, "the server to be back")

    with ExitStack() as stack:
        streams = open_all(nginx, stack, 8)
        assert all(stream.read()[0] == "state" for stream in streams)
        server.stop()
    # uWSGI says so of a process that it waited for in vain.
    assert "MERCY" not in server.log_text()
    assert [line["level"] for line in lines(server) if line["level"] == "error"] == []

"""uWSGI's own options that would break the switch: each stops the start or is warned of."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.live.server import TwoWorkers, reach
from tests.support.service import ServiceError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.live

SOME_PERIODS_S = 7
"""Longer than twice the period of an option below."""


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--threads=2", "cannot start: each worker has 2 cores and gevent assumes 256"),
        ("--loop=simple", "cannot start: uWSGI's loop engine is simple and the switch needs"),
        ("--async=1", "cannot start: gevent = 1 is less than"),
        ("--idle=3", "cannot start: idle would cut stations off"),
        ("--cheaper=1", "cannot start: cheaper would cut stations off"),
        ("--max-requests=5", "cannot start: max-requests would cut stations off"),
        ("--max-worker-lifetime=30", "cannot start: max-worker-lifetime would cut stations off"),
        ("--processes=0", "cannot start: workers = 0 leaves nobody"),
        ("--exit-on-reload", "cannot start: exit-on-reload would cut stations off"),
        ("--python-worker-override=x.py", "cannot start: python-worker-override would cut"),
        ("--buffer-size=512", "cannot start: buffer-size = 512 is too short"),
        ("--socket-timeout=0", "cannot start: socket-timeout = 0 leaves no time"),
        ("--listen=1000000", "Listen queue size is greater than the system max"),
    ],
)
def test_what_would_break_it_stops_the_start(option: str, sentence: str) -> None:
    with pytest.raises(ServiceError) as caught, TwoWorkers({}, option):
        pass
    assert sentence in str(caught.value)


def test_an_address_that_is_given_twice_stops_the_start(tmp_path: Path) -> None:
    twice = [f"--socket={tmp_path}/same.sock"] * 2
    with pytest.raises(ServiceError) as caught, TwoWorkers({}, *twice):
        pass
    assert "vpnws-socket and vpnws-http are the same address" in str(caught.value)


def test_harakiri_stops_the_start_with_native() -> None:
    native = {"vpnws-receiver": "native"}
    with pytest.raises(ServiceError) as caught, TwoWorkers(native, "--harakiri=3"):
        pass
    assert "cannot start: harakiri would cut stations off: with" in str(caught.value)


def test_a_limit_of_memory_is_warned_of() -> None:
    with TwoWorkers({}, "--reload-on-rss=1000") as server:
        server.wait_for_log("WARNING reload-on-rss is set: a worker that takes that much")


def test_no_thread_of_uwsgi_sweeps_the_cache_by_the_wall_clock() -> None:
    with TwoWorkers({}) as server:
        assert "sweeper" not in server.log_text()


def test_few_descriptors_are_warned_of() -> None:
    with TwoWorkers({"vpnws-max-ports": "4000"}, "--max-fd=1024") as server:
        server.wait_for_log(
            "WARNING host: each worker may open 1024 files, and vpnws-max-ports = 4000"
        )


def test_a_cache_of_the_admins_is_no_harm_but_its_thread_is_warned_of() -> None:
    other = "--cache2=name=other,items=100"
    with TwoWorkers({}, other) as server, server.station(1) as a, server.station(2) as b:
        reach(a, b)
        server.wait_for_log("WARNING uWSGI's master has threads (1)")


def test_what_only_sounds_dangerous_leaves_stations_alone(tmp_path: Path) -> None:
    (tmp_path / "touched").touch()
    harmless = (
        "--harakiri=3",
        "--mule-harakiri=3",
        "--http-timeout=2",
        "--socket-timeout=2",
        "--reload-mercy=1",
        "--thunder-lock",
        "--gevent-monkey-patch",
        "--enable-threads",
        "--offload-threads=2",
        "--post-buffering=4096",
        "--buffer-size=65535",
        "--limit-post=1",
        "--websockets-max-size=1",
        "--py-autoreload=1",
        f"--touch-reload={tmp_path}/touched",
        f"--master-fifo={tmp_path}/fifo",
        f"--stats={tmp_path}/stats",
        "--need-app",
        "--single-interpreter",
        "--die-on-term",
        "--auto-procname",
        "--memory-report",
        "--catch-exceptions",
        "--log-master",
        "--log-x-forwarded-for",
        "--close-on-exec",
        "--so-keepalive",
        "--tcp-nodelay",
        "--reuse-port",
        "--cpu-affinity=1",
        "--no-orphans",
        "--skip-atexit",
        "--static-map=/=/nowhere",
        "--mule",
    )
    with TwoWorkers({}, *harmless) as server, server.station(1) as a, server.station(2) as b:
        time.sleep(SOME_PERIODS_S)
        reach(a, b)

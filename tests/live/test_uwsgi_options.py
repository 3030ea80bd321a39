"""uWSGI's own options that would break the switch: each stops the start or is warned of."""

from __future__ import annotations

import time

import pytest

from tests.live.server import TwoWorkers, reach
from tests.support.service import ServiceError

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
    ],
)
def test_what_would_break_it_stops_the_start(option: str, sentence: str) -> None:
    with pytest.raises(ServiceError) as caught, TwoWorkers({}, option):
        pass
    assert sentence in str(caught.value)


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


def test_what_only_sounds_dangerous_leaves_stations_alone() -> None:
    harmless = ("--harakiri=3", "--mule-harakiri=3", "--thunder-lock", "--gevent-monkey-patch")
    with TwoWorkers({}, *harmless) as server, server.station(1) as a, server.station(2) as b:
        time.sleep(SOME_PERIODS_S)
        reach(a, b)

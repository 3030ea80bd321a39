"""What uWSGI's options must be like: each that cannot work is refused with what to do instead."""

from __future__ import annotations

import pytest

from tests.fakes.manual_loop import ManualLoop
from tests.fakes.uwsgi import FakeCache, FakeMaster, FakeUwsgi
from vpnws.config import Settings
from vpnws.errors import ConfigError
from vpnws.server.preflight import (
    check_caches,
    check_engine,
    check_options,
)
from vpnws.server.recycling import REFUSED, WARNED, warnings

GOOD = {
    "gevent": "256",
    "master": "true",
    "mule": "vpnws_app:mule",
}
BRIDGE = Settings(mode="bridge", tap=(("default", "vpn0"),))


@pytest.mark.parametrize("settings", [Settings(), BRIDGE])
def test_good_ones_pass(settings: Settings) -> None:
    check_options(GOOD, settings, {})


@pytest.mark.parametrize(
    "option", ["https-socket", "https-socket-modifier1", "ssl-socket", "suwsgi-socket"]
)
def test_tls_in_the_worker_is_refused(option: str) -> None:
    with pytest.raises(ConfigError, match=f"^{option} puts TLS inside the worker"):
        check_options(GOOD | {option: ":443"}, Settings(), {})


@pytest.mark.parametrize("option", ["lazy-apps", "lazy"])
def test_an_application_loaded_after_the_fork_is_refused(option: str) -> None:
    with pytest.raises(ConfigError, match=f"^{option} is set"):
        check_options(GOOD | {option: "true"}, Settings(), {})
    check_options(GOOD | {option: "false"}, Settings(), {})


def test_what_is_needed_is_missed() -> None:
    options = {name: value for name, value in GOOD.items() if name != "master"}
    with pytest.raises(ConfigError, match=r"^master is not set"):
        check_options(options, Settings(), {})


@pytest.mark.parametrize(
    ("cores", "options"), [(256, {}), (64, {"async": "64"}), (256, {"threads": "1"})]
)
def test_a_running_gevent_passes(cores: int, options: dict[str, str]) -> None:
    check_engine("gevent", cores, GOOD | options)


@pytest.mark.parametrize(
    ("engine", "cores", "options", "says"),
    [
        ("", 1, {}, "^gevent is not set"),
        ("simple", 256, {"loop": "simple"}, "^uWSGI's loop engine is simple and"),
        ("gevent", 2, {"threads": "2"}, "^each worker has 2 cores .* remove threads"),
        ("gevent", 256, {"threads": "256"}, "^each worker has 256 cores .* remove threads"),
        ("gevent", 1, {"async": "1"}, "^gevent = 1 is less than the 2"),
    ],
)
def test_what_runs_is_looked_at(
    engine: str, cores: int, options: dict[str, str], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        check_engine(engine, cores, GOOD | options)


@pytest.mark.parametrize("option", REFUSED)
def test_what_cuts_stations_off_for_nothing_is_refused(option: str) -> None:
    with pytest.raises(ConfigError, match=f"^{option} would cut stations off: .*; remove it$"):
        check_options(GOOD | {option: "5"}, Settings(), {})
    check_options(GOOD | {option: "0"}, Settings(), {})


def test_harakiri_kills_with_native_only() -> None:
    options = GOOD | {"harakiri": "30", "websockets-pong-tolerance": "9999"}
    check_options(options, Settings(), {})
    with pytest.raises(ConfigError, match=r"^harakiri would cut stations off: with .* native"):
        check_options(options, Settings(receiver="native"), {})


@pytest.mark.parametrize(
    "cache",
    [FakeCache(items=1), FakeCache(key_bytes=15), FakeCache(value_bytes=63)],
    ids=["no room, as of none", "short keys", "short values"],
)
def test_a_cache_that_does_not_take_our_entries_is_refused(cache: FakeCache) -> None:
    loop = ManualLoop()
    master = FakeMaster(loop)
    master.cache = cache
    with pytest.raises(ConfigError, match=r"^there is no cache fdb that takes keys of 16 bytes"):
        check_caches(FakeUwsgi(master, loop))


def test_a_cache_that_takes_them_is_as_empty_as_before() -> None:
    loop = ManualLoop()
    master = FakeMaster(loop)
    check_caches(FakeUwsgi(master, loop))
    assert master.cache.keys() == []


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"buffer-size": "1024"}, "^buffer-size = 1024 is too short .* set 4096 or more"),
        ({"socket-timeout": "0"}, "^socket-timeout = 0 leaves no time"),
    ],
)
def test_a_handshake_that_could_not_be_read_is_foreseen(option: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check_options(GOOD | option, Settings(), {})
    check_options(GOOD | {"buffer-size": "4096", "socket-timeout": "4"}, Settings(), {})


def test_what_cuts_stations_off_for_a_reason_is_warned_of() -> None:
    assert warnings(GOOD) == []
    for option in WARNED:
        check_options(GOOD | {option: "100"}, Settings(), {})
        (warning,) = warnings(GOOD | {option: "100"})
        assert warning.startswith(f"{option} is set: ")


def test_only_native_needs_uwsgis_pongs() -> None:
    native = Settings(receiver="native")
    with pytest.raises(ConfigError, match="needs a large websockets-pong-tolerance"):
        check_options(GOOD, native, {})
    check_options(GOOD | {"websockets-pong-tolerance": "9999"}, native, {})


@pytest.mark.parametrize(
    ("made_for", "uid", "says"),
    [
        ("", "33", "uid is 33, and uwsgi.ini made the TAPs for root"),
        ("33", "", "uid is not set, and uwsgi.ini made the TAPs for 33"),
        ("33", "34", "uid is 34, and uwsgi.ini made the TAPs for 33"),
        ("%(uid)", "33", "uid is 33, and uwsgi.ini made the TAPs for root"),
    ],
)
def test_taps_made_for_somebody_else_are_refused(made_for: str, uid: str, says: str) -> None:
    options = GOOD | ({"uid": uid} if uid else {})
    environment = {"VPNWS_INI_UID": made_for}
    with pytest.raises(ConfigError, match=says):
        check_options(options, BRIDGE, environment)
    check_options(options, Settings(), environment)


@pytest.mark.parametrize("environment", [{}, {"VPNWS_INI_UID": "33"}])
def test_taps_made_for_us_or_by_others_pass(environment: dict[str, str]) -> None:
    check_options(GOOD | {"uid": "33"}, BRIDGE, environment)

"""Settings: every one is parsed, bounded and explained."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from vpnws.config import Settings, placeholder_names, read_settings
from vpnws.errors import ConfigError
from vpnws.host.preflight import check_options

GOOD = {
    "gevent": "256",
    "master": "true",
    "cache2": "name=fdb,items=4096",
    "websockets-pong-tolerance": "9999",
}


def test_without_placeholders_the_defaults_hold() -> None:
    assert read_settings({"workers": "2"}) == Settings()


def test_values_are_read() -> None:
    given = {"vpnws-dead-after": "90", "vpnws-receiver": "native", "vpnws-max-frame": "1514"}
    settings = read_settings(given)
    assert (settings.dead_after_s, settings.receiver, settings.max_frame_bytes) == (
        90,
        "native",
        1514,
    )


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("vpnws-receiver", "nativ", "stream, native"),
        ("vpnws-dead-after", "soon", "a whole number from 2 to 86400 s"),
        ("vpnws-dead-after", "1", "a whole number from 2 to 86400 s"),
        ("vpnws-dead-after", "-75", "a whole number"),
        ("vpnws-dead-after", "", "a whole number"),
        ("vpnws-max-frame", "70000", "from 1514 to 65535 bytes"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings({name: value})
    assert name in str(caught.value)
    assert value in str(caught.value)
    assert allowed in str(caught.value)


def test_a_name_that_is_no_setting_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="vpnws-recevier is not a setting.*vpnws-receiver"):
        read_settings({"vpnws-recevier": "stream"})


def test_a_ping_must_come_before_death() -> None:
    with pytest.raises(ConfigError, match="vpnws-ping-every = 80 must be less"):
        read_settings({"vpnws-ping-every": "80"})


def test_every_setting_says_what_it_is_for_and_has_a_sane_default() -> None:
    for item in fields(Settings):
        assert item.metadata["sentence"].endswith(".")
        if "low" in item.metadata:
            assert item.metadata["low"] <= item.default <= item.metadata["high"]


def test_every_setting_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    for name in placeholder_names():
        assert f"`{name}`" in text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"https-socket": ":443"}, r"https-socket puts TLS inside the worker.*https router.*nginx"),
        ({"gevent": None}, "gevent is not set"),
        ({"lazy-apps": "true"}, "lazy-apps is set"),
        ({"master": None}, "master is not set"),
        ({"cache2": "name=other"}, "no cache for the FDB"),
        ({"websockets-pong-tolerance": None}, "websockets-pong-tolerance"),
    ],
)
def test_options_that_cannot_work_are_refused(change: dict[str, str | None], sentence: str) -> None:
    options = {name: value for name, value in (GOOD | change).items() if value is not None}
    with pytest.raises(ConfigError, match=sentence):
        check_options(options, "native", "")


def test_a_setting_that_came_too_late_is_refused() -> None:
    options = GOOD | {
        "vpnws-socket": "/new.sock",
        "vpnws-http": "127.0.0.1:8080",
        "vpnws-fdb-items": "9",
    }
    check_options(options, "native", "/new.sock 127.0.0.1:8080 9")
    with pytest.raises(ConfigError, match=r"vpnws-socket = /new.sock came after .* /old.sock"):
        check_options(options, "native", "/old.sock 127.0.0.1:8080 9")

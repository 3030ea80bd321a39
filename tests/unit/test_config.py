"""Settings: every one is parsed, bounded and explained."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from vpnws.config import Settings, placeholder_names
from vpnws.config_reader import read_settings
from vpnws.errors import ConfigError
from vpnws.server.preflight import check_options
from vpnws.values import MAX_PINNED_MACS, parse_taps

NATIVE = Settings(receiver="native")
GOOD = {
    "gevent": "256",
    "master": "true",
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
    with pytest.raises(
        ConfigError, match=r"vpnws-recevier is not a setting; did you mean vpnws-receiver"
    ):
        read_settings({"vpnws-recevier": "stream"})


@pytest.mark.parametrize(
    "name", ["vpnw-mode", "vpns-mode", "vpnsw-mode", "vpn-ws-mode", "vpnws.mode", "VPNWS_MODE"]
)
def test_a_misspelt_prefix_is_noticed(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name} is not a setting; did you mean vpnws-mode"):
        read_settings({name: "bridge"})


@pytest.mark.parametrize("name", ["vpnws-mode ", " vpnws-mode", "vpnws-mode\t"])
def test_blanks_around_the_sign_are_named_with_the_remedy(name: str) -> None:
    with pytest.raises(ConfigError, match=r"blanks in it: .* set-placeholder = vpnws-mode=bridge$"):
        read_settings({name: " bridge"})


@pytest.mark.parametrize(
    "name", ["vacuum", "voidify", "virtualenv", "puwsgi-socket", "http-decided", "venue", "mode"]
)
def test_what_others_name_is_no_setting_of_ours(name: str) -> None:
    assert read_settings({name: "x"}) == Settings()


def test_a_ping_must_come_before_death() -> None:
    with pytest.raises(ConfigError, match="vpnws-ping-every = 80 must be less"):
        read_settings({"vpnws-ping-every": "80"})


def test_pinned_macs_are_read_with_their_networks() -> None:
    tap = {"vpnws-mode": "bridge", "vpnws-tap": "default:vpn0 blue:vpn1"}
    pins = "02:00:00:00:00:01, blue:02:00:00:00:0A:02"
    assert read_settings(tap | {"vpnws-pinned-macs": pins}).pinned_macs == (
        ("default", b"\x02\0\0\0\0\x01"),
        ("blue", b"\x02\0\0\0\x0a\x02"),
    )
    with pytest.raises(ConfigError, match="02:00:00:00:00:01 in network red, which has no TAP"):
        read_settings(tap | {"vpnws-pinned-macs": "red:02:00:00:00:00:01"})


@pytest.mark.parametrize(
    "text", ["02:00:00:00:00", "0200.0000.0001", "01:00:5e:00:00:01", "00:00:00:00:00:00", "b l:2"]
)
def test_what_is_no_stations_mac_is_not_pinned(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a list of stations' MACs"):
        read_settings({"vpnws-pinned-macs": text})


def test_pinned_macs_are_bounded() -> None:
    pins = " ".join(f"02:00:00:00:00:{number:02x}" for number in range(MAX_PINNED_MACS + 1))
    with pytest.raises(ConfigError, match=f"has {MAX_PINNED_MACS + 1} MACs, and at most"):
        read_settings({"vpnws-pinned-macs": pins})


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
        ({"lazy-apps": "true"}, "lazy-apps is set"),
        ({"master": None}, "master is not set"),
        ({"websockets-pong-tolerance": None}, "websockets-pong-tolerance"),
    ],
)
def test_options_that_cannot_work_are_refused(change: dict[str, str | None], sentence: str) -> None:
    options = {name: value for name, value in (GOOD | change).items() if value is not None}
    with pytest.raises(ConfigError, match=sentence):
        check_options(options, NATIVE, {})


def test_a_setting_that_came_too_late_is_refused() -> None:
    options = GOOD | {"vpnws-socket": "/new.sock", "vpnws-tap": ""}
    check_options(options, NATIVE, {"VPNWS_INI_SOCKET": "/new.sock", "VPNWS_INI_TAP": ""})
    with pytest.raises(ConfigError, match=r"vpnws-socket = /new.sock came after .* '/old.sock'"):
        check_options(options, NATIVE, {"VPNWS_INI_SOCKET": "/old.sock", "VPNWS_INI_TAP": ""})


def test_a_tap_needs_the_mule() -> None:
    settings = read_settings({"vpnws-mode": "bridge", "vpnws-tap": "vpn0"})
    with pytest.raises(ConfigError, match="there is no mule for it"):
        check_options(GOOD, settings, {})
    check_options(GOOD | {"mule": "vpnws_app:mule"}, settings, {})


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("vpn0", (("default", "vpn0"),)),
        ("blue:vpn-blue red:vpn-red", (("blue", "vpn-blue"), ("red", "vpn-red"))),
        ("", ()),
    ],
)
def test_taps_are_read(text: str, pairs: tuple[tuple[str, str], ...]) -> None:
    assert parse_taps(text) == pairs


@pytest.mark.parametrize(
    "text", ["blue:", "a/b:x", "blue:one blue:two", "blue:one red:one", "x" * 16]
)
def test_what_is_no_list_of_taps_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="vpnws-tap = "):
        parse_taps(text)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"vpnws-mode": "bridge"}, "vpnws-mode = bridge goes with a TAP"),
        ({"vpnws-tap": "vpn0"}, "vpnws-mode = switch goes without a TAP"),
        ({"vpnws-exec": "true"}, "vpnws-exec is set and vpnws-tap is not"),
        (
            {"vpnws-mode": "bridge", "vpnws-tap": "blue:vpn0,red:vpn1"},
            "vpnws-tap = 'blue:vpn0,red:vpn1' has a comma: separate several by spaces",
        ),
        (
            {"vpnws-mode": "bridge", "vpnws-tap": "blue=vpn0"},
            "vpnws-tap = 'blue=vpn0' has a second =: write a pair with a colon, blue:vpn0",
        ),
        ({"vpnws-http": "::1:8080"}, r"is not address:port, like 127.0.0.1:8080 or \[::1\]:8080"),
        ({"vpnws-http": "8080"}, "vpnws-http = '8080' is not address:port"),
        ({"vpnws-http": "0.0.0.0:99999"}, "vpnws-http = '0.0.0.0:99999' is not address:port"),
        (
            {"vpnws_max_ports": "5"},
            r"vpnws_max_ports is not a setting; did you mean vpnws-max-ports\? docs",
        ),
        ({"vpnws-no-broadcast": "yes"}, "vpnws-no-broadcast = 'yes' is not on or off"),
        ({"vpnws-trusted-proxies": "localhost"}, "vpnws-trusted-proxies = 'localhost' is not"),
        (
            {"vpnws-mode": "bridge", "vpnws-tap": "vpn0", "vpnws-fdb-items": "4096"},
            "vpnws-fdb-items = 4096 must be more than the 4096 MACs",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        read_settings(given)

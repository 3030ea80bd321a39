"""The process for hooks looks at the host: it says each thing once, and answers the API."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.fakes.control import Operator
from tests.fakes.devices import FakeDevices
from tests.fakes.house import House
from tests.fakes.manual_loop import ManualLoop
from tests.fakes.uwsgi import GOOD_OPTIONS, FakeMaster, FakeUwsgi, ProcessEnded
from vpnws.control.views import FindingView
from vpnws.server.hooks.checkup import FIRST_LOOK_S, LOOK_EVERY_S
from vpnws.server.ini import CHECK
from vpnws.server.start import start

if TYPE_CHECKING:
    from collections.abc import Iterator

STP = FindingView(name="stp", severity="warning", sentence="br0 waits", remedy="stp_state 0")
MTU = FindingView(name="mtu", severity="error", sentence="vpn0 is small", remedy="mtu 1500")
HINT = FindingView(name="backlog", severity="info", sentence="100 wait", remedy="listen = 200")


@pytest.fixture
def house() -> Iterator[House]:
    with House(findings=(MTU, STP, HINT)) as built:
        yield built


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if text.startswith("host: ")]


def test_each_finding_is_said_once_with_its_remedy(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    assert said(caplog) == [], "the start does not wait for it"
    house.loop.advance(FIRST_LOOK_S)
    assert said(caplog) == [
        "host: vpn0 is small; remedy: mtu 1500",
        "host: br0 waits; remedy: stp_state 0",
    ]
    house.loop.advance(3 * LOOK_EVERY_S)
    assert len(said(caplog)) == 2


def test_it_is_among_the_events_and_the_process_among_the_others(house: House) -> None:
    house.loop.advance(FIRST_LOOK_S)
    events = Operator(house).get("events", "event=doctor")["items"]
    assert [(event["process"], event["fields"]["check"]) for event in events] == [
        ("hooks", "mtu"),
        ("hooks", "stp"),
    ]
    hooks = Operator(house).get("processes")["items"][-1]
    assert (hooks["name"], hooks["events"], hooks["restarts"]) == ("hooks", {"doctor": 2}, 0)
    assert hooks["beats"] >= FIRST_LOOK_S


def test_what_was_mended_and_comes_back_is_said_again(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.loop.advance(FIRST_LOOK_S)
    house.findings = ()
    house.loop.advance(LOOK_EVERY_S)
    house.findings = (STP,)
    house.loop.advance(LOOK_EVERY_S)
    assert said(caplog)[2:] == ["host: br0 waits; remedy: stp_state 0"]


def test_the_api_shows_what_is_so_now(house: House) -> None:
    page = Operator(house, 2).get("doctor")
    assert [item["name"] for item in page["items"]] == ["mtu", "stp", "backlog"]
    assert page["items"][1]["remedy"] == "stp_state 0"
    assert page["missing"] == []
    house.findings = ()
    assert Operator(house, 1).get("doctor")["items"] == []


def test_without_its_process_the_api_says_what_is_missing(house: House) -> None:
    with pytest.raises(ProcessEnded):
        house.hooks.loop.send_signal(signal.SIGTERM)
    status, answer = Operator(house).ask("GET", "api/v1/doctor")
    assert status == 503
    assert "mule = vpnws_app:hooks" in answer["error"]


def test_a_process_without_ports_is_not_missed_by_those_who_ask_for_ports(house: House) -> None:
    assert Operator(house).get("ports")["missing"] == []
    status, answer = Operator(house).try_change("POST", "ports/3.1/kick", {})
    assert (status, answer["error"]) == (404, "hooks has nothing to do with that")


def test_a_check_of_the_settings_shows_them(caplog: pytest.LogCaptureFixture) -> None:
    loop = ManualLoop()
    uwsgi = FakeUwsgi(FakeMaster(loop, options=GOOD_OPTIONS), loop)
    with pytest.raises(ProcessEnded):
        start(loop, uwsgi, FakeDevices(), {CHECK: "1"}, lambda *_: (MTU,))
    assert said(caplog) == ["host: vpn0 is small; remedy: mtu 1500"]

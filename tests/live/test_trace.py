"""vpnws-ctl trace on a real server: what it says of a frame, and what happens to the frame."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.server import Station, TwoWorkers, reach
from tests.support.frames import ARP_REQUEST, arp
from tests.support.waiting import wait_for
from vpnws.ctl.exits import Exit
from vpnws.wire.ethernet import BROADCAST, format_mac

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.live

STORM_LIMIT = 1


@pytest.fixture(scope="module")
def server() -> Iterator[TwoWorkers]:
    with TwoWorkers({"vpnws-storm-limit": str(STORM_LIMIT)}) as running:
        yield running


class Trace:
    """One run of vpnws-ctl trace."""

    def __init__(self, server: TwoWorkers, *words: str) -> None:
        command = [sys.executable, "-m", "vpnws.ctl", "--socket", str(server.socket_path)]
        done = subprocess.run(
            [*command, "trace", *words, "--json"], check=False, capture_output=True, text=True
        )
        self.status, self.errors = done.returncode, done.stderr
        self.view: Any = json.loads(done.stdout) if done.stdout else {}

    @property
    def decision(self) -> tuple[str, str, int]:
        there = self.view["there"]
        return there["outcome"], there["reason"], there["decided_by"]


class People:
    """Stations of users; they leave at the end of the test."""

    def __init__(self, server: TwoWorkers, stack: ExitStack) -> None:
        self._server = server
        self._stack = stack

    def join(self, user: str, number: int | None = None, **rights: str) -> Station:
        """Join a station of `user`, with what the web server grants it.

        Each has a MAC of its own, of which no test before has left anything, unless it gets the
        MAC with `number`.
        """
        station = self._server.named_station({"REMOTE_USER": user, **rights}, number=number)
        return self._stack.enter_context(station)


@pytest.fixture
def people(server: TwoWorkers) -> Iterator[People]:
    with ExitStack() as stack:
        yield People(server, stack)


@pytest.fixture
def trace(server: TwoWorkers) -> Callable[..., Trace]:
    return lambda *words: Trace(server, *words)


def test_they_can_talk_and_then_one_is_gone(people: People, trace: Callable[..., Trace]) -> None:
    ada, bob = people.join("ada"), people.join("bob")
    for name in ("bob", format_mac(bob.mac)):
        told = trace("ada", name)
        assert told.status == Exit.DONE
        assert told.decision == ("delivered", "", 0)
        assert told.view["back"]["outcome"] == "delivered"
    reach(ada, bob)
    bob.client.close()
    wait_for(lambda: trace("ada", "bob").view["destination"]["kind"] == "gone", 5.0, "bob's end")
    told = trace("ada", "bob")
    assert told.decision[2] == 5
    assert re.search("bob's MAC was last heard [0-9]+ s ago on port ", told.view["text"])
    assert "which is down: " in told.view["text"]
    told = trace("ada", "bobby")
    assert told.status == Exit.NOT_FOUND


def test_rights_that_keep_them_apart(people: People, trace: Callable[..., Trace]) -> None:
    ada = people.join("ada")
    dan = people.join("dan", VPNWS_ROLE="isolated")
    fay = people.join("fay", VPNWS_NETWORK="other")
    eve = people.join("eve", VPNWS_ALLOW="10.8.0.0/30")
    assert trace("ada", "dan").decision == ("dropped", "filtered", 7)
    assert trace("ada", "dan").view["text"] == "dan is isolated: VPNWS_ROLE"
    assert not dan.hears(ada.send(dan.mac))
    assert trace("ada", "fay").decision == ("elsewhere", "", 7)
    assert not fay.hears(ada.send(fay.mac))
    tells = arp(
        ARP_REQUEST, (ada.mac, "10.8.0.7"), (bytes(6), "10.8.0.7"), macs=BROADCAST + ada.mac
    )
    ada.client.send_frame(tells)
    eve.expect(tells)
    told = trace("eve", "10.8.0.7")
    assert told.decision == ("dropped", "not_allowed", 2)
    assert told.view["destination"]["who"]["user"] == "ada"
    assert not ada.hears(eve.send(ada.mac))


def test_a_mac_that_another_user_has(people: People, trace: Callable[..., Trace]) -> None:
    ada, bob = people.join("ada"), people.join("bob")
    thief = people.join("mallory", int.from_bytes(ada.mac[4:], "big"))
    told = trace("mallory", "bob")
    assert told.decision == ("dropped", "mac_taken", 4)
    assert "(ada)" in told.view["text"]
    assert not bob.hears(thief.send(bob.mac))
    assert bob.hears(ada.send(bob.mac))


def test_a_storm(people: People, trace: Callable[..., Trace]) -> None:
    ada, bob = people.join("ada"), people.join("bob")
    is_over = threading.Event()

    def flood() -> None:
        while not is_over.wait(0.001):
            ada.send(BROADCAST)

    flooder = threading.Thread(target=flood)
    flooder.start()
    try:
        told = trace("ada", "02:00:00:00:00:99")
        known = trace("ada", "bob")
    finally:
        is_over.set()
        flooder.join()
    # A token may have come just then; then the frame would pass, and the trace warns.
    said = (told.view["text"], *told.view["there"]["warnings"])
    assert any("storm limit" in text for text in said)
    assert told.view["there"]["steps"][5]["recent_drops"] > 0
    assert known.decision == ("delivered", "", 0)
    assert bob.hears(ada.send(bob.mac))

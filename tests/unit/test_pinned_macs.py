"""A pinned MAC: whose it is, who else gets it, and what outlives its owner's connection."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest

from tests.support.fabric import Fabric
from tests.support.frames import frame, mac
from vpnws.switch.drop import Drop
from vpnws.switch.guard.claims import (
    ANONYMOUS,
    CHALLENGE_AGAIN_S,
    CHALLENGE_S,
    OWN,
    RESERVED_S,
    Verdict,
    judge,
)
from vpnws.switch.location import NOWHERE, Location
from vpnws.wire.ethernet import BROADCAST

ALICE, BOB = b"alice...", b"bob....."
HOST = mac(1)
PINNED = Location(NOWHERE, 0, ALICE, is_pinned=True)


@pytest.fixture
def fabric() -> Fabric:
    made = Fabric()
    made.table.put("default", HOST, PINNED)
    return made


@pytest.mark.parametrize("slot", [0, NOWHERE])
@pytest.mark.parametrize("claim", [ANONYMOUS, BOB])
@pytest.mark.parametrize("is_tap", [False, True])
def test_nobody_else_gets_it(slot: int, claim: bytes, is_tap: bool) -> None:
    there = replace(PINNED, slot=slot)
    assert judge(there, claim, 0.0, is_tap=is_tap, had_it=False) is Verdict.REFUSE


def test_its_owner_and_the_server_get_it() -> None:
    assert judge(PINNED, ALICE, 0.0, is_tap=False, had_it=False) is Verdict.TAKE
    assert judge(PINNED, OWN, 0.0, is_tap=True, had_it=False) is Verdict.TAKE


def test_others_frames_are_dropped_on_every_process(fabric: Fabric) -> None:
    for slot in (0, 1):
        thief = fabric.attach(slot, claim=BOB)
        fabric.send(thief, frame(BROADCAST, HOST))
        assert thief.drops == {Drop.MAC_TAKEN: 1}


@pytest.mark.parametrize("release", [False, True])
def test_it_stays_pinned_when_its_owner_goes(fabric: Fabric, release: bool) -> None:
    owner, thief = fabric.attach(0, claim=ALICE), fabric.attach(1, claim=BOB)
    fabric.send(owner, frame(BROADCAST, HOST))
    assert fabric.stations(owner) == {HOST}
    there = fabric.table.get("default", HOST)
    assert there is not None
    assert (there.is_pinned, there.until_s, there.port_id) == (True, inf, owner.id)
    fabric.detach(owner, release=release)
    fabric.now += 10 * RESERVED_S
    fabric.send(thief, frame(BROADCAST, HOST))
    assert thief.drops == {Drop.MAC_TAKEN: 1}
    assert fabric.table.get("default", HOST) == PINNED


def test_a_host_behind_its_owners_bridge_has_it_however_silent(fabric: Fabric) -> None:
    bridge = fabric.attach(claim=ALICE, own=frozenset((mac(50),)))
    other = fabric.attach(1)
    fabric.send(bridge, frame(BROADCAST, HOST))
    fabric.received(other)
    fabric.now += 1000.0
    for switch in fabric.switches:
        switch.age(fabric.now)
    assert fabric.table.get("default", HOST) == PINNED
    fabric.send(other, frame(BROADCAST, HOST))
    assert other.drops == {Drop.MAC_TAKEN: 1}
    fabric.send(bridge, frame(BROADCAST, HOST))
    assert fabric.stations(bridge) == {HOST}


def test_a_lan_host_cannot_challenge_it(fabric: Fabric) -> None:
    owner = fabric.attach(claim=ALICE)
    tap = fabric.attach(1, claim=OWN, own=frozenset())
    fabric.send(owner, frame(BROADCAST, HOST))
    for _ in range(3):
        fabric.now += CHALLENGE_S + CHALLENGE_AGAIN_S
        fabric.send(tap, frame(BROADCAST, HOST))
    assert tap.drops == {Drop.MAC_TAKEN: 3}
    assert fabric.stations(owner) == {HOST}


def test_who_had_it_before_it_was_pinned_loses_it() -> None:
    fabric = Fabric()
    holder, asker = fabric.attach(0, claim=BOB), fabric.attach(1)
    fabric.send(holder, frame(BROADCAST, HOST))
    fabric.received(asker)
    fabric.table.put("default", HOST, PINNED)
    fabric.table.bump()
    fabric.send(holder, frame(BROADCAST, HOST))
    assert holder.drops == {Drop.MAC_TAKEN: 1}
    assert fabric.received(asker) == []
    assert fabric.stations(holder) == frozenset()


class TestFlush:
    def test_forgets_the_place_and_keeps_the_name(self) -> None:
        fabric = Fabric()
        owner, thief = fabric.attach(0, claim=ALICE), fabric.attach(1, claim=BOB)
        fabric.send(owner, frame(BROADCAST, HOST))
        assert fabric.fdb(owner).flush(HOST)
        assert fabric.stations(owner) == frozenset()
        fabric.send(thief, frame(BROADCAST, HOST))
        assert thief.drops == {Drop.MAC_TAKEN: 1}
        fabric.send(owner, frame(BROADCAST, HOST))
        assert fabric.stations(owner) == {HOST}

    def test_lets_the_older_of_two_stations_have_it_again(self) -> None:
        fabric = Fabric()
        older, newer = fabric.attach(claim=ALICE), fabric.attach(claim=ALICE)
        for port in (older, newer, older):
            fabric.send(port, frame(BROADCAST, HOST))
        assert older.drops == {Drop.MAC_TAKEN: 1}
        assert fabric.fdb(older).flush(HOST)
        fabric.send(older, frame(BROADCAST, HOST))
        assert fabric.stations(older) == {HOST}

    def test_leaves_what_is_the_servers_own(self) -> None:
        fabric = Fabric()
        tap = fabric.attach(claim=OWN, own=frozenset())
        fabric.switches[0].own(tap, frozenset((HOST,)), fabric.now)
        assert not fabric.fdb(tap).flush(HOST)
        assert not fabric.fdb(tap).flush(mac(2))
        assert fabric.stations(tap) == {HOST}


def test_moves_and_evictions_are_counted() -> None:
    fabric = Fabric()
    first, second = fabric.attach(0), fabric.attach(1, station_limit=1)
    fabric.send(first, frame(BROADCAST, HOST))
    fabric.send(second, frame(BROADCAST, mac(2)))
    fabric.now += 10.0
    fabric.send(second, frame(BROADCAST, mac(3)))
    assert fabric.fdb(second).known.counts.evicted == 1
    fabric.now += 10.0
    fabric.send(second, frame(BROADCAST, HOST))
    fabric.now += CHALLENGE_S
    fabric.send(second, frame(BROADCAST, HOST))
    assert fabric.stations(second) == {HOST}
    assert fabric.fdb(second).known.counts.moved == 1
    assert fabric.fdb(first).known.counts.moved == 0

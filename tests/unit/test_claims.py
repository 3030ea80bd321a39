"""Who may have a MAC, and how it moves from port to port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fabric import Fabric
from tests.support.frames import frame, mac
from vpnws.switch.drop import Drop
from vpnws.switch.guard.claims import (
    ANONYMOUS,
    CHALLENGE_AGAIN_S,
    CHALLENGE_S,
    CHALLENGES_PER_S,
    OWN,
    RESERVED_S,
    Verdict,
    judge,
)
from vpnws.switch.location import NOWHERE, Location
from vpnws.switch.recent import VERDICT_S
from vpnws.wire.ethernet import BROADCAST

if TYPE_CHECKING:
    from vpnws.switch.port import AccessPort

ALICE, BOB = b"alice...", b"bob....."
HOST = mac(1)
"""The MAC that is fought over."""
CLAIMS = (ANONYMOUS, ALICE, BOB, OWN)


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


def speak(fabric: Fabric, port: AccessPort) -> bool:
    """Let HOST speak at `port`; return whether its frame was let in."""
    refused = port.drops.total()
    fabric.send(port, frame(BROADCAST, HOST))
    for switch in fabric.switches:
        for network in switch.networks:
            for other in network.ports.values():
                fabric.received(other)
    return port.drops.total() == refused


def holder(fabric: Fabric, asker: AccessPort, *ports: AccessPort) -> AccessPort | None:
    """Return which of `ports` gets a frame for HOST; None if all do."""
    fabric.send(asker, frame(HOST, mac(99)))
    got = [port for port in ports if fabric.received(port)]
    assert len(got) in (1, len(ports))
    return got[0] if len(got) == 1 else None


class TestJudge:
    """Every kind of holder against every kind of port that wants its MAC."""

    @staticmethod
    def verdict(there: bytes, wants: bytes, *, slot: int = 1, had_it: bool = False) -> Verdict:
        location = Location(slot, 7 if slot != NOWHERE else 0, there)
        return judge(location, wants, 100.0, is_tap=wants == OWN, had_it=had_it)

    @pytest.mark.parametrize("there", CLAIMS)
    @pytest.mark.parametrize("slot", [1, NOWHERE])
    def test_the_server_gets_its_own_macs_at_once(self, there: bytes, slot: int) -> None:
        assert self.verdict(there, OWN, slot=slot) is Verdict.TAKE

    @pytest.mark.parametrize("wants", [ANONYMOUS, ALICE])
    @pytest.mark.parametrize("slot", [1, NOWHERE])
    def test_nobody_else_gets_them(self, wants: bytes, slot: int) -> None:
        assert self.verdict(OWN, wants, slot=slot) is Verdict.REFUSE

    def test_a_name_gets_its_own_back_and_nobody_elses(self) -> None:
        assert self.verdict(ALICE, ALICE) is Verdict.TAKE
        assert self.verdict(ALICE, BOB) is Verdict.REFUSE
        assert self.verdict(ALICE, ANONYMOUS) is Verdict.REFUSE
        assert self.verdict(ALICE, ALICE, slot=NOWHERE) is Verdict.TAKE
        assert self.verdict(ALICE, BOB, slot=NOWHERE) is Verdict.REFUSE

    def test_the_older_of_two_stations_of_one_name_does_not_take_it_back(self) -> None:
        assert self.verdict(ALICE, ALICE, had_it=True) is Verdict.REFUSE
        assert self.verdict(ALICE, ALICE, had_it=True, slot=NOWHERE) is Verdict.TAKE

    @pytest.mark.parametrize("wants", [ANONYMOUS, ALICE])
    def test_what_is_nobodys_is_challenged(self, wants: bytes) -> None:
        assert self.verdict(ANONYMOUS, wants) is Verdict.CHALLENGE

    def test_a_host_behind_a_tap_may_challenge_any_station(self) -> None:
        there = Location(1, 7, ALICE)
        assert judge(there, ANONYMOUS, 0.0, is_tap=True, had_it=False) is Verdict.CHALLENGE
        own = Location(1, 7, OWN)
        assert judge(own, ANONYMOUS, 0.0, is_tap=True, had_it=False) is Verdict.REFUSE

    def test_a_challenge_takes_its_time(self) -> None:
        there = Location(1, 7, ANONYMOUS).challenged(2, 8, 100.0)
        for after_s, expected in ((0.0, Verdict.WAIT), (CHALLENGE_S, Verdict.TAKE)):
            now = 100.0 + after_s
            assert judge(there, ANONYMOUS, now, is_tap=False, had_it=False) is expected


@pytest.mark.parametrize("slot", [0, 1])
class TestAMove:
    def test_a_host_that_moves_is_followed_when_its_old_place_is_silent(
        self, fabric: Fabric, slot: int
    ) -> None:
        old, new, asker = fabric.attach(0), fabric.attach(slot), fabric.attach(0)
        assert speak(fabric, old)
        assert not speak(fabric, new)
        assert new.drops == {Drop.MOVE_GUARD: 1}
        fabric.now += CHALLENGE_S
        assert speak(fabric, new)
        assert holder(fabric, asker, old, new) is new
        assert fabric.stations(old) == frozenset()
        assert not speak(fabric, old), "and back, in the same way"
        fabric.now += CHALLENGE_S
        assert speak(fabric, old)
        assert holder(fabric, asker, old, new) is old

    def test_a_holder_that_still_talks_keeps_it_and_is_told(
        self, fabric: Fabric, slot: int
    ) -> None:
        old, new, asker = fabric.attach(0), fabric.attach(slot), fabric.attach(0)
        assert speak(fabric, old)
        for _ in range(100):
            fabric.now += CHALLENGE_S / 2
            assert not speak(fabric, new)
            assert speak(fabric, old)
        assert holder(fabric, asker, old, new) is old
        assert old.rival == (HOST, slot, new.id)

    def test_frames_for_the_holder_do_not_hide_the_challenge_from_it(
        self, fabric: Fabric, slot: int
    ) -> None:
        old, new, asker = fabric.attach(0), fabric.attach(slot), fabric.attach(0)
        assert speak(fabric, old)
        assert not speak(fabric, new)
        assert holder(fabric, asker, old, new) is old
        assert speak(fabric, old)
        fabric.now += CHALLENGE_S
        assert not speak(fabric, new), "it is answered"


class TestTheServersOwn:
    def test_nobody_takes_them_even_while_the_tap_is_away(self, fabric: Fabric) -> None:
        fabric.table.reserve("default", HOST, OWN)
        thief = fabric.attach(1, claim=ALICE)
        fabric.switches[1].announce(thief, HOST, fabric.now)
        assert not speak(fabric, thief)
        tap = fabric.attach(0, claim=OWN, own=frozenset())
        fabric.switches[0].own(tap, frozenset({HOST}), fabric.now)
        asker = fabric.attach(0)
        assert holder(fabric, asker, tap, thief) is tap
        fabric.detach(tap)
        fabric.now += 10 * RESERVED_S
        assert not speak(fabric, thief)
        assert thief.drops == {Drop.MAC_TAKEN: 2}

    def test_they_are_free_when_the_tap_has_another(self, fabric: Fabric) -> None:
        tap, station = fabric.attach(0, claim=OWN, own=frozenset()), fabric.attach(1)
        fabric.switches[0].own(tap, frozenset({HOST}), fabric.now)
        assert not speak(fabric, station)
        fabric.switches[0].own(tap, frozenset({mac(2)}), fabric.now)
        fabric.now += VERDICT_S
        assert speak(fabric, station)

    def test_the_tap_takes_them_from_whoever_has_them(self, fabric: Fabric) -> None:
        tap = fabric.attach(0, claim=OWN, own=frozenset())
        thief = fabric.attach(1, claim=ALICE)
        assert speak(fabric, thief)
        fabric.switches[0].own(tap, frozenset({HOST}), fabric.now)
        assert holder(fabric, fabric.attach(0), tap, thief) is tap

    def test_what_was_learned_as_a_hosts_becomes_its_own(self, fabric: Fabric) -> None:
        tap, station = fabric.attach(0, claim=OWN, own=frozenset()), fabric.attach(1)
        assert speak(fabric, tap)
        fabric.switches[0].own(tap, frozenset({HOST}), fabric.now)
        for _ in range(3):
            assert not speak(fabric, station)
            fabric.now += CHALLENGE_S
        assert set(station.drops) == {Drop.MAC_TAKEN}


class TestANamedStation:
    def test_its_mac_is_its_own(self, fabric: Fabric) -> None:
        alice, asker = fabric.attach(0, claim=ALICE), fabric.attach(0)
        thieves = (fabric.attach(1, claim=BOB), fabric.attach(0))
        assert speak(fabric, alice)
        for thief in thieves:
            for _ in range(3):
                assert not speak(fabric, thief)
                fabric.now += CHALLENGE_S
            assert thief.drops == {Drop.MAC_TAKEN: 3}
        assert holder(fabric, asker, alice, *thieves) is alice

    def test_it_takes_its_mac_along_at_once(self, fabric: Fabric) -> None:
        old, new, asker = (fabric.attach(slot, claim=ALICE) for slot in (0, 1, 0))
        assert speak(fabric, old)
        fabric.switches[1].announce(new, HOST, fabric.now)
        assert holder(fabric, asker, old, new) is new

    @pytest.mark.parametrize("slot", [0, 1])
    def test_of_two_with_one_mac_the_newer_has_it_until_it_goes(
        self, fabric: Fabric, slot: int
    ) -> None:
        old, new, asker = (fabric.attach(at, claim=ALICE) for at in (0, slot, 1))
        assert speak(fabric, old)
        assert speak(fabric, new)
        for _ in range(5):
            fabric.now += CHALLENGE_S
            assert not speak(fabric, old)
            assert holder(fabric, asker, old, new) is new
        assert old.drops == {Drop.MAC_TAKEN: 5}
        fabric.detach(new)
        fabric.now += VERDICT_S
        assert speak(fabric, old)

    def test_while_it_is_away_its_mac_is_reserved_for_a_while(self, fabric: Fabric) -> None:
        alice, bob = fabric.attach(0, claim=ALICE), fabric.attach(1, claim=BOB)
        assert speak(fabric, alice)
        fabric.detach(alice)
        fabric.now += RESERVED_S - 1.0
        assert not speak(fabric, bob)
        fabric.now += 1.0
        assert speak(fabric, bob)

    @pytest.mark.parametrize("slot", [0, 1])
    def test_one_that_is_silent_for_long_keeps_it(self, fabric: Fabric, slot: int) -> None:
        alice, bob = fabric.attach(0, claim=ALICE), fabric.attach(slot, claim=BOB)
        tap = fabric.attach(1, claim=OWN, own=frozenset())
        assert speak(fabric, alice)
        for _ in range(1000):
            fabric.now += 1.0
            for switch in fabric.switches:
                switch.age(fabric.now)
            assert not speak(fabric, bob)
        assert not speak(fabric, tap)
        fabric.now += CHALLENGE_S
        fabric.switches[0].age(fabric.now)
        assert speak(fabric, tap), "its silence answers no challenge"

    @pytest.mark.parametrize("is_asked_for", [False, True])
    def test_what_raced_and_is_at_no_port_is_still_its_own(
        self, fabric: Fabric, is_asked_for: bool
    ) -> None:
        """A challenge of a TAP's host may be written just when the station has gone."""
        alice, bob, tap = (fabric.attach(0, claim=claim) for claim in (ALICE, BOB, OWN))
        assert speak(fabric, alice)
        there = fabric.switches[0].locate("default", HOST)
        assert there is not None
        fabric.detach(alice)
        fabric.table.put("default", HOST, there.challenged(1, tap.id, fabric.now))
        fabric.table.bump()
        if is_asked_for:
            fabric.send(tap, frame(HOST, mac(9)))
        assert not speak(fabric, bob)
        assert speak(fabric, fabric.attach(0, claim=ALICE))

    def test_one_that_leaves_for_good_gives_it_up(self, fabric: Fabric) -> None:
        alice, bob = fabric.attach(0, claim=ALICE), fabric.attach(1, claim=BOB)
        assert speak(fabric, alice)
        fabric.detach(alice, release=True)
        assert speak(fabric, bob)

    def test_frames_for_it_are_flooded_meanwhile(self, fabric: Fabric) -> None:
        alice, asker, third = fabric.attach(0, claim=ALICE), fabric.attach(0), fabric.attach(1)
        assert speak(fabric, alice)
        fabric.detach(alice)
        fabric.send(asker, frame(HOST, mac(9)))
        assert len(fabric.received(third)) == 1

    def test_a_host_behind_one_that_bridges_is_nobodys(self, fabric: Fabric) -> None:
        own = frozenset({mac(7)})
        branch, other = fabric.attach(0, claim=ALICE, own=own), fabric.attach(1, claim=BOB, own=own)
        assert speak(fabric, branch)
        assert not speak(fabric, other)
        fabric.now += CHALLENGE_S
        assert speak(fabric, other)


class TestBounds:
    def test_a_holder_that_talks_pays_for_few_challenges(self, fabric: Fabric) -> None:
        """However often others claim its MAC, its entry is read again now and then."""
        old, new = fabric.attach(0), fabric.attach(1)
        assert speak(fabric, old)
        moves, turns = fabric.table.moves, 1000
        for _ in range(turns):
            fabric.now += 0.02
            assert not speak(fabric, new)
            assert speak(fabric, old)
        assert fabric.table.moves - moves <= turns * 0.02 / CHALLENGE_AGAIN_S + 1

    def test_one_port_challenges_so_many_a_second_and_no_more(self, fabric: Fabric) -> None:
        lan, thief = fabric.attach(0, station_limit=1000), fabric.attach(1)
        hosts = [frame(BROADCAST, mac(number)) for number in range(1, 501)]
        fabric.send(lan, *hosts)
        moves = fabric.table.moves
        fabric.send(thief, *hosts)
        assert fabric.table.moves - moves == CHALLENGES_PER_S
        assert thief.drops == {Drop.MOVE_GUARD: 500}

    def test_what_raced_and_is_at_no_port_is_removed(self, fabric: Fabric) -> None:
        port, gone = fabric.attach(0), fabric.attach(0)
        assert speak(fabric, gone)
        there = fabric.table.entries["default", HOST]
        fabric.detach(gone)
        fabric.table.entries["default", HOST] = there
        fabric.send(port, frame(HOST, mac(9)))
        assert ("default", HOST) not in fabric.table.entries

    @given(
        turns=st.lists(
            st.tuples(st.floats(0.0, 0.4), st.lists(st.integers(0, 3), max_size=4)), max_size=40
        )
    )
    def test_a_holder_that_talks_never_loses_its_mac(
        self, turns: list[tuple[float, list[int]]]
    ) -> None:
        """Whoever else claims it and when: pauses are shorter than CHALLENGE_S."""
        fabric = Fabric(3)
        old, asker = fabric.attach(0), fabric.attach(1)
        thieves = [fabric.attach(0), fabric.attach(1), fabric.attach(2, claim=BOB)]
        thieves.append(fabric.attach(2, claim=OWN, own=frozenset()))
        for pause_s, claimers in turns:
            assert speak(fabric, old)
            for number in claimers:
                fabric.now += pause_s / 2
                assert not speak(fabric, thieves[number])
                if number % 2:
                    assert holder(fabric, asker, old, *thieves) is old
                assert speak(fabric, old)
            fabric.now += pause_s
        assert speak(fabric, old)

"""When the client pings, and when it takes its server for dead."""

from __future__ import annotations

import itertools

import pytest

from vpnws.client.carry.keepalive import (
    DEAD_AFTER_S,
    DOUBT_PATIENCE_S,
    LATE_S,
    PATIENCE_S,
    PING_AFTER_S,
    SUSPECT_AFTER_S,
    Due,
    Keepalive,
)
from vpnws.client.round_trip import RoundTrip

PROXY_CUTS_AFTER_S = 50.0
FLICKER_S = 0.001


def answering(now: float = 0) -> Keepalive:
    return Keepalive(now=now, answers_pings=True)


def events(
    keepalive: Keepalive, end_s: float, *, sent: int = 0, unacknowledged_s: float | None = None
) -> list[tuple[float, Due]]:
    """Ask whenever asking is due, until `end_s`; return what was due, and when."""
    seen: list[tuple[float, Due]] = []
    while (now := keepalive.next_at_s()) <= end_s:
        due = keepalive.due(now, sent, unacknowledged_s)
        if due is not Due.NOTHING:
            seen.append((now, due))
        if due is Due.GIVE_UP:
            break
    return seen


def test_nothing_is_due_while_the_server_is_heard() -> None:
    keepalive = answering()
    for now in range(1, 200, 3):
        assert keepalive.due(now, sent=now) is Due.NOTHING
        keepalive.received(now)


def test_an_idle_server_that_answers_is_pinged_long_before_a_proxy_cuts() -> None:
    keepalive = answering()
    pings = []
    for _ in range(5):
        now = keepalive.next_at_s()
        assert keepalive.due(now) is Due.PING
        pings.append(now)
        keepalive.received(now + 0.1)
    apart_s = [later - earlier for earlier, later in itertools.pairwise([0.0, *pings])]
    assert max(apart_s) < PROXY_CUTS_AFTER_S / 2 + 1
    assert pings[0] == PING_AFTER_S


def test_an_idle_server_that_answers_no_ping_is_given_up_soon() -> None:
    assert events(answering(), 1000) == [
        (PING_AFTER_S, Due.PING),
        (PING_AFTER_S + PATIENCE_S, Due.GIVE_UP),
    ]


def test_what_was_sent_and_brings_nothing_back_makes_it_suspect_at_once() -> None:
    keepalive = answering()
    assert keepalive.due(1.0, sent=1) is Due.NOTHING
    assert events(keepalive, 1000, sent=1) == [
        (1.0 + SUSPECT_AFTER_S, Due.PING),
        (1.0 + SUSPECT_AFTER_S + PATIENCE_S, Due.GIVE_UP),
    ]


def test_suspicion_counts_from_the_first_frame_not_from_the_last() -> None:
    keepalive = answering()
    dues = [keepalive.due(float(now), sent=now) for now in range(1, 8)]
    assert dues.index(Due.PING) == SUSPECT_AFTER_S


def test_an_answer_ends_the_suspicion_and_a_new_frame_begins_it_anew() -> None:
    keepalive = answering()
    keepalive.due(1.0, sent=1)
    keepalive.received(2.0)
    assert keepalive.next_at_s() == 2.0 + PING_AFTER_S
    keepalive.due(10.0, sent=2)
    assert keepalive.next_at_s() == 10.0 + SUSPECT_AFTER_S


def test_what_was_sent_before_this_connection_does_not_count() -> None:
    keepalive = Keepalive(now=0, answers_pings=True, sent=7)
    assert keepalive.due(1.0, sent=7) is Due.NOTHING
    assert keepalive.next_at_s() == PING_AFTER_S


def test_a_slow_link_gets_its_time_while_tcp_acknowledges() -> None:
    keepalive = answering()
    seen = events(keepalive, 1000, unacknowledged_s=0.5)
    assert seen[-1] == (DEAD_AFTER_S, Due.GIVE_UP)
    assert [due for _, due in seen[:-1]] == [Due.PING] * 2


def test_the_patience_counts_from_the_last_acknowledgement() -> None:
    keepalive = answering()
    asked_s = PING_AFTER_S
    assert keepalive.due(asked_s) is Due.PING
    assert keepalive.due(asked_s + PATIENCE_S, 0, PATIENCE_S - 2) is Due.NOTHING
    assert keepalive.next_at_s() == asked_s + PATIENCE_S + 2
    assert keepalive.due(asked_s + PATIENCE_S + 2, 0, PATIENCE_S) is Due.GIVE_UP


def test_a_pong_ends_the_patience() -> None:
    keepalive = answering()
    assert keepalive.due(PING_AFTER_S) is Due.PING
    keepalive.received(PING_AFTER_S + PATIENCE_S - FLICKER_S)
    assert keepalive.due(PING_AFTER_S + PATIENCE_S) is Due.NOTHING


def test_a_late_wake_up_is_followed_by_a_ping_and_little_patience() -> None:
    keepalive = answering()
    woken_s = PING_AFTER_S + LATE_S + FLICKER_S
    assert keepalive.due(woken_s) is Due.PING
    assert keepalive.is_doubted
    assert keepalive.next_at_s() == woken_s + DOUBT_PATIENCE_S
    assert keepalive.due(woken_s + DOUBT_PATIENCE_S) is Due.GIVE_UP


def test_a_wake_up_that_is_a_little_late_is_an_ordinary_one() -> None:
    keepalive = answering()
    assert keepalive.due(PING_AFTER_S + LATE_S - FLICKER_S) is Due.PING
    assert not keepalive.is_doubted


def test_a_sleep_that_was_long_does_not_end_a_connection_that_may_be_alive() -> None:
    keepalive = answering()
    woken_s = 100 * DEAD_AFTER_S
    assert keepalive.due(woken_s) is Due.PING
    keepalive.received(woken_s + 0.1)
    assert not keepalive.is_doubted
    assert keepalive.due(woken_s + DOUBT_PATIENCE_S) is Due.NOTHING


def test_a_sleep_is_followed_by_one_ping_and_not_by_a_storm_of_them() -> None:
    keepalive = answering()
    woken_s = 100 * DEAD_AFTER_S
    assert keepalive.due(woken_s) is Due.PING
    assert keepalive.due(woken_s + FLICKER_S) is Due.NOTHING
    never = Keepalive(now=0)
    assert never.due(woken_s) is Due.PING
    assert never.due(woken_s + FLICKER_S) is Due.NOTHING


def test_doubt_does_not_wait_for_an_older_ping() -> None:
    keepalive = answering()
    assert keepalive.due(PING_AFTER_S) is Due.PING
    keepalive.doubt()
    assert keepalive.due(PING_AFTER_S + 1) is Due.PING
    assert keepalive.next_at_s() == PING_AFTER_S + 1 + DOUBT_PATIENCE_S


def never_answering_until(keepalive: Keepalive, end_s: float) -> list[Due]:
    """Return what is due every second; the server takes what is written, and says nothing."""
    seen = []
    for now in range(1, int(end_s) + 1):
        keepalive.accepted(now)
        seen.append(keepalive.due(now, sent=now))
    return seen


def test_a_server_that_never_answers_pings_is_alive_while_it_takes_what_is_written() -> None:
    seen = never_answering_until(Keepalive(now=0), 10 * DEAD_AFTER_S)
    assert seen.count(Due.PING) == 10 * DEAD_AFTER_S / PING_AFTER_S
    assert Due.GIVE_UP not in seen


def test_a_server_that_never_answers_is_not_doubted_after_a_sleep() -> None:
    keepalive = Keepalive(now=0)
    keepalive.accepted(100 * DEAD_AFTER_S)
    assert keepalive.due(100 * DEAD_AFTER_S) is Due.PING
    assert not keepalive.is_doubted
    keepalive.accepted(100 * DEAD_AFTER_S + PATIENCE_S)
    assert keepalive.due(100 * DEAD_AFTER_S + PATIENCE_S) is Due.NOTHING


def test_a_server_that_never_answers_and_takes_nothing_is_dead() -> None:
    keepalive = Keepalive(now=0)
    keepalive.accepted(5)
    for now in (PING_AFTER_S, 2 * PING_AFTER_S, DEAD_AFTER_S):
        assert keepalive.due(now) is Due.PING
    assert keepalive.due(DEAD_AFTER_S + 4.9) is not Due.GIVE_UP
    assert keepalive.due(DEAD_AFTER_S + 5) is Due.GIVE_UP


@pytest.mark.parametrize("sent", [0, 1])
def test_a_server_that_has_answered_once_must_go_on_doing_so(sent: int) -> None:
    keepalive = Keepalive(now=0)
    keepalive.answered()
    seen = events(keepalive, DEAD_AFTER_S, sent=sent)
    assert [due for _, due in seen] == [Due.PING, Due.GIVE_UP]


def test_a_round_trip_ends_with_the_pong_and_not_with_other_bytes() -> None:
    trip = RoundTrip()
    assert (trip.is_open, trip.latest_s) == (False, None)
    trip.begin(10.0, pongs=3)
    trip.heard(10.1, pongs=3)
    # A ping beside it does not make it shorter.
    trip.begin(10.2, pongs=3)
    trip.heard(10.5, pongs=4)
    assert (trip.is_open, trip.latest_s) == (False, 0.5)

"""The waits between attempts: by kind of trouble, bounded, jittered, and not forgiven too soon."""

from __future__ import annotations

import itertools

import pytest

from bench.returning import SETTLED_S, STATIONS, simulate
from vpnws.client.program.backoff import (
    AWAY_CAP_S,
    BASE_S,
    CAP_S,
    EXPELLED_S,
    FACTOR,
    FLOOR_S,
    LONG_AWAY_S,
    MAX_RETRY_AFTER_S,
    REFUSED_CAP_S,
    RESTART_SPREAD_S,
    RETRY_SPREAD,
    STABLE_AFTER_S,
    Backoff,
    Trouble,
    trouble_of,
)
from vpnws.errors import ClosedError, ConnectError, NetworkChangedError, RefusedError, TlsError

SOON = STABLE_AFTER_S - 0.001
AWAY = ConnectError("the server is away")
REFUSED = RefusedError(403, "no")
RESTART = ClosedError("the server restarts", 1012)
KICKED = ClosedError("the operator ended this connection", 4001)
MANY = 20


def highest() -> float:
    return 1.0


def lowest() -> float:
    return 0.0


def delays(backoff: Backoff, error: ConnectError, count: int, now: float = 0) -> list[float]:
    return [backoff.next_delay_s(now, error) for _ in range(count)]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AWAY, Trouble.AWAY),
        (RefusedError(502, "x"), Trouble.AWAY),
        (RefusedError(503, "x"), Trouble.AWAY),
        (RefusedError(504, "x"), Trouble.AWAY),
        (RefusedError(401, "x"), Trouble.REFUSED),
        (RefusedError(404, "x"), Trouble.REFUSED),
        (RefusedError(500, "x"), Trouble.REFUSED),
        (TlsError("x"), Trouble.REFUSED),
        (ClosedError("x", 1012), Trouble.RESTART),
        (ClosedError("x", 1001), Trouble.RESTART),
        (ClosedError("x", 4001), Trouble.EXPELLED),
        (ClosedError("x", 4003), Trouble.EXPELLED),
        (ClosedError("x", 1000), Trouble.AWAY),
        (ClosedError("x", 1009), Trouble.AWAY),
    ],
)
def test_kinds_of_trouble(error: ConnectError, kind: Trouble) -> None:
    assert trouble_of(error) is kind


@pytest.mark.parametrize(("error", "cap_s"), [(AWAY, AWAY_CAP_S), (REFUSED, REFUSED_CAP_S)])
def test_waits_grow_by_the_factor_up_to_the_cap(error: ConnectError, cap_s: float) -> None:
    waits = delays(Backoff(highest), error, MANY)
    assert waits[:3] == pytest.approx([BASE_S, BASE_S * FACTOR, BASE_S * FACTOR**2])
    assert waits == sorted(waits)
    assert waits[-1] == cap_s


def test_a_server_that_is_away_for_long_is_asked_less_often() -> None:
    backoff = Backoff(highest)
    assert delays(backoff, AWAY, MANY)[-1] == AWAY_CAP_S
    assert backoff.next_delay_s(LONG_AWAY_S, AWAY) == CAP_S


def test_a_wait_never_exceeds_the_cap_after_very_many_failures() -> None:
    assert max(delays(Backoff(highest), REFUSED, 5000)) == REFUSED_CAP_S


def test_the_floor_holds_when_the_dice_say_nothing() -> None:
    waits = delays(Backoff(lowest), AWAY, MANY)
    assert waits[:3] == pytest.approx([FLOOR_S, BASE_S * FACTOR / 2, BASE_S * FACTOR**2 / 2])
    assert waits[-1] == AWAY_CAP_S / 2


def test_jitter_uses_the_whole_range() -> None:
    dice = itertools.cycle((0.0, 0.5, 1.0))
    backoff = Backoff(lambda: next(dice))
    delays(backoff, AWAY, 9)
    half_s = AWAY_CAP_S / 2
    assert delays(backoff, AWAY, 3) == pytest.approx([half_s, half_s * 1.5, AWAY_CAP_S])


@pytest.mark.parametrize("told_s", [7.0, 10.0, MAX_RETRY_AFTER_S])
def test_what_the_server_says_is_obeyed_with_jitter_on_top(told_s: float) -> None:
    full = RefusedError(503, "full", told_s)
    assert delays(Backoff(lowest), full, MANY) == [told_s] * MANY
    assert Backoff(highest).next_delay_s(0, full) == told_s * (1 + RETRY_SPREAD)


def test_it_is_obeyed_within_a_bound_and_never_makes_a_wait_shorter() -> None:
    never, at_once = RefusedError(503, "full", 1e9), RefusedError(503, "full", 0.0)
    assert Backoff(lowest).next_delay_s(0, never) == MAX_RETRY_AFTER_S
    waits = delays(Backoff(highest), at_once, MANY)
    assert waits == delays(Backoff(highest), AWAY, MANY)


def test_a_stable_connection_clears_the_record() -> None:
    backoff = Backoff(highest)
    delays(backoff, AWAY, 6)
    backoff.connected(now=100)
    assert backoff.next_delay_s(100 + STABLE_AFTER_S, AWAY) == BASE_S


def test_a_flapping_connection_does_not() -> None:
    backoff = Backoff(highest)
    waits = []
    for start in range(0, 1000, 100):
        backoff.connected(now=start)
        waits.append(backoff.next_delay_s(start + SOON, AWAY))
    assert waits[-1] == CAP_S


def test_a_failure_long_after_a_short_connection_is_not_taken_for_stability() -> None:
    backoff = Backoff(highest)
    backoff.connected(now=0)
    first = backoff.next_delay_s(1, AWAY)
    second = backoff.next_delay_s(1000, AWAY)
    assert (first, second) == (BASE_S, BASE_S * FACTOR)


@pytest.mark.parametrize("outage_s", [1.0, 20.0, 60.0, LONG_AWAY_S - AWAY_CAP_S])
def test_stations_are_back_soon_after_their_server_and_do_not_come_as_a_herd(
    outage_s: float,
) -> None:
    result = simulate(outage_s)
    assert len(result.back_s) == STATIONS
    assert result.share_within(AWAY_CAP_S) == 1.0
    # Each asks once or twice in the first second, then once in 2.5 to 5 s.
    assert result.peak_per_s() < 1.6 * STATIONS
    assert result.peak_per_s(SETTLED_S) < 0.4 * STATIONS


def test_after_a_long_outage_they_are_back_within_the_long_cap_and_ask_seldom() -> None:
    result = simulate(1000.0)
    assert result.back_s[-1] <= CAP_S
    assert result.peak_per_s(LONG_AWAY_S + CAP_S) < 0.1 * STATIONS


def test_the_stations_of_a_server_that_restarts_spread_over_a_moment() -> None:
    assert Backoff(lowest).next_delay_s(0, RESTART) == FLOOR_S
    assert Backoff(highest).next_delay_s(0, RESTART) == RESTART_SPREAD_S


def test_a_server_that_restarts_again_and_again_is_asked_as_one_that_is_away() -> None:
    waits = delays(Backoff(highest), RESTART, MANY)
    assert waits[1:] == delays(Backoff(highest), AWAY, MANY)[1:]
    assert max(waits) == AWAY_CAP_S


def test_a_restart_brings_no_stampede() -> None:
    result = simulate(0.0, error=RESTART)
    assert result.back_s[-1] <= RESTART_SPREAD_S
    tenths = [int(back_s * 10) for back_s in result.back_s]
    assert max(map(tenths.count, set(tenths))) < STATIONS / 5


def test_who_was_kicked_stays_away_for_long_and_for_longer_each_time() -> None:
    waits = delays(Backoff(lowest), KICKED, MANY)
    assert waits[:2] == [EXPELLED_S, EXPELLED_S * FACTOR]
    assert waits[-1] == MAX_RETRY_AFTER_S
    assert Backoff(highest).next_delay_s(0, KICKED) == EXPELLED_S * (1 + RETRY_SPREAD)


def test_the_server_has_asked_for_some_waits_and_not_for_others() -> None:
    backoff = Backoff(lowest)
    asked = []
    for error in (KICKED, AWAY, RefusedError(503, "full", 7.0), REFUSED, RESTART):
        backoff.next_delay_s(0, error)
        asked.append(backoff.is_told)
    assert asked == [True, False, True, False, False]


def test_another_network_is_tried_at_once_and_what_was_before_is_forgotten() -> None:
    backoff = Backoff(highest)
    delays(backoff, AWAY, MANY)
    assert backoff.next_delay_s(0, NetworkChangedError("another network")) == 0.0
    assert delays(backoff, AWAY, 2) == [BASE_S, BASE_S * FACTOR]

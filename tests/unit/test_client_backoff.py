"""The waits between attempts: they grow, are capped and jittered, and are not forgiven too soon."""

import itertools

import pytest

from vpnws.client.program.backoff import BASE_S, CAP_S, FACTOR, FLOOR_S, STABLE_AFTER_S, Backoff

SOON = STABLE_AFTER_S - 0.001


def highest() -> float:
    return 1.0


def lowest() -> float:
    return 0.0


def test_waits_grow_by_the_factor_up_to_the_cap() -> None:
    backoff = Backoff(highest)
    delays = [backoff.next_delay_s(now=0) for _ in range(10)]
    assert delays[:3] == pytest.approx([BASE_S, BASE_S * FACTOR, BASE_S * FACTOR**2])
    assert delays == sorted(delays)
    assert delays[-1] == CAP_S


def test_a_wait_never_exceeds_the_cap_after_very_many_failures() -> None:
    backoff = Backoff(highest)
    assert max(backoff.next_delay_s(now=0) for _ in range(5000)) == CAP_S


def test_the_floor_holds_when_the_dice_say_nothing() -> None:
    backoff = Backoff(lowest)
    assert {backoff.next_delay_s(now=0) for _ in range(5)} == {FLOOR_S}


def test_jitter_uses_the_whole_range() -> None:
    dice = itertools.cycle((0.0, 0.5, 1.0))
    backoff = Backoff(lambda: next(dice))
    for _ in range(9):
        backoff.next_delay_s(now=0)
    expected = [FLOOR_S, (FLOOR_S + CAP_S) / 2, CAP_S]
    assert [backoff.next_delay_s(now=0) for _ in range(3)] == pytest.approx(expected)


def test_a_stable_connection_clears_the_record() -> None:
    backoff = Backoff(highest)
    for _ in range(6):
        backoff.next_delay_s(now=0)
    backoff.connected(now=100)
    assert backoff.next_delay_s(now=100 + STABLE_AFTER_S) == BASE_S


def test_a_flapping_connection_does_not() -> None:
    backoff = Backoff(highest)
    delays = []
    for start in range(0, 1000, 100):
        backoff.connected(now=start)
        delays.append(backoff.next_delay_s(now=start + SOON))
    assert delays[-1] == CAP_S


def test_a_failure_long_after_a_short_connection_is_not_taken_for_stability() -> None:
    backoff = Backoff(highest)
    backoff.connected(now=0)
    first = backoff.next_delay_s(now=1)
    second = backoff.next_delay_s(now=1000)
    assert (first, second) == (BASE_S, BASE_S * FACTOR)

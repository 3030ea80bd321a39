"""When a port's drops are said: at once, then folded; a full queue only when it lasts."""

from __future__ import annotations

from collections import Counter

import pytest

from vpnws.server.port.drop_watch import (
    LASTING,
    LASTING_S,
    SAY_AGAIN_S,
    SAY_LASTING_AGAIN_S,
    UNSAID,
    DropWatch,
)
from vpnws.switch.drop import Drop


def said(drops: list[tuple[int, Drop, int]], until_s: int) -> list[tuple[int, Drop, int]]:
    """Return (when, reason, count) of what is said by looks at every second, given the drops."""
    counts: Counter[Drop] = Counter()
    watch, lines = DropWatch(), []
    for now in range(until_s):
        for at_s, reason, count in drops:
            if at_s == now:
                counts[reason] += count
        lines += [(now, *line) for line in watch.look(counts, float(now))]
    return lines


def test_the_first_drop_is_said_at_once_and_the_rest_of_the_burst_after_the_pause() -> None:
    drops = [(second, Drop.STORM, 5) for second in range(1, 21)]
    assert said(drops, 400) == [(1, Drop.STORM, 5), (1 + int(SAY_AGAIN_S), Drop.STORM, 95)]


def test_drops_that_go_on_are_said_once_a_pause() -> None:
    drops = [(second, Drop.STORM, 1) for second in range(300)]
    lines = said(drops, 300)
    assert [now for now, _, _ in lines] == [0, 60, 120, 180, 240]
    assert sum(count for _, _, count in lines) == 241


def test_reasons_do_not_wait_for_each_other() -> None:
    drops = [(1, Drop.STORM, 1), (2, Drop.MAC_TAKEN, 1)]
    assert said(drops, 100) == [(1, Drop.STORM, 1), (2, Drop.MAC_TAKEN, 1)]


@pytest.mark.parametrize("reason", sorted(LASTING))
def test_a_queue_that_is_full_for_a_moment_is_not_said(reason: Drop) -> None:
    moments = [(second, reason, 9) for start in (0, 100, 200) for second in range(start, start + 5)]
    assert said(moments, 300) == []


@pytest.mark.parametrize("reason", sorted(LASTING))
def test_one_that_stays_full_is_said_now_and_then(reason: Drop) -> None:
    drops = [(second, reason, 1) for second in range(1000)]
    assert [now for now, _, _ in said(drops, 1000)] == [
        int(LASTING_S),
        int(LASTING_S + SAY_LASTING_AGAIN_S),
    ]


@pytest.mark.parametrize("reason", sorted(UNSAID))
def test_what_is_meant_to_be_dropped_is_not_said(reason: Drop) -> None:
    assert said([(second, reason, 1) for second in range(100)], 200) == []

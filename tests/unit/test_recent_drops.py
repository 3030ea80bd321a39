"""What a port has dropped within the last seconds."""

from __future__ import annotations

from collections import Counter

from vpnws.control.views import RECENT_S
from vpnws.server.port.recent_drops import MAX_PARTS, RecentDrops
from vpnws.switch.drop import Drop


def test_old_drops_do_not_count_and_new_ones_do() -> None:
    recent, drops = RecentDrops(), Counter[Drop]()
    for second in range(30):
        if second < 5:
            drops[Drop.STORM] += 100
        if second >= 28:
            drops[Drop.SOURCE] += 1
        recent.look(drops, float(second))
    assert recent.counts(drops, 29.0) == Counter({Drop.SOURCE: 2})
    assert recent.counts(drops, 29.0 + RECENT_S) == Counter()


def test_drops_since_the_last_look_count_at_once() -> None:
    recent = RecentDrops()
    assert recent.counts(Counter({Drop.STORM: 3}), 0.0) == Counter({Drop.STORM: 3})
    recent.look(Counter({Drop.STORM: 3}), 0.0)
    assert recent.counts(Counter({Drop.STORM: 4}), 0.5) == Counter({Drop.STORM: 4})


def test_a_port_that_drops_all_the_time_has_the_last_seconds_only() -> None:
    recent, drops = RecentDrops(), Counter[Drop]()
    for second in range(1000):
        drops[Drop.EGRESS_FULL] += 7
        recent.look(drops, float(second))
        assert len(recent._parts) <= MAX_PARTS
    assert recent.counts(drops, 999.0) == Counter({Drop.EGRESS_FULL: 7 * int(RECENT_S)})


def test_what_is_returned_does_not_change_what_is_kept() -> None:
    recent, drops = RecentDrops(), Counter({Drop.STORM: 1})
    recent.look(drops, 0.0)
    recent.counts(drops, 0.0)[Drop.STORM] += 99
    assert recent.counts(drops, 0.0) == drops

"""Who has a MAC, on a real server: over a reload, and when its user has left."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.live.server import TwoWorkers
from tests.support.raw_frames import CLOSE
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.live.server import Station

pytestmark = pytest.mark.live

ALICE, MALLORY = {"REMOTE_USER": "alice"}, {"REMOTE_USER": "mallory"}
NUMBER, OTHER = 1, 9
READY = "is ready: mode"
IN_ORDER = (1000).to_bytes(2, "big")


def is_let_in(station: Station, other: Station) -> bool:
    """Return whether a frame from the station's MAC is forwarded."""
    return other.hears(station.send(mark=b"from the owner"))


def test_a_reload_keeps_a_mac_for_its_user() -> None:
    with TwoWorkers({}) as server:
        with server.named_station(ALICE, number=NUMBER) as alice:
            alice.send()
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_log(READY, 2)
        with (
            server.named_station(MALLORY, number=NUMBER) as thief,
            server.station(2, number=OTHER) as other,
        ):
            assert not is_let_in(thief, other)
            with server.named_station(ALICE, number=NUMBER) as alice:
                assert is_let_in(alice, other)
                assert not is_let_in(thief, other)
            assert not is_let_in(thief, other)
            server.wait_for_log("(mac_taken)")


@pytest.mark.parametrize("leaves_in_order", [True, False])
def test_another_user_gets_the_mac_of_one_who_left_in_order(leaves_in_order: bool) -> None:
    with TwoWorkers({}) as server, server.station(2, number=OTHER) as other:
        with server.named_station(ALICE, number=NUMBER) as alice:
            alice.send()
            if leaves_in_order:
                alice.client.send_frame(IN_ORDER, CLOSE)
        wait_for(lambda: " down after " in server.log_text(), 5.0, "the port to end")
        with server.named_station(MALLORY, number=NUMBER) as successor:
            assert is_let_in(successor, other) is leaves_in_order
            if not leaves_in_order:
                server.wait_for_log("belongs to a station that is away, for another")

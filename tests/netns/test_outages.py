"""Outages of a real VPN, one station each, all at once: what the user sees, and what is left.

The picture is in bench/outages/bed.py. `python -m bench.outages` has the same outages at their full
length, and says how soon pings pass again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bench.outages.__main__ import observe
from bench.outages.outages import OUTAGES, SERVER_GONE
from tests.support.prerequisites import require, require_root, require_tap

if TYPE_CHECKING:
    from bench.outages.outages import Seen

pytestmark = pytest.mark.netns

ALL = {**OUTAGES, "server gone": SERVER_GONE}
SAID = {
    "cable": [
        "nothing was heard from the server for 1",
        "the network has changed; trying again at",
    ],
    "black hole": ["nothing was heard from the server for 1", "connected to"],
    "other network": ["has lost the address 10.99.0.", "trying again at once", "connected to"],
    "suspend": ["the server closed the connection: 1001 (silent for 5 s)", "connected to"],
    "no DNS": ["cannot look up vpn.example.org: ", "connected to"],
    "deleted": ["the TAP device tap0 was deleted"],
    "killed": ["connected to"],
    "wrong password": ["the server does not accept this user and password (HTTP 401)"],
    "expired": ["is valid from 2024-01-01 00:00 UTC to 2024-02-01 00:00 UTC"],
    "wrong path": ['a web page ("Welcome"): is the URL\'s path right? (HTTP 200)'],
    "cut": ["the server hung up without a word", "connected to"],
    "own changes": ["the MTU of tap0 is 1400 now"],
    "server gone": ["nobody listens there: does the server run", "connected to"],
}
"""What the client says, in this order, among other things."""
WITH_TCP = {"cable", "black hole", "other network", "suspend", "own changes", "server gone"}
ENDS = {"deleted", "wrong password", "expired", "wrong path"}
UNDISTURBED = {"own changes"}


@pytest.fixture(scope="module")
def seen() -> dict[str, Seen]:
    require_root()
    require_tap()
    require("nginx", "haproxy", "dnsmasq", "ping", "stdbuf", "openssl")
    return observe(short=True)


@pytest.mark.parametrize("name", ALL)
def test_an_outage_is_told_and_leaves_nothing(seen: dict[str, Seen], name: str) -> None:
    one = seen[name]
    text, place = "\n".join(one.said), 0
    for part in SAID[name]:
        place = text.find(part, place)
        assert place >= 0, f"{part!r} was not said, or not then: {text}"
    assert "Traceback" not in text
    assert one.exit_code == ALL[name].exit_code
    assert one.left == []
    assert one.tcp_goes_on is (True if name in WITH_TCP else None)
    assert one.reconnects == (0 if name in ENDS | UNDISTURBED else 1)
    assert (one.first_ping_s is None) is (name in ENDS)

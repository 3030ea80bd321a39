"""Name servers of the VPN, where a real program has charge of the machine's: set and given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.client_bed import WAIT_S, ProgramBed
from tests.support.resolvers import KINDS, OWN, Resolver
from tests.support.vpn import TAP, Client, kill
from tests.support.waiting import wait_for
from vpnws.client.program.exits import Exit

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.netns

OURS = "10.8.0.1"


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_looked_up_in_the_vpn_and_afterwards_as_before(
    bed: ProgramBed, tmp_path: Path, kind: str
) -> None:
    with Resolver(bed.namespace, kind, tmp_path) as resolver:
        assert resolver.asked() == [OWN]
        options = "--dns", OURS, "--address", "10.8.0.2/24", TAP, bed.url
        for end in ("stopped", "killed"):
            client = Client(bed.namespace, *options, wrapper=resolver.wrapper())
            bed.parts.enter_context(client)
            client.wait_until_connected()
            wait_for(lambda: resolver.asked()[0] == OURS, WAIT_S, "the name server of the VPN")
            if end == "killed":
                kill(client.pids()[0])
            else:
                assert client.stop() == Exit.STOPPED
            wait_for(lambda: resolver.asked() == [OWN], WAIT_S, "the name server of before")
            assert "Traceback" not in client.log_text()
            wait_for(lambda: not bed.has_tap(), WAIT_S, "the device to be gone")

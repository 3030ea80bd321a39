"""The client's offload with real TAPs: with servers that can, servers that cannot, and both.

stations[0], stations[1]: vpnws-client -- tap0     (the road: see tests/support/netns.py)
server: a hub of the websockets library that hands every message to everybody else, or vpnws
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.echo_server import EchoServer
from tests.support.netns import SERVER_ADDRESS, Lan
from tests.support.prerequisites import require, require_root, require_tap
from tests.support.traffic import iperf3, ping
from tests.support.vpn import TAP, Client, ClientBed, Vpn
from tests.support.waiting import wait_for
from vpnws.wire.offload import MAX_SEGMENTS
from vpnws.wire.records import SUBPROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from websockets.sync.server import ServerConnection
    from websockets.typing import Subprotocol

pytestmark = pytest.mark.netns

PORT = 8080
WAIT_S = 15.0


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_root()
    require_tap()
    require("nginx", "iperf3", "ping")


class Hub(EchoServer):
    """A server by the book: what one station sends, all others get, whatever it is."""

    def __init__(self, lan: Lan) -> None:
        super().__init__(lan.server, (SERVER_ADDRESS, PORT))
        self.can_offload = False
        self.sizes: list[int] = []
        self._stations: set[ServerConnection] = set()

    def hang_up(self) -> None:
        """Have every station connect again."""
        for station in list(self._stations):
            station.close(1012)

    def choose(
        self, connection: ServerConnection, offered: Sequence[Subprotocol]
    ) -> Subprotocol | None:
        return next((one for one in offered if self.can_offload and one == SUBPROTOCOL), None)

    def converse(self, connection: ServerConnection) -> None:
        self._stations.add(connection)
        try:
            for message in connection:
                self.sizes.append(len(message))
                for other in self._stations - {connection}:
                    other.send(message)
        finally:
            self._stations.discard(connection)


class Bed(ClientBed):
    """Two stations at a hub."""

    def build(self) -> None:
        """Make the LAN, then the hub."""
        self.parts.enter_context(self.lan)
        self.hub = self.parts.enter_context(Hub(self.lan))

    def join(self, index: int, *options: str) -> Client:
        own = ("--address", f"{self.address(index)}/24")
        url = f"ws://{SERVER_ADDRESS}:{PORT}/"
        return self.connect(self.lan.stations[index], url, *own, *options)

    def transfer(self, *extra: str) -> int:
        """Carry TCP from station 0 to station 1 for a second; return how many bytes arrived."""
        one, other = self.lan.stations
        wait_for(lambda: ping(one, self.address(1), count=1).received, WAIT_S, "a ping")
        result = iperf3(one, other, self.address(1), seconds=1, extra=extra)
        return int(result["end"]["sum_received"]["bytes"])


@pytest.fixture
def bed() -> Iterator[Bed]:
    with Bed(Lan(2)) as bed:
        yield bed


class TestAtAServerThatCannot:
    @pytest.mark.parametrize("options", [(), ("--no-offload",)], ids=["offered", "not offered"])
    def test_frames_are_whole_and_tcp_flows_both_ways(
        self, bed: Bed, options: tuple[str, ...]
    ) -> None:
        clients = [bed.join(index, *options) for index in range(2)]
        assert all("offload off" in client.log_text() for client in clients)
        assert bed.transfer() > 1_000_000
        assert bed.transfer("-R") > 1_000_000
        assert bed.transfer("-u", "-b", "5M", "-l", "3000") > 100_000
        assert 60 <= max(bed.hub.sizes) <= 1514

    def test_a_client_that_may_not_offload_offers_nothing(self, bed: Bed) -> None:
        bed.hub.can_offload = True
        assert "offload off" in bed.join(0, "--no-offload").log_text()


class TestAtAServerThatCan:
    def test_super_frames_cross(self, bed: Bed) -> None:
        bed.hub.can_offload = True
        clients = [bed.join(index) for index in range(2)]
        assert all("offload on" in client.log_text() for client in clients)
        assert bed.transfer() > 1_000_000
        assert bed.transfer("-R") > 1_000_000
        assert max(bed.hub.sizes) > 20_000
        assert [client.stop() for client in clients] == [0, 0]
        assert "record" not in "".join(client.log_text() for client in clients)

    def test_a_connection_of_small_segments_is_not_lost(self, bed: Bed) -> None:
        bed.hub.can_offload = True
        clients = [bed.join(index) for index in range(2)]
        shown = bed.lan.stations[0].ip(f"-d link show {TAP}")
        assert f"gso_max_segs {MAX_SEGMENTS}" in shown
        assert bed.transfer("-M", "100") > 100_000
        assert [client.stop() for client in clients] == [0, 0]
        assert "record" not in "".join(client.log_text() for client in clients)


def test_a_new_connection_may_differ_from_the_last_one(bed: Bed) -> None:
    clients = [bed.join(index) for index in range(2)]
    for count, can_offload in enumerate((True, False, True), 1):
        assert bed.transfer() > 1_000_000
        bed.hub.can_offload = can_offload
        bed.hub.hang_up()
        for client in clients:
            client.wait_until_connected(count + 1)
            line = [line for line in client.log_text().splitlines() if "connected to" in line][-1]
            assert line.endswith("offload on" if can_offload else "offload off")
    assert bed.transfer() > 1_000_000


@pytest.mark.parametrize("options", [("--no-offload",), ()], ids=["mixed", "both offload"])
def test_through_the_real_switch(options: tuple[str, ...]) -> None:
    with Vpn(2) as vpn:
        assert "offload on" in vpn.join(0).log_text()
        assert ("offload off" if options else "offload on") in vpn.join(1, "", *options).log_text()
        vpn.wait_until_reachable(0, 1)
        one, other = vpn.lan.stations
        for extra in ((), ("-R",), ("-u", "-b", "5M"), ("-u", "-b", "5M", "-R")):
            result = iperf3(one, other, vpn.address(1), seconds=1, extra=extra)
            key = "sum" if "-u" in extra else "sum_received"
            assert result["end"][key]["bytes"] > 100_000

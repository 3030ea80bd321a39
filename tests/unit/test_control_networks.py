"""What an operator sees of networks, drops and processes: of all processes, whoever answers."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.control import Operator
from tests.fakes.house import House
from tests.support.frames import frame, mac
from vpnws.control.views import RECENT_S
from vpnws.wire.ethernet import BROADCAST, format_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.station import Station


@pytest.fixture
def house() -> Iterator[House]:
    with House(workers=2, tap="lan:tap9", settings={"storm-limit": "10"}) as built:
        yield built


def join(house: House, worker: int, number: int, network: str = "lan") -> Station:
    names: dict[str, Any] = {
        "REMOTE_USER": f"user{number}",
        "HTTP_X_VPN_WS_MAC": format_mac(mac(number)),
    }
    return house.connect(worker, network=network, **names)


def flood(house: House, station: Station, number: int, count: int) -> None:
    """Have a station send more broadcasts than it may."""
    station.send(*[frame(BROADCAST, mac(number))] * count)
    house.loop.settle()


class TestNetworks:
    def test_a_network_is_summed_over_all_processes(self, house: House) -> None:
        one, two = join(house, 1, 1), join(house, 2, 2)
        join(house, 1, 3, "other")
        one.send(*[frame(mac(2), mac(1))] * 5)
        two.send(frame(mac(1), mac(2)))
        house.loop.settle()
        seen = [Operator(house, worker).get("networks")["items"] for worker in (1, 2)]
        assert seen[0] == seen[1]
        lan, other = seen[0]
        assert (lan["name"], lan["stations"], lan["taps"]) == ("lan", 2, ["tap9"])
        assert lan["macs"] >= 2
        assert lan["traffic"]["rx_frames"] >= 6
        assert (other["name"], other["stations"], other["taps"]) == ("other", 1, [])

    def test_totals_stay_when_stations_go(self, house: House) -> None:
        one, two = join(house, 1, 1, "red"), join(house, 1, 2, "red")
        one.send(*[frame(mac(2), mac(1))] * 5)
        flood(house, two, 2, 30)
        before = Operator(house, 2).get("networks", "network=red")["items"][0]
        assert before["drops"]["storm"] >= 15
        for station in (one, two):
            station.hang_up()
        house.loop.settle()
        after = Operator(house, 2).get("networks", "network=red")["items"][0]
        assert (after["stations"], after["macs"]) == (0, 0)
        assert (after["traffic"], after["drops"]) == (before["traffic"], before["drops"])

    def test_pages_name_each_network_once(self, house: House) -> None:
        for number in range(12):
            join(house, number % 2 + 1, number, f"n{number // 2:02}")
        names, after = [], ""
        while True:
            page = Operator(house).get("networks", f"q=N&limit=2&after={after}")
            names += [view["name"] for view in page["items"]]
            if not (after := page["next"]):
                break
        # The network of the TAP, lan, has an n too.
        assert names == ["lan", *(f"n{number:02}" for number in range(6))]

    def test_what_no_network_has_is_refused_as_a_filter(self, house: House) -> None:
        status, answer = Operator(house).ask("GET", "api/v1/networks", query="user=ada")
        assert status == 400
        assert "'user' is not a field" in answer["error"]

    def test_the_next_of_another_list_is_refused(self, house: House) -> None:
        for number in range(3):
            join(house, 1, number)
        after = Operator(house).get("ports", "limit=1")["next"]
        status, _ = Operator(house).ask("GET", "api/v1/networks", query=f"after={after}")
        assert status == 400


class TestDrops:
    def test_each_reason_at_each_port_is_explained(self, house: House) -> None:
        one, two = join(house, 1, 1), join(house, 2, 2)
        flood(house, one, 1, 30)
        two.send(frame(mac(1), mac(1)), b"short")
        house.loop.advance(1.0)
        items = Operator(house, 2).get("drops", "network=lan")["items"]
        by_reason = {(drop["who"]["user"], drop["reason"]): drop for drop in items}
        storm = by_reason["user1", "storm"]
        assert storm["frames"] == storm["recent_frames"] >= 15
        assert "vpnws-storm-limit" in storm["remedy"]
        taken = by_reason["user2", "mac_taken"]
        assert taken["why"] == "the MAC belongs to port 1.1"
        assert by_reason["user2", "length"]["frames"] == 1

    def test_old_drops_are_not_recent(self, house: House) -> None:
        one = join(house, 1, 1)
        flood(house, one, 1, 30)
        house.loop.advance(RECENT_S + 1.0)
        (drop,) = Operator(house).get("drops", "user=user1")["items"]
        assert (drop["frames"] > 0, drop["recent_frames"]) == (True, 0)
        assert Operator(house).get("drops", "user=user1&recent=true")["items"] == []
        (port,) = Operator(house).get("ports", "user=user1")["items"]
        assert port["recent_drops"] == {}

    def test_trunks_and_taps_are_among_them(self, house: House) -> None:
        one = join(house, 1, 1)
        tap = house.devices.devices["tap9"].opened
        assert tap is not None
        tap.host_fail_writes(errno.EAGAIN)
        flood(house, one, 1, 2)
        flood(house, join(house, 1, 5, "red"), 5, 3)
        items = Operator(house).get("drops")["items"]
        found = {drop["kind"]: drop for drop in items}
        trunk, uplink = found["trunk"], found["tap"]
        assert (trunk["port"][1:], trunk["reason"], trunk["frames"]) == (".t1", "filtered", 3)
        assert (uplink["process"], uplink["reason"], uplink["frames"]) == ("mule", "device", 2)
        assert "ip link" in uplink["remedy"]

    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ("port=1.1", 1),
            (f"mac={format_mac(mac(1)).upper()}", 1),
            ("q=USER1", 1),
            ("q=storm", 2),
            ("network=none", 0),
        ],
    )
    def test_a_filter_keeps_what_fits(self, house: House, query: str, count: int) -> None:
        for worker in (1, 2):
            flood(house, join(house, worker, worker), worker, 30)
        items = Operator(house).get("drops", query)["items"]
        assert len([drop for drop in items if drop["reason"] == "storm"]) == count

    def test_pages_give_each_once(self, house: House) -> None:
        for number in range(1, 7):
            station = join(house, number % 2 + 1, number)
            flood(house, station, number, 30)
            station.send(b"short")
        house.loop.settle()
        rows, after = [], ""
        while True:
            page = Operator(house).get("drops", f"network=lan&limit=1&after={after}")
            rows += [(drop["port"], drop["reason"]) for drop in page["items"]]
            if not (after := page["next"]):
                break
        assert len(rows) == len(set(rows)) == 12


class TestProcesses:
    def test_each_says_how_it_is(self, house: House) -> None:
        join(house, 1, 1).hang_up()
        join(house, 2, 1)
        house.connect(2, network="not a name")
        house.kill(1)
        house.start(1)
        house.loop.advance(3.0)
        first, second, mule, hooks = Operator(house, 2).get("processes")["items"]
        named = [each["name"] for each in (first, second, mule, hooks)]
        assert named == ["worker 1", "worker 2", "mule", "hooks"]
        assert (first["restarts"], first["joins"], first["ports"]) == (1, 0, 0)
        counts: dict[str, Any] = {name: second[name] for name in ("joins", "returns", "restarts")}
        assert counts == {"joins": 1, "returns": 1, "restarts": 0}
        assert second["refusals"] == {"500": 1}
        assert (second["events"]["join"], second["events_lost"]) == (1, 0)
        assert min(each["beats"] for each in (first, second, mule, hooks)) >= 2

    def test_a_process_that_does_not_answer_is_named(self, house: House) -> None:
        house.kill(1)
        page = Operator(house, 2).get("processes")
        assert page["missing"] == ["worker 1"]
        assert len(page["items"]) == 3

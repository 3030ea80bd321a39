"""MACs and addresses over all processes: each once, in pages, whose they are; and flushing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.control import Operator
from tests.fakes.house import MULE, House
from tests.support.frames import frame, mac
from tests.support.told_frames import (
    acknowledges,
    advertises,
    announces_arp,
    answers_arp,
    solicits,
)
from vpnws.server.peers.reserved import MAX_RESERVED_SHOWN, Reserved, ReservedMac
from vpnws.switch.guard.claims import CHALLENGE_S, RESERVED_S
from vpnws.wire.ethernet import BROADCAST, format_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.station import Station

A, B, LAN_HOST = mac(10), mac(11), mac(12)


@pytest.fixture
def house() -> Iterator[House]:
    with House(workers=3, tap="lan:tap9") as built:
        yield built


def join(
    house: House, worker: int, user: str, *, network: str = "lan", **variables: Any
) -> Station:
    """Connect a station; without a `user` it is anonymous."""
    if user:
        variables["REMOTE_USER"] = user
    return house.connect(worker, network=network, **variables)


def fdb(house: House, query: str = "", worker: int = 1) -> dict[str, dict[str, Any]]:
    """Return the rows of the FDB by their MACs; no MAC is there twice."""
    items = Operator(house, worker).get("fdb", query)["items"]
    assert len({row["mac"] for row in items}) == len(items)
    return {row["mac"]: row for row in items}


def addresses(house: House, query: str = "") -> dict[str, tuple[str, str, str]]:
    """Return user, MAC and source of the addresses heard, by address."""
    rows = Operator(house, 2).get("addresses", query)["items"]
    assert len({row["ip"] for row in rows}) == len(rows)
    return {row["ip"]: (row["who"]["user"], row["mac"], row["source"]) for row in rows}


def flush(house: House, **body: str) -> int:
    return int(Operator(house, 3).change("POST", "fdb/flush", body)["flushed"])


class TestFdb:
    def test_says_where_each_mac_is_and_whose(self, house: House) -> None:
        join(house, 1, "ada").send(frame(BROADCAST, A))
        join(house, 2, "bob").send(frame(BROADCAST, B))
        house.devices.opened("tap9").host_send(frame(BROADCAST, LAN_HOST))
        house.loop.settle()
        own = format_mac(house.devices.devices["tap9"].mac)
        for worker in (1, 2, 3):
            rows = fdb(house, worker=worker)
            assert {
                row["mac"]: (row["kind"], row["process"], row["who"]["user"])
                for row in rows.values()
            } == {
                format_mac(A): ("learned", "worker 1", "ada"),
                format_mac(B): ("learned", "worker 2", "bob"),
                format_mac(LAN_HOST): ("learned", "mule", ""),
                own: ("own", "mule", ""),
            }
            ports = {row["id"] for row in Operator(house).get("ports")["items"]}
            assert {row["port"] for row in rows.values()} <= ports

    def test_says_how_long_ago_a_mac_was_heard(self, house: House) -> None:
        ada = join(house, 1, "ada")
        ada.send(frame(BROADCAST, A))
        house.loop.advance(30.0)
        now_s = Operator(house).get("status")["now_s"]
        assert now_s - fdb(house)[format_mac(A)]["heard_s"] == pytest.approx(30.0)

    def test_a_mac_that_has_moved_is_there_once(self, house: House) -> None:
        first, second = join(house, 1, "ada"), join(house, 2, "ada")
        first.send(frame(BROADCAST, A))
        second.send(frame(BROADCAST, A))
        assert fdb(house)[format_mac(A)]["process"] == "worker 2"

    def test_a_mac_is_shown_as_reserved_for_whom_and_until_when(self, house: House) -> None:
        ada = join(house, 2, "ada", HTTPS_DN="CN=ada")
        ada.send(frame(BROADCAST, A))
        ada.hang_up()
        house.loop.advance(10.0)
        row = fdb(house)[format_mac(A)]
        assert (row["kind"], row["port"], row["network"]) == ("reserved", "", "lan")
        assert row["who"] == {"user": "ada", "dn": "CN=ada", "addr": ""}
        now_s = Operator(house).get("status")["now_s"]
        assert row["until_s"] - now_s == pytest.approx(RESERVED_S - 10.0, abs=1.5)
        join(house, 1, "ada", HTTPS_DN="CN=ada").send(frame(BROADCAST, A))
        assert fdb(house)[format_mac(A)]["kind"] == "learned"

    def test_what_is_reserved_is_there_once_whoever_reserved_it_before(self, house: House) -> None:
        for worker in (1, 2, 1, 3):
            station = join(house, worker, "ada")
            station.send(frame(BROADCAST, A))
            station.hang_up()
            house.loop.advance(1.0)
        assert fdb(house)[format_mac(A)]["kind"] == "reserved"
        house.loop.advance(RESERVED_S)
        assert format_mac(A) not in fdb(house)

    def test_pages_give_every_mac_once_and_in_order(self, house: House) -> None:
        for number in range(20):
            network = "lan" if number % 2 else "other"
            station = join(house, number % 3 + 1, f"user{number}", network=network)
            station.send(frame(BROADCAST, mac(100 + number)))
        rows, after = [], ""
        while True:
            page = Operator(house, 2).get("fdb", f"limit=3&after={after}")
            rows += [(row["network"], row["mac"]) for row in page["items"]]
            after = page["next"]
            if not after:
                break
        assert rows == sorted(set(rows))
        assert len(rows) == 21

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            (f"mac={format_mac(A).upper()}", [A]),
            ("user=bob", [B]),
            ("network=other", [B]),
            ("q=ADA", [A]),
            ("q=nothing", []),
            ("ip=10.0.0.9", [A]),
        ],
    )
    def test_a_filter_keeps_what_fits(self, house: House, query: str, found: list[bytes]) -> None:
        join(house, 1, "ada").send(announces_arp(A, "10.0.0.9"))
        join(house, 2, "bob", network="other").send(frame(BROADCAST, B))
        assert list(fdb(house, query)) == list(map(format_mac, found))

    @pytest.mark.parametrize("query", ["mac=02:00", "ip=10.0.0", "after=WzEsMV0", "after=x"])
    @pytest.mark.parametrize("path", ["fdb", "addresses"])
    def test_a_filter_that_cannot_be_read_is_refused(
        self, house: House, path: str, query: str
    ) -> None:
        join(house, 1, "ada").send(announces_arp(A, "10.0.0.9"))
        status, answer = Operator(house).ask("GET", f"api/v1/{path}", query=query)
        assert status == 400
        assert answer["error"]

    def test_no_more_reserved_macs_are_remembered_than_the_bound(self) -> None:
        reserved = Reserved()
        for number in range(MAX_RESERVED_SHOWN + 1):
            reserved.note(ReservedMac("lan", number.to_bytes(6, "big"), 1.0))
        macs = [each.mac for each in reserved]
        assert len(macs) == MAX_RESERVED_SHOWN
        assert bytes(6) not in macs


class TestAddresses:
    def test_of_all_processes(self, house: House) -> None:
        ada, bob = join(house, 1, "ada"), join(house, 2, "bob")
        ada.send(announces_arp(A, "10.0.0.1"), solicits(A, "fd00::a"))
        bob.send(frame(BROADCAST, B))
        bob.send(advertises(B, "fe80::b", A))
        host = house.devices.opened("tap9")
        for told in (
            answers_arp(LAN_HOST, "10.0.0.254", A),
            acknowledges(B, "10.0.0.2", server=LAN_HOST),
        ):
            host.host_send(told)
        house.loop.settle()
        assert addresses(house) == {
            "10.0.0.1": ("ada", format_mac(A), "arp"),
            "10.0.0.2": ("bob", format_mac(B), "dhcp"),
            "10.0.0.254": ("", format_mac(LAN_HOST), "arp"),
            "fd00::a": ("ada", format_mac(A), "nd"),
            "fe80::b": ("bob", format_mac(B), "nd"),
        }
        assert list(addresses(house, "user=ada")) == ["10.0.0.1", "fd00::a"]
        assert list(addresses(house, "ip=fd00:0::a")) == ["fd00::a"]
        assert list(addresses(house, f"mac={format_mac(B)}")) == ["10.0.0.2", "fe80::b"]
        assert list(addresses(house, "q=0.25")) == ["10.0.0.254"]

    def test_pages_sort_by_number(self, house: House) -> None:
        ada, bob = join(house, 1, "ada"), join(house, 2, "bob")
        for last in (10, 9, 100):
            ada.send(announces_arp(A, f"10.0.0.{last}"))
            bob.send(announces_arp(B, f"10.0.1.{last}"))
        ips, after = [], ""
        while True:
            page = Operator(house, 2).get("addresses", f"limit=2&after={after}")
            ips += [row["ip"] for row in page["items"]]
            after = page["next"]
            if not after:
                break
        assert ips == [f"10.0.{third}.{last}" for third in (0, 1) for last in (9, 10, 100)]

    def test_one_that_moves_is_said_once_with_both_ports(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        ada, bob = join(house, 1, "ada"), join(house, 2, "bob")
        for _ in range(5):
            ada.send(announces_arp(A, "10.0.0.1"))
            bob.send(announces_arp(B, "10.0.0.1"))
        house.loop.advance(2.0)
        assert addresses(house)["10.0.0.1"][0] == "bob"
        said = sorted(line for line in caplog.messages if " has moved from " in line)
        assert said[0].startswith(
            f"address 10.0.0.1 of network lan has moved from {format_mac(A)} at port 1.1"
            f" to {format_mac(B)} at port 2.1 (arp)"
        )
        assert len(said) == 2, "each of the two processes says it once"


class TestFlush:
    def test_one_mac_wherever_it_is(self, house: House) -> None:
        join(house, 1, "").send(announces_arp(A, "10.0.0.1"))
        bob = join(house, 2, "bob")
        bob.send(frame(BROADCAST, B))
        assert flush(house, network="lan", mac=format_mac(A).upper()) == 1
        assert list(fdb(house, "user=bob")) == [format_mac(B)]
        assert format_mac(A) not in fdb(house)
        assert addresses(house) == {}
        assert flush(house, network="lan", mac=format_mac(A)) == 0

    def test_frames_to_it_are_flooded_again(self, house: House) -> None:
        first, second, third = join(house, 1, ""), join(house, 2, ""), join(house, 3, "")
        first.send(frame(BROADCAST, A))
        second.send(frame(A, B))
        for station in (first, second, third):
            station.received()
        flush(house, network="lan", mac=format_mac(A))
        house.loop.advance(0.2)
        second.send(frame(A, B))
        assert third.received() == [frame(A, B)]

    def test_a_names_stays_its_own_until_it_is_freed(self, house: House) -> None:
        ada = join(house, 1, "ada")
        ada.send(frame(BROADCAST, A))
        assert flush(house, network="lan", mac=format_mac(A)) == 1
        assert fdb(house)[format_mac(A)]["kind"] == "reserved"
        ada.hang_up()
        assert flush(house, network="lan", mac=format_mac(A)) == 1
        assert format_mac(A) not in fdb(house)
        thief = join(house, 2, "bob")
        thief.send(frame(BROADCAST, A))
        assert fdb(house)[format_mac(A)]["who"]["user"] == "bob"

    def test_all_of_a_port_and_all_of_a_network(self, house: House) -> None:
        bridge = join(house, 1, "ada", VPNWS_BRIDGE="on", HTTP_X_VPN_WS_BRIDGE="on")
        bridge.send(*(frame(BROADCAST, mac(number)) for number in (20, 21)))
        join(house, 2, "bob").send(frame(BROADCAST, B))
        (port,) = Operator(house).get("ports", "user=ada")["items"]
        assert flush(house, port=port["id"]) == 2
        assert format_mac(B) in fdb(house)
        assert flush(house, network="other") == 0
        assert flush(house, network="lan") == 1
        assert [row["kind"] for row in fdb(house, "network=lan").values()].count("learned") == 0

    def test_the_servers_own_stay(self, house: House) -> None:
        own = format_mac(house.devices.devices["tap9"].mac)
        assert flush(house, network="lan") == 0
        assert fdb(house)[own]["kind"] == "own"
        house.kill(MULE)
        status, answer = Operator(house).try_change(
            "POST", "fdb/flush", {"network": "lan", "mac": own}
        )
        assert status in (409, 503), answer

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({}, 400),
            ({"mac": "02:00:00:00:00:01"}, 400),
            ({"network": "lan", "port": "1.1"}, 400),
            ({"network": "lan", "mac": "<b>"}, 400),
            ({"network": "lan", "mac": "ff:ff:ff:ff:ff:ff"}, 400),
            ({"port": "1.99"}, 404),
            ({"port": "99.1"}, 404),
            ({"port": "a"}, 404),
            ({"network": "lan", "what": 1}, 400),
        ],
    )
    def test_what_names_nothing_is_refused(
        self, house: House, body: dict[str, str], status: int
    ) -> None:
        found, answer = Operator(house).try_change("POST", "fdb/flush", body)
        assert found == status, answer

    def test_a_process_that_hangs_is_named(self, house: House) -> None:
        join(house, 1, "").send(frame(BROADCAST, A))
        house.processes[2].loop.is_paused = True
        body = {"network": "lan", "mac": format_mac(A)}
        status, answer = Operator(house).try_change("POST", "fdb/flush", body)
        assert status == 503
        assert answer["error"].startswith("1 MACs are forgotten, but worker 2 did not answer")


def test_moves_of_a_mac_are_followed_in_the_list(house: House) -> None:
    first, second = join(house, 1, ""), join(house, 2, "")
    first.send(frame(BROADCAST, A))
    second.send(frame(BROADCAST, A))
    house.loop.advance(CHALLENGE_S)
    second.send(frame(BROADCAST, A))
    assert fdb(house)[format_mac(A)]["process"] == "worker 2"

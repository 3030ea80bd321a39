"""Pools, fixed addresses and the bounds of leases."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest

from tests.fakes.lease_table import MemoryTable
from vpnws.errors import ConfigError
from vpnws.lease import choice
from vpnws.lease.answer import Holder, Lease, Refusal
from vpnws.lease.fixed import read_fixed
from vpnws.lease.leases import FULL_S, Leases
from vpnws.lease.plan import Plan
from vpnws.lease.pool import parse_pools
from vpnws.lease.who import NOBODY, Who

if TYPE_CHECKING:
    from vpnws.lease.pool import Address

LEASE_S = 600


def host(number: int, user: str = "") -> Who:
    return Who(user=user, mac=b"\2\0\0" + number.to_bytes(3))


def given(answer: Lease | Refusal) -> Lease:
    assert isinstance(answer, Lease), answer
    return answer


def refused(answer: Lease | Refusal) -> str:
    assert isinstance(answer, Refusal), answer
    return answer.sentence


class CountingTable(MemoryTable):
    """A table that counts how often all of a pool was looked through."""

    searches = 0

    def taken(self, network: str, version: int) -> set[Address]:
        self.searches += 1
        return super().taken(network, version)


class TestPools:
    def test_are_subnets_and_ranges_of_both_versions_in_each_network(self) -> None:
        pools = parse_pools("10.8.0.0/24 fd00:8::/64 blue:10.9.0.100-10.9.0.199/24 red:fd00::/120")
        assert [(pool.network, str(pool), str(pool.subnet), pool.size) for pool in pools] == [
            ("default", "10.8.0.1-10.8.0.254", "10.8.0.0/24", 254),
            ("default", "fd00:8::1-fd00:8::ffff:ffff:ffff:ffff", "fd00:8::/64", 2**64 - 1),
            ("blue", "10.9.0.100-10.9.0.199", "10.9.0.0/24", 100),
            ("red", "fd00::1-fd00::ff", "fd00::/120", 255),
        ]

    def test_of_two_addresses_have_no_ends(self) -> None:
        (pool,) = parse_pools("10.8.0.0/31")
        assert list(pool.addresses_from(1)) == [ip_address("10.8.0.1"), ip_address("10.8.0.0")]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("10.8.0.1/24", "write 10.8.0.0/24, or a range such as 10.8.0.1-10.8.0.254/24"),
            ("10.8.0.0", "not a subnet like"),
            ("10.8.0.0/33", "not a subnet like"),
            ("b=ue:10.8.0.0/24", "not a subnet like"),
            ("10.8.0.0/24,10.9.0.0/24", "a comma"),
            ("10.8.0.0/24 10.9.0.0/24", "two pools of IPv4 for the network default"),
            ("10.8.0.9-10.8.0.2/24", "not within 10.8.0.1 to 10.8.0.254"),
            ("10.8.0.9-10.8.1.2/24", "not within 10.8.0.1 to 10.8.0.254"),
            ("10.8.0.9-fd00::1/24", "not within"),
            ("10.8.0.0-10.8.0.9/24", "not within"),
            ("224.0.0.0/24", "no station can have"),
            ("127.0.0.0/8", "no station can have"),
            ("fe80::/64", "no station can have"),
            ("fe80::%eth0/64", "not a subnet like"),
            ("0.0.0.0/0", "no station can have"),
        ],
    )
    def test_that_are_wrong_are_named(self, text: str, says: str) -> None:
        with pytest.raises(ConfigError, match="vpnws-pool") as caught:
            parse_pools(text)
        assert says in str(caught.value)


class TestFixed:
    POOLS = parse_pools("10.8.0.0/24 blue:10.9.0.100-10.9.0.199/24 fd00::/64 blue:fd01::/64")

    def test_are_for_a_user_a_dn_a_mac_or_nobody(self) -> None:
        text = (
            "# the office\n\n10.8.0.7 user alice\n 10.8.0.8  dn  CN=Bob the builder,O=Site \n"
            "blue:10.9.0.9 mac 02-00-00-00-00-AA\nfd00::5 nobody\nblue:fd01::5 user al#ce\n"
        )
        found = read_fixed(text, "fixed", self.POOLS)
        assert [(one.network, str(one.address), one.kind, one.name) for one in found] == [
            ("default", "10.8.0.7", "user", "alice"),
            ("default", "10.8.0.8", "dn", "CN=Bob the builder,O=Site"),
            ("blue", "10.9.0.9", "mac", "02:00:00:00:00:aa"),
            ("default", "fd00::5", "nobody", ""),
            ("blue", "fd01::5", "user", "al#ce"),
        ]
        assert found[0].is_for(Who(user="alice"))
        assert not found[0].is_for(Who(dn="alice"))
        assert not found[3].is_for(Who())
        assert found[2].is_for(Who(user="x", mac=bytes.fromhex("0200000000aa")))

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("10.8.0.7", "line 1: '10.8.0.7' is not ADDRESS user NAME"),
            ("10.8.0.7 usr alice", "is not ADDRESS user NAME"),
            ("10.8.0.7 user", "is not ADDRESS user NAME"),
            ("10.8.0.7 nobody alice", "is not ADDRESS user NAME"),
            ("\n10.8.0.7 mac 02:00", "line 2: '02:00' is not a MAC"),
            ("10.8.0 user alice", "'10.8.0' is not an IP address"),
            ("10.7.0.1 user alice", "in no pool of the network default: see vpnws-pool"),
            ("red:10.8.0.1 user alice", "in no pool of the network red"),
            ("10.8.0.7 user a\n10.8.0.7 user b", "line 2: 10.8.0.7 stands here for the second"),
        ],
    )
    def test_that_are_wrong_are_named_with_their_line(self, text: str, says: str) -> None:
        with pytest.raises(ConfigError, match="/etc/fixed, line") as caught:
            read_fixed(text, "/etc/fixed", self.POOLS)
        assert says in str(caught.value)

    def test_one_that_the_server_has_itself_stops_the_start(self) -> None:
        fixed = read_fixed("10.8.0.1 user alice", "fixed", self.POOLS)
        with pytest.raises(ConfigError, match="the server itself has that address"):
            Plan(self.POOLS, fixed, [("default", ip_address("10.8.0.1"))])

    def test_are_given_before_any_other_even_to_who_has_another(self) -> None:
        table = MemoryTable()
        was = Leases(table, Plan(self.POOLS), LEASE_S)
        given(was.lease("default", host(1, "alice"), Holder(0, 1), 0.0))
        fixed = read_fixed("10.8.0.77 user alice", "fixed", self.POOLS)
        leases = Leases(table, Plan(self.POOLS, fixed), LEASE_S)
        leases.begin(1.0)
        answer = leases.lease("default", host(1, "alice"), Holder(0, 1), 1.0)
        assert str(answer) == "10.8.0.77/24"
        # A second host of the name, at the same time, gets one of the pool.
        other = given(leases.lease("default", host(2, "alice"), Holder(0, 2), 1.0))
        assert str(other.address) != "10.8.0.77"

    def test_one_that_has_left_the_file_is_anybodys(self) -> None:
        pools = parse_pools("10.8.0.0/31")
        fixed = read_fixed("10.8.0.0 user alice", "fixed", pools)
        table = MemoryTable()
        before = Leases(table, Plan(pools, fixed), LEASE_S)
        assert str(before.lease("default", host(1, "alice"), Holder(0, 1), 0.0)) == "10.8.0.0/31"
        after = Leases(table, Plan(pools), LEASE_S)
        after.begin(0.0)
        later = 1.0 + LEASE_S
        found = {str(after.lease("default", host(n), Holder(0, n), later)) for n in (2, 3)}
        assert found == {"10.8.0.0/31", "10.8.0.1/31"}


class TestLeases:
    def make(self, pools: str = "10.8.0.0/24 fd00::/64") -> Leases:
        return Leases(MemoryTable(), Plan(parse_pools(pools)), LEASE_S)

    def test_say_what_a_station_may_use_and_for_how_long(self) -> None:
        leases = self.make()
        lease = given(leases.lease("default", host(1), Holder(0, 1), 100.0))
        assert (lease.prefix_length, lease.lease_s) == (24, LEASE_S)
        assert [row.until_s for row in leases.rows(None, 100)] == [700.0]

    def test_are_the_same_if_the_table_was_lost(self) -> None:
        answers = {str(self.make().lease("default", host(5), Holder(0, n), 0.0)) for n in (1, 2)}
        assert len(answers) == 1

    def test_need_a_pool_of_the_network_and_version_and_a_name_or_mac(self) -> None:
        leases = self.make("blue:10.9.0.0/24")
        assert leases.plan.versions("blue") == (4,)
        told = refused(leases.lease("default", host(1), Holder(0, 1), 0.0))
        assert told == "the network default has no addresses of IPv4 to give (vpnws-pool)"
        told = refused(leases.lease("blue", Who(), Holder(0, 1), 0.0))
        assert "has not announced any" in told
        assert Who().key() == NOBODY

    def test_a_port_of_a_bridge_holds_as_many_as_it_may(self) -> None:
        leases = self.make()
        bridge = Holder(0, 1, most=3)
        for number in range(5):
            given(leases.lease("default", host(number, "bridge"), bridge, float(number)))
        held = [row.mac[-1] for row in leases._table.held_by(0, 1)]
        assert held == [2, 3, 4]
        # And one address of the other version beside each.
        given(leases.lease("default", host(4, "bridge"), bridge, 9.0, version=6))
        assert len(leases._table.held_by(0, 1)) == 4

    def test_a_host_that_asks_before_its_name_told_its_mac_keeps_what_its_port_got(self) -> None:
        leases = self.make()
        first = given(leases.lease("default", Who(user="alice"), Holder(0, 1), 0.0))
        by_dhcp = given(leases.lease("default", host(1, "alice"), Holder(0, 1), 1.0))
        assert by_dhcp.address == first.address
        other_port = given(leases.lease("default", Who(user="alice"), Holder(0, 2), 1.0))
        assert other_port.address != first.address

    def test_released_ones_are_free_at_once_but_only_by_whom_they_belong_to(self) -> None:
        leases = self.make("10.8.0.0/32")
        lease = given(leases.lease("default", host(1), Holder(0, 1), 0.0))
        for who, holder in ((host(2), Holder(0, 1)), (host(1), Holder(0, 2))):
            assert leases.release("default", lease.address, who, holder) is None
        assert leases.release("default", lease.address, host(1), Holder(0, 1)) is not None
        assert leases.release("default", lease.address, host(1), Holder(0, 1)) is None
        given(leases.lease("default", host(2), Holder(0, 2), 0.0))

    def test_no_other_host_of_the_name_gives_one_up(self) -> None:
        leases = self.make()
        lease = given(leases.lease("default", host(1, "alice"), Holder(0, 1), 0.0))
        other = host(2, "alice"), Holder(0, 2)
        assert leases.release("default", lease.address, *other) is None
        leases.decline("default", lease.address, *other, 0.0)
        leases.decline("default", lease.address, host(1, "alice"), Holder(0, 2), 0.0)
        assert [row.key for row in leases._table.held_by(0, 1)] == [host(1, "alice").key()]

    def test_a_full_pool_is_not_searched_again_and_again(self) -> None:
        table = CountingTable()
        leases = Leases(table, Plan(parse_pools("10.8.0.0/29 blue:10.9.0.0/29")), LEASE_S)
        for number in range(1, 7):
            given(leases.lease("default", host(number), Holder(0, number), 0.0))
        for number in range(7, 30):
            refused(leases.lease("default", host(number), Holder(0, 7), 1.0))
        assert table.searches == 1
        given(leases.lease("blue", host(7), Holder(0, 7), 1.0))
        given(leases.lease("default", host(1), Holder(0, 8), 1.0))
        refused(leases.lease("default", host(7), Holder(0, 7), 1.0 + FULL_S))
        assert table.searches == 2

    def test_a_host_that_has_one_gets_no_other_by_asking_for_it(self) -> None:
        leases = self.make("10.8.0.0/24")
        first = given(leases.lease("default", host(1), Holder(0, 1), 0.0)).address
        for number in range(2, 20):
            wanted = ip_address(f"10.8.0.{number}")
            if wanted != first:
                refused(leases.renew("default", host(1), Holder(0, 1), 1.0, wanted))
        given(leases.renew("default", host(1), Holder(0, 1), 1.0, first))
        assert [row.address for row in leases.rows(None, 9)] == [first]

    def test_an_operator_frees_only_what_no_port_holds(self) -> None:
        leases = self.make("10.8.0.0/32")
        lease = given(leases.lease("default", host(1), Holder(0, 1), 0.0))
        held = leases.free("default", lease.address)
        assert held is not None
        assert held.port == 1
        leases.leave_all([Holder(0, 1)], 0.0)
        refused(leases.lease("default", host(2), Holder(0, 2), 0.0))
        assert leases.free("default", lease.address) is not None
        assert leases.free("default", lease.address) is None
        given(leases.lease("default", host(2), Holder(0, 2), 0.0))

    def test_renewals_are_of_one_address_and_no_other(self) -> None:
        leases = self.make()
        lease = given(leases.lease("default", host(1), Holder(0, 1), 0.0))
        renewed = given(leases.renew("default", host(1), Holder(0, 1), 50.0, lease.address))
        assert (renewed.address, renewed.lease_s) == (lease.address, LEASE_S)
        for who, address in (
            (host(2), lease.address),
            (host(1), ip_address("10.8.1.1")),
            (host(1), ip_address("10.8.0.255")),
        ):
            told = refused(leases.renew("default", who, Holder(0, 9), 50.0, address))
            assert "is not for this station, or another has it" in told

    def test_a_name_has_a_most_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(choice, "MAX_LEASES_OF_ONE", 2)
        leases = self.make()
        for number in (1, 2):
            given(leases.lease("default", host(number, "alice"), Holder(0, number), 0.0))
        told = refused(leases.lease("default", host(3, "alice"), Holder(0, 3), 0.0))
        assert told == "this name has leased 2 addresses already, which is the most"
        given(leases.lease("default", host(3, "bob"), Holder(0, 4), 0.0))

    def test_a_full_table_gives_up_what_ended_longest_ago(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(choice, "MAX_LEASES", 2)
        leases = self.make("10.8.0.0/24 blue:10.9.0.0/24")
        given(leases.lease("blue", host(1), Holder(0, 1), 0.0))
        given(leases.lease("default", host(2), Holder(0, 2), 0.0))
        told = refused(leases.lease("default", host(3), Holder(0, 3), 0.0))
        assert told == "the server has leased 2 addresses, which is the most"
        leases.leave_all([Holder(0, 1)], 0.0)
        given(leases.lease("default", host(3), Holder(0, 3), float(LEASE_S)))
        assert [row.network for row in leases.rows(None, 9)] == ["default", "default"]

    def test_rows_come_page_by_page(self) -> None:
        leases = self.make("10.8.0.0/24 fd00::/64 blue:10.9.0.0/24")
        for number in range(1, 4):
            given(leases.lease("default", host(number), Holder(0, number), 0.0))
            given(leases.lease("default", host(number), Holder(0, number), 0.0, version=6))
            given(leases.lease("blue", host(number), Holder(0, 10 + number), 0.0))
        everything = leases.rows(None, 99)
        assert len(everything) == 9
        places = [(row.network, row.address.version, row.address) for row in everything]
        paged = []
        after = None
        while page := leases.rows(after, 2):
            paged += page
            after = (page[-1].network, page[-1].address.version, page[-1].address)
        assert paged == everything
        assert places == sorted(places, key=lambda place: (place[0], place[1], int(place[2])))

"""The allocator against a slow model that knows what every station was told and whether it is here.

Whatever the clock does, no two ports that are here may have one address.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from tests.fakes.lease_table import MemoryTable
from vpnws.lease import choice
from vpnws.lease.answer import Holder, Lease, Refusal
from vpnws.lease.fixed import read_fixed
from vpnws.lease.leases import Leases
from vpnws.lease.plan import Plan
from vpnws.lease.pool import parse_pools
from vpnws.lease.table import LEFT
from vpnws.lease.who import Who
from vpnws.server.peers.leases import LeaseFile

if TYPE_CHECKING:
    from vpnws.lease.pool import Address
    from vpnws.lease.table import Table

LEASE_S = 600
POOLS = parse_pools("10.8.0.0/29 fd00::/125 blue:10.9.0.9-10.9.0.11/24")
FIXED = read_fixed(
    "10.8.0.3 user alice\n10.8.0.4 nobody\nblue:10.9.0.77 mac 02:00:00:00:00:01", "fixed", POOLS
)
OWN = ip_address("10.8.0.1")
NETWORKS = st.sampled_from(["default", "blue"])
HOSTS = st.builds(
    Who,
    user=st.sampled_from(["", "alice", "bob"]),
    mac=st.sampled_from([b"", b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", b"\2\0\0\0\0\3"]),
)
WANTED = st.sampled_from([None, *(ip_address(f"10.8.0.{number}") for number in range(8))])
STEPS_S = st.sampled_from([1.0, 30.0, 599.0, 601.0, 86400.0, -1.0, -3600.0, -1e9, 1e9])


@dataclass
class Port:
    """A port of the model: what its station was told."""

    holder: Holder
    network: str
    who: Who
    told: dict[int, Address] = field(default_factory=dict)


class LeaseModel(RuleBasedStateMachine):
    """Stations come, ask, leave and die with their process, while the clock jumps."""

    ports = Bundle("ports")

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1.8e9
        self.table = self.make_table()
        self.leases = Leases(self.table, Plan(POOLS, FIXED, [("default", OWN)]), LEASE_S)
        self.here: dict[Holder, Port] = {}
        self.numbers = iter(range(1, 10**6))
        self.has_stepped_back = False
        self.promised: dict[tuple[str, Address], tuple[bytes, float]] = {}
        """Addresses of who has left: whose each is, and until when, while the clock went on."""

    def make_table(self) -> Table:
        return MemoryTable()

    @rule(target=ports, slot=st.integers(0, 1), network=NETWORKS, who=HOSTS)
    def join(self, slot: int, network: str, who: Who) -> Port:
        holder = Holder(slot, next(self.numbers))
        port = self.here[holder] = Port(holder, network, who)
        return port

    @rule(port=ports, version=st.sampled_from([4, 6]), wanted=WANTED)
    def ask(self, port: Port, version: int, wanted: Address | None) -> None:
        if port.holder not in self.here:
            return
        wanted = wanted if version == 4 else None
        before = port.told.get(version)
        answer = self.leases.lease(
            port.network, port.who, port.holder, self.now_s, version=version, wanted=wanted
        )
        if isinstance(answer, Lease):
            self.take(port, answer)
        elif before is not None:
            # What a port has it keeps, unless another port of the same host has taken it over.
            assert self.holder_of(port.network, before) != port.holder

    @rule(port=ports, address=WANTED)
    def insist(self, port: Port, address: Address | None) -> None:
        if port.holder not in self.here or address is None:
            return
        answer = self.leases.renew(port.network, port.who, port.holder, self.now_s, address)
        if isinstance(answer, Lease):
            assert answer.address == address
            self.take(port, answer)

    @rule(port=consumes(ports))
    def leave(self, port: Port) -> None:
        if self.here.pop(port.holder, None) is not None:
            self.note_left(port)
            self.leases.leave_all([port.holder], self.now_s)

    @rule(slot=st.integers(0, 1))
    def die(self, slot: int) -> None:
        for holder in [holder for holder in self.here if holder.slot == slot]:
            self.note_left(self.here.pop(holder))
        self.leases.abandon(slot, self.now_s)

    @rule()
    def restart(self) -> None:
        for port in self.here.values():
            self.note_left(port)
        self.here.clear()
        self.leases.begin(self.now_s)

    @rule(step_s=STEPS_S)
    def let_time_pass(self, step_s: float) -> None:
        self.now_s += step_s
        if step_s < 0 or step_s > 1e6:
            self.promised.clear()

    def take(self, port: Port, answer: Lease) -> None:
        """Check what a station was told against everything that others were."""
        place = port.network, answer.address
        version = answer.address.version
        for other in self.here.values():
            is_rival = other is not port and other.network == port.network
            if is_rival and other.told.get(version) == answer.address:
                assert host_of(other) == host_of(port), f"{place} was given twice"
                assert port.who.mac
                # It came back before the server saw that its connection had broken.
                del other.told[version]
        whose, until_s = self.promised.pop(place, (port.who.key(), 0.0))
        assert whose == port.who.key() or until_s <= self.now_s, f"{place} was kept for another"
        self.check_plan(port, answer)
        port.told[answer.address.version] = answer.address

    def check_plan(self, port: Port, answer: Lease) -> None:
        pool = next(
            pool
            for pool in POOLS
            if (pool.network, pool.version) == (port.network, answer.address.version)
        )
        fixed = [one for one in FIXED if one.address == answer.address]
        assert answer.address in pool or fixed
        assert answer.address != OWN
        assert all(one.is_for(port.who) for one in fixed)

    def note_left(self, port: Port) -> None:
        for address in port.told.values():
            self.promised[port.network, address] = port.who.key(), self.now_s + LEASE_S

    def holder_of(self, network: str, address: Address) -> Holder | None:
        row = self.table.at(network, address)
        return None if row is None or row.port == LEFT else Holder(row.slot, row.port)

    @invariant()
    def what_is_here_is_in_the_table(self) -> None:
        for port in self.here.values():
            for address in port.told.values():
                assert self.holder_of(port.network, address) == port.holder

    @invariant()
    def nobody_holds_who_is_not_here(self) -> None:
        for row in (*self.table.held(0), *self.table.held(1)):
            assert Holder(row.slot, row.port) in self.here


def host_of(port: Port) -> tuple[bytes, bytes]:
    return port.who.key(), port.who.mac


class FileModel(LeaseModel):
    """The same with the table in a file, which a restart closes and opens."""

    def make_table(self) -> Table:
        self.folder = TemporaryDirectory()
        return LeaseFile(f"{self.folder.name}/leases.db", "server", lambda: 0.0, lambda: None)

    @rule()
    def open_again(self) -> None:
        assert isinstance(self.table, LeaseFile)
        self.table.close()

    def teardown(self) -> None:
        assert isinstance(self.table, LeaseFile)
        self.table.close()
        self.folder.cleanup()


TestFileModel = FileModel.TestCase
TestFileModel.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
TestLeaseModel = LeaseModel.TestCase
TestLeaseModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_pool_that_is_full_says_so_and_gives_again_what_was_freed() -> None:
    leases = Leases(MemoryTable(), Plan(parse_pools("10.8.0.0/24")), LEASE_S)
    hosts = [Who(mac=b"\2\0\0\0" + number.to_bytes(2)) for number in range(254)]
    given = {leases.lease("default", who, Holder(0, n), 0.0) for n, who in enumerate(hosts, 1)}
    assert len({str(lease) for lease in given}) == 254
    late = Who(user="late")
    refused = leases.lease("default", late, Holder(0, 999), 0.0)
    assert isinstance(refused, Refusal)
    assert "all addresses of 10.8.0.1-10.8.0.254 are leased" in refused.sentence
    leases.leave_all([Holder(0, 7)], 0.0)
    assert isinstance(leases.lease("default", late, Holder(0, 999), LEASE_S - 1.0), Refusal)
    assert isinstance(leases.lease("default", late, Holder(0, 999), float(LEASE_S)), Lease)


def test_another_host_of_a_name_waits_for_the_address_of_one_that_may_come_back() -> None:
    leases = Leases(MemoryTable(), Plan(parse_pools("10.8.0.0/24")), LEASE_S)
    laptop, phone = (Who(user="alice", mac=b"\2\0\0\0\0" + bytes([n])) for n in (1, 2))
    first = leases.lease("default", laptop, Holder(0, 1), 0.0)
    assert isinstance(first, Lease)
    leases.leave_all([Holder(0, 1)], 10.0)
    soon = leases.lease("default", phone, Holder(0, 2), 10.0 + choice.SIBLING_S - 1)
    assert isinstance(soon, Lease)
    assert soon.address != first.address
    leases.leave_all([Holder(0, 2)], 20.0)
    tablet = Who(user="alice", mac=b"\2\0\0\0\0\3")
    later = leases.lease("default", tablet, Holder(0, 3), 20.0 + choice.SIBLING_S)
    assert isinstance(later, Lease)
    assert later.address in (first.address, soon.address)

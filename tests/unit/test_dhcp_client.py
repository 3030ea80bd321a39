"""The DHCP client's state machine, against our server and against strange ones (RFC 2131 4.4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.dhcp import SERVER_IP, DhcpLink, MemoryBook
from tests.support.frames import mac
from tests.support.told_frames import answers_arp
from vpnws.dhcp.client import (
    CHECK_S,
    DECLINE_S,
    FIRST_DELAY_S,
    JITTER_S,
    MAX_DELAY_S,
    MAX_REBOOTS,
    MAX_REQUESTS,
    Change,
    Client,
    State,
)
from vpnws.dhcp.grant import MIN_LEASE_S, read_grant
from vpnws.dhcp.server import MAC as SERVER_MAC
from vpnws.dhcp.server import Told
from vpnws.wire.dhcp import BOOTREPLY, BOOTREQUEST, NO_IP, Kind, Message, Option, Way
from vpnws.wire.dhcp_frame import ALL, Ends, Received, wrap
from vpnws.wire.ethernet import BROADCAST

OWN, OTHER = mac(1), mac(2)
DAY_S = 86_400.0


def link(book: MemoryBook | None = None, random: float = 0.5) -> DhcpLink:
    """Return a client that has not begun; with 0.5 its waits are neither longer nor shorter."""
    return DhcpLink(Client(OWN, lambda: random, "laptop"), book or MemoryBook())


def bound(lease_s: int = 3600) -> DhcpLink:
    """Return a client that has an address."""
    made = link(MemoryBook(lease_s=lease_s))
    made.start()
    made.run(1.0)
    assert made.client.state is State.BOUND
    made.sent.clear()
    made.changes.clear()
    return made


class Unreliable(MemoryBook):
    """Offers, and then gives nothing."""

    def keep(self, _mac: bytes, _ip: bytes) -> None:
        """Refuse."""


class TestGettingAnAddress:
    def test_takes_the_first_offer_and_looks_whether_somebody_has_it(self) -> None:
        there = link()
        there.start()
        assert there.kinds() == [Kind.DISCOVER, Kind.REQUEST]
        assert (there.client.state, there.address) == (State.CHECKING, "")
        there.run(CHECK_S)
        assert there.changes == [Change.BOUND]
        assert there.address == "10.8.0.2/24"

    def test_asks_as_rfc_2131_says(self) -> None:
        there = link()
        there.start()
        discover, request = there.asked()
        for asked in (discover, request):
            assert asked.ends == Ends(OWN, NO_IP, BROADCAST, ALL)
            assert asked.message.ciaddr == NO_IP
            assert asked.message.options[Option.HOST_NAME] == b"laptop"
            assert asked.message.options[Option.PARAMETERS][0] == Option.CLASSLESS_ROUTES
        assert request.message.xid == discover.message.xid
        assert request.message.ip(Option.SERVER_ID) == SERVER_IP
        assert request.message.ip(Option.REQUESTED_IP) == bytes((10, 8, 0, 2))

    def test_waits_twice_as_long_each_time_up_to_a_bound(self) -> None:
        there = link()
        there.server = None
        there.start()
        waits = []
        for _ in range(8):
            waits.append(there.client.due_s - there.now)
            there.run(waits[-1])
        assert waits == [4, 8, 16, 32, 64, 64, 64, 64]
        assert set(there.kinds()) == {Kind.DISCOVER}
        assert there.asked()[-1].message.secs == 4 + 8 + 16 + 32 + 64 * 4

    @given(st.floats(0, 1))
    def test_waits_are_jittered(self, random: float) -> None:
        there = link(random=random)
        there.server = None
        there.start()
        assert abs(there.client.due_s - there.now - FIRST_DELAY_S) <= JITTER_S

    def test_after_an_offer_that_nobody_stands_by_it_looks_again(self) -> None:
        there = link()
        there.passes = lambda frame: frame[:6] != SERVER_MAC and not is_kind(frame, Kind.REQUEST)
        there.start()
        there.run(60.0)
        kinds = there.kinds()
        assert kinds[: MAX_REQUESTS + 2] == [
            Kind.DISCOVER,
            *[Kind.REQUEST] * MAX_REQUESTS,
            Kind.DISCOVER,
        ]

    def test_a_server_that_offers_and_refuses_is_not_asked_without_end(self) -> None:
        there = link(Unreliable())
        there.start()
        there.run(60.0)
        assert len(there.sent) <= 2 + 2 * 60 / FIRST_DELAY_S
        assert there.changes == []

    def test_an_address_that_somebody_has_is_declined(self) -> None:
        there = link()
        there.start()
        there.deliver(answers_arp(OTHER, "10.8.0.2", OWN))
        assert there.changes == [Change.IN_USE]
        assert there.kinds()[-1] == Kind.DECLINE
        assert there.book.declined == {bytes((10, 8, 0, 2))}
        there.run(DECLINE_S + 1.0)
        assert there.address == "10.8.0.3/24"

    def test_arp_of_others_means_nothing(self) -> None:
        there = link()
        there.start()
        there.deliver(answers_arp(OTHER, "10.8.0.7", OWN))
        there.deliver(answers_arp(OWN, "10.8.0.2", OWN))
        there.run(1.0)
        assert there.address == "10.8.0.2/24"

    def test_tells_what_the_server_tells(self) -> None:
        told = Told(1400, (SERVER_IP,), (b"\x09\x09\x09\x09", b"\x08\x08\x08\x08"))
        there = link(MemoryBook(told=told))
        there.start()
        there.run(1.0)
        grant = there.client.grant
        assert grant is not None
        assert grant.mtu_bytes == 1400
        assert [str(each) for each in grant.dns] == ["9.9.9.9", "8.8.8.8"]
        assert [(str(each.network), str(each.router)) for each in grant.routes] == [
            ("0.0.0.0/0", "10.8.0.1")
        ]
        assert (grant.lease_s, grant.renew_s, grant.rebind_s) == (3600, 1800, 3150)


class TestKeepingIt:
    def test_half_way_it_asks_its_own_server(self) -> None:
        there = bound()
        there.run(1800.0)
        (asked,) = there.asked()
        assert asked.ends == Ends(OWN, bytes((10, 8, 0, 2)), SERVER_MAC, SERVER_IP)
        assert asked.message.ciaddr == bytes((10, 8, 0, 2))
        assert Option.SERVER_ID not in asked.message.options
        assert Option.REQUESTED_IP not in asked.message.options
        assert there.changes == [Change.KEPT]

    def test_goes_on_for_ever(self) -> None:
        there = bound()
        there.run(DAY_S)
        assert set(there.changes) == {Change.KEPT}
        assert len(there.changes) == pytest.approx(48, abs=1)

    def test_near_the_end_it_asks_any_server_and_at_the_end_it_stops(self) -> None:
        there = bound()
        server, there.server = there.server, None
        there.run(3150.0)
        assert there.client.state is State.REBINDING
        assert there.asked()[-1].ends == Ends(OWN, bytes((10, 8, 0, 2)), BROADCAST, ALL)
        assert there.address
        assert len(there.sent) <= 8
        there.run(450.0)
        assert there.changes == [Change.ENDED]
        assert there.address == ""
        there.server = server
        there.run(MAX_DELAY_S + 2.0)
        assert there.changes[-1] is Change.BOUND

    def test_a_short_lease_survives_a_lost_answer(self) -> None:
        there = bound(MIN_LEASE_S)
        lost = iter([True, False])
        there.passes = lambda frame: not (is_kind(frame, Kind.ACK) and next(lost, False))
        there.run(MIN_LEASE_S)
        assert Change.KEPT in there.changes
        assert Change.ENDED not in there.changes

    def test_a_refusal_ends_it_at_once(self) -> None:
        there = bound()
        there.book.leases = {bytes((10, 8, 0, 2)): OTHER}
        there.run(1801.0)
        assert there.changes[:2] == [Change.REFUSED, Change.BOUND]
        assert there.address == "10.8.0.3/24"

    def test_a_lease_without_end_is_never_asked_for_again(self) -> None:
        there = bound(0xFFFFFFFF)
        there.run(60 * DAY_S)
        # Our server says a second less than for ever.
        assert there.client.state is State.BOUND
        assert there.sent == []

    def test_is_given_up_at_the_end(self) -> None:
        there = bound()
        there.take(there.client.stop())
        (asked,) = there.asked()
        assert asked.message.kind == Kind.RELEASE
        assert asked.message.ip(Option.SERVER_ID) == SERVER_IP
        assert there.book.leases == {}
        assert there.client.due_s == float("inf")

    def test_without_an_address_there_is_nothing_to_give_up(self) -> None:
        there = link()
        there.server = None
        there.start()
        assert there.client.stop().frames == []


class TestReconnecting:
    def test_confirms_the_lease_and_keeps_it(self) -> None:
        there = bound()
        there.run(100.0)
        there.start()
        (asked,) = there.asked()
        assert asked.ends == Ends(OWN, NO_IP, BROADCAST, ALL)
        assert asked.message.ip(Option.REQUESTED_IP) == bytes((10, 8, 0, 2))
        assert Option.SERVER_ID not in asked.message.options
        assert there.changes == [Change.KEPT]
        assert there.client.ends_s == there.now + 3600

    def test_the_address_may_be_used_meanwhile_and_if_nobody_answers(self) -> None:
        there = bound()
        there.server = None
        there.start()
        assert there.address
        there.run(600.0)
        assert there.kinds() == [Kind.REQUEST] * MAX_REBOOTS
        assert (there.client.state, there.changes) == (State.BOUND, [])
        assert there.client.due_s == pytest.approx(there.now - 600.0 + 1799.6, abs=1)

    def test_in_another_network_it_gets_another_address(self) -> None:
        there = bound()
        there.book.leases = {bytes((10, 8, 0, 2)): OTHER}
        there.start()
        there.run(1.0)
        assert there.changes == [Change.REFUSED, Change.BOUND]
        assert there.address == "10.8.0.3/24"

    def test_a_lease_that_ended_in_the_meantime_is_not_used(self) -> None:
        there = bound()
        there.server = None
        there.now += 3600.0
        there.take(there.client.tick(there.now))
        assert there.changes == [Change.ENDED]
        there.start()
        assert there.kinds()[-1] == Kind.DISCOVER


class TestStrangers:
    def test_another_server_that_refuses_what_one_has_granted_is_not_heard(self) -> None:
        there = bound()
        there.start()
        there.run(1.0)
        xid = there.asked()[-1].message.xid
        nak = _offer(xid, NO_IP, OWN, {Option.SERVER_ID: bytes((10, 9, 0, 1))}, Kind.NAK)
        there.deliver(wrap(nak, Way.TO_CLIENT, Ends(OTHER, bytes((10, 9, 0, 1)))))
        assert there.changes == [Change.KEPT]
        assert there.address == "10.8.0.2/24"

    def test_answers_to_somebody_else_mean_nothing(self) -> None:
        there = link()
        there.server = None
        there.start()
        xid = there.asked()[0].message.xid
        for changed in ({"xid": xid ^ 1}, {"mac": OTHER}, {"op": BOOTREQUEST}):
            there.deliver(offer(**{"xid": xid, **changed}))
        assert there.kinds() == [Kind.DISCOVER]
        there.deliver(offer(xid=xid))
        assert there.kinds() == [Kind.DISCOVER, Kind.REQUEST]

    @pytest.mark.parametrize("ip", ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"])
    def test_an_address_that_no_host_can_have_is_not_taken(self, ip: str) -> None:
        there = link()
        there.server = None
        there.start()
        packed = bytes(map(int, ip.split(".")))
        there.deliver(offer(xid=there.asked()[0].message.xid, ip=packed))
        assert there.client.state is State.SELECTING

    @pytest.mark.parametrize(
        ("mask", "prefix"), [("ffff0000", 16), ("ffffffff", 32), ("ff00ff00", 24), ("00000000", 24)]
    )
    def test_a_netmask_is_one_or_the_usual_one(self, mask: str, prefix: int) -> None:
        options = {Option.SERVER_ID: SERVER_IP, Option.SUBNET_MASK: bytes.fromhex(mask)}
        grant = read_grant(_offer(1, SERVER_IP[:3] + b"\x09", OWN, options), SERVER_MAC)
        assert grant is not None
        assert grant.interface.network.prefixlen == prefix

    @pytest.mark.parametrize("times", [(0, 10), (10, 5), (100, 200), (5, 3000)])
    def test_times_that_cannot_be_are_the_usual_ones(self, times: tuple[int, int]) -> None:
        options = {
            Option.SERVER_ID: SERVER_IP,
            Option.LEASE_S: (100).to_bytes(4, "big"),
            Option.RENEWAL_S: times[0].to_bytes(4, "big"),
            Option.REBINDING_S: times[1].to_bytes(4, "big"),
        }
        grant = read_grant(_offer(1, SERVER_IP[:3] + b"\x09", OWN, options), SERVER_MAC)
        assert grant is not None
        assert (grant.renew_s, grant.rebind_s) == (50, 87.5)


@given(st.data())
def test_whatever_is_lost_an_address_is_used_only_while_it_is_leased(data: st.DataObject) -> None:
    """With any frame lost at any time: no two states at once, no use after the end, no flood."""
    there = link(MemoryBook(lease_s=120), random=data.draw(st.floats(0, 1)))
    there.passes = lambda _frame: data.draw(st.booleans())
    there.start()
    for _ in range(data.draw(st.integers(1, 12))):
        if data.draw(st.integers(0, 5)) == 0:
            there.start()
        there.run(data.draw(st.floats(0.1, 60)))
        if there.client.has_address:
            grant = there.client.grant
            assert grant is not None
            assert there.now <= there.client.ends_s
            assert there.book.leases[grant.interface.packed] == OWN
    had = 0
    for change in there.changes:
        had += {Change.BOUND: 1, Change.REFUSED: -1, Change.ENDED: -1}.get(change, 0)
        assert had in (0, 1)
    assert bool(had) == there.client.has_address


@given(
    st.lists(st.tuples(st.sampled_from(list(Kind)), st.binary(min_size=4, max_size=4)), max_size=8)
)
def test_no_answers_upset_it(answers: list[tuple[Kind, bytes]]) -> None:
    there = link()
    there.server = None
    there.start()
    for kind, ip in answers:
        xid = there.asked()[-1].message.xid if there.asked() else 0
        options = {Option.SERVER_ID: SERVER_IP, Option.LEASE_S: b"\0\0\0\x64"}
        there.deliver(wrap(_offer(xid, ip, OWN, options, kind), Way.TO_CLIENT, ENDS))
        assert len(there.sent) <= 4 + 4 * len(answers)


ENDS = Ends(SERVER_MAC, SERVER_IP, OWN, SERVER_IP[:3] + b"\x09")


def offer(**changed: object) -> bytes:
    """Return an offer in a frame, with what is `changed`."""
    fields = {"xid": 0, "ip": SERVER_IP[:3] + b"\x09", "mac": OWN, "op": BOOTREPLY, **changed}
    options = {Option.SERVER_ID: SERVER_IP}
    message = Message(
        int(str(fields["op"])),
        Kind.OFFER,
        int(str(fields["xid"])),
        bytes(fields["mac"]),  # type: ignore[call-overload]
        yiaddr=bytes(fields["ip"]),  # type: ignore[call-overload]
        options=options,  # type: ignore[arg-type]
    )
    return wrap(message, Way.TO_CLIENT, ENDS)


def _offer(
    xid: int, ip: bytes, client: bytes, options: dict[Option, bytes], kind: Kind = Kind.OFFER
) -> Message:
    plain = {int(code): value for code, value in options.items()}
    return Message(BOOTREPLY, kind, xid, client, yiaddr=ip, options=plain)


def is_kind(frame: bytes, kind: Kind) -> bool:
    """Return whether a frame carries a message of a kind."""
    marker = bytes((Option.KIND, 1, kind))
    return frame[14 + 20 + 8 + 240 :][:3] == marker


def test_what_is_received_is_plain_data() -> None:
    got = Received(_offer(1, NO_IP, OWN, {}), Way.TO_CLIENT, ENDS, b"")
    assert Client(OWN, lambda: 0.5).receive(got, 0.0).frames == []

"""The mirror: every frame once for each direction, every drop with its reason, within bounds."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.fabric import Fabric
from tests.support.frames import frame, mac
from vpnws.errors import CapacityError
from vpnws.switch.drop import Drop
from vpnws.switch.floods import MAX_SOURCE_BYTES, MAX_TURN_WRITES, MAX_WAIT_S
from vpnws.switch.format import PLAIN_FRAMES, PLAIN_MESSAGES, RECORDS, TAP_RECORDS, Format
from vpnws.switch.guard.blocking import block
from vpnws.switch.guard.destinations import AllowedDestinations, parse_destinations
from vpnws.switch.guard.roles import ISOLATED
from vpnws.switch.mirror import (
    COPY_BYTES,
    MAX_MIRROR_BYTES,
    MAX_MIRROR_FRAMES,
    MAX_MIRRORS,
    Copy,
    Direction,
    Mirror,
    MirrorFilter,
)
from vpnws.switch.port import AccessPort
from vpnws.wire.ethernet import BROADCAST, ZERO
from vpnws.wire.records import encode_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.switch.forwarding import Switch
    from vpnws.switch.port import Port

FIRST, SECOND, THIRD = mac(1), mac(2), mac(3)
ALL = 1 << 30
FORMATS = [PLAIN_FRAMES, PLAIN_MESSAGES, RECORDS, TAP_RECORDS]


def mirror_of(fabric: Fabric, slot: int = 0, **wanted: Any) -> Mirror:
    return fabric.switches[slot].mirrors.start(MirrorFilter(**wanted), lambda: None)


def told(copies: list[Copy]) -> list[tuple[int, str, bytes]]:
    """Return (port, direction and reason, frame) of each copy."""
    return [
        (copy.port_id, " ".join(filter(None, (copy.direction, copy.reason))), copy.data)
        for copy in copies
    ]


def dropped(mirror: Mirror) -> list[Copy]:
    return [copy for copy in mirror.take(ALL) if copy.reason is not None]


class TestWhatIsSeen:
    @pytest.mark.parametrize("format_", FORMATS)
    @pytest.mark.parametrize("count", [1, 3])
    def test_a_frame_is_seen_where_it_comes_in_and_where_it_goes_out(
        self, format_: Format, count: int
    ) -> None:
        fabric = Fabric(1)
        one, two = fabric.attach(format_=format_), fabric.attach(format_=format_)
        fabric.switches[0].announce(two, SECOND, fabric.now)
        mirror = mirror_of(fabric)
        sent = [frame(SECOND, FIRST, 60 + size) for size in range(count)]
        fabric.send(one, *messages_of(format_, sent))
        assert told(mirror.take(ALL)) == [(one.id, "in", each) for each in sent]
        fabric.received(two)
        assert told(mirror.take(ALL)) == [(two.id, "out", each) for each in sent]

    @pytest.mark.parametrize("receivers", [2, MAX_TURN_WRITES + 10])
    def test_a_flood_is_seen_once_on_its_way_in_and_at_each_port_it_goes_to(
        self, receivers: int
    ) -> None:
        fabric = Fabric(1)
        sender = fabric.attach()
        others = [fabric.attach() for _ in range(receivers)]
        mirror = mirror_of(fabric)
        sent = frame(BROADCAST, FIRST)
        fabric.send(sender, sent)
        for port in others:
            fabric.received(port)
        assert told(mirror.take(ALL)) == [
            (sender.id, "in", sent),
            *((port.id, "out", sent) for port in others),
        ]

    def test_what_crosses_a_trunk_is_seen_at_the_ports_of_both_processes(self) -> None:
        fabric = Fabric(2)
        one, two = fabric.attach(0), fabric.attach(1)
        here, there = mirror_of(fabric, 0), mirror_of(fabric, 1)
        sent = frame(BROADCAST, FIRST)
        fabric.send(one, sent)
        fabric.received(two)
        assert told(here.take(ALL)) == [(one.id, "in", sent)]
        assert told(there.take(ALL)) == [(two.id, "out", sent)]

    def test_a_trunk_that_is_named_shows_what_crosses_it(self) -> None:
        fabric = Fabric(2)
        fabric.attach(network="red")  # The fabric's first id is that of a trunk, too.
        one = fabric.attach(0, network="blue")
        fabric.attach(1, network="blue")
        here, there = mirror_of(fabric, 0, port_id=1), mirror_of(fabric, 1, port_id=0)
        sent = frame(BROADCAST, FIRST)
        fabric.send(one, sent)
        assert told(here.take(ALL)) == [(1, "out", sent)]
        copies = there.take(ALL)
        assert told(copies) == [(0, "in", sent)]
        assert copies[0].network == "blue"

    def test_a_port_that_comes_later_is_seen_and_one_that_is_not_meant_never(self) -> None:
        fabric = Fabric(1)
        mirror = mirror_of(fabric, network="blue")
        blue, red = fabric.attach(network="blue"), fabric.attach(network="red")
        sent = frame(BROADCAST, FIRST)
        fabric.send(blue, sent)
        fabric.send(red, sent)
        assert told(mirror.take(ALL)) == [(blue.id, "in", sent)]
        assert red.witness is None

    def test_nobody_sees_a_port_once_the_mirror_has_ended(self) -> None:
        fabric = Fabric(2)
        port, later = fabric.attach(), None
        mirror = mirror_of(fabric)
        fabric.switches[0].mirrors.stop(mirror)
        later = fabric.attach()
        ports: list[Port] = [port, later, *fabric.switches[0].trunks.values()]
        assert [(each.witness, each.egress.witness) for each in ports] == [(None, None)] * 3


class TestTheFilter:
    @pytest.mark.parametrize(
        ("wanted", "seen"),
        [
            ({}, ["in", "out", "in filtered"]),
            ({"mac": FIRST}, ["in", "out", "in filtered"]),
            ({"mac": SECOND}, ["in", "out"]),
            ({"mac": THIRD}, []),
            ({"direction": Direction.IN}, ["in", "in filtered"]),
            ({"direction": Direction.OUT}, ["out"]),
            ({"dropped_only": True}, ["in filtered"]),
            ({"network": "default"}, ["in", "out", "in filtered"]),
            ({"network": "blue"}, []),
        ],
    )
    def test_all_that_is_given_must_match(self, wanted: dict[str, Any], seen: list[str]) -> None:
        fabric = Fabric(1)
        one, two = fabric.attach(), fabric.attach()
        fabric.switches[0].announce(two, SECOND, fabric.now)
        mirror = mirror_of(fabric, **wanted)
        fabric.send(one, frame(SECOND, FIRST))
        fabric.received(two)
        fabric.send(one, frame(FIRST, FIRST))
        assert [what for _, what, _ in told(mirror.take(ALL))] == seen

    def test_one_port(self) -> None:
        fabric = Fabric(1)
        one, two = fabric.attach(), fabric.attach()
        mirror = mirror_of(fabric, port_id=two.id)
        fabric.send(one, frame(BROADCAST, FIRST))
        fabric.received(two)
        assert told(mirror.take(ALL)) == [(two.id, "out", frame(BROADCAST, FIRST))]

    @pytest.mark.parametrize("format_", FORMATS)
    def test_frames_that_go_out_together_are_judged_one_by_one(self, format_: Format) -> None:
        fabric = Fabric(1)
        senders = [fabric.attach() for _ in range(2)]
        receiver = fabric.attach(format_=format_)
        mirror = mirror_of(fabric, mac=FIRST, port_id=receiver.id)
        for number in (1, 2, 2, 1, 3, 1):
            fabric.receive(senders[number % 2], frame(BROADCAST, mac(number)))
        fabric.received(receiver)
        assert [copy.data[6:12] for copy in mirror.take(ALL)] == [FIRST] * 3

    def test_what_is_cut_has_its_true_length(self) -> None:
        fabric = Fabric(1)
        one = fabric.attach(format_=RECORDS)
        mirror = mirror_of(fabric, snap_bytes=20)
        sent = frame(BROADCAST, FIRST, 64_000)
        fabric.send(one, encode_record(sent))
        (copy,) = mirror.take(ALL)
        assert (copy.data, copy.size_bytes) == (sent[:20], 64_000)

    def test_two_mirrors_each_see_what_they_want(self) -> None:
        fabric = Fabric(1)
        one = fabric.attach()
        everything, nothing = mirror_of(fabric), mirror_of(fabric, dropped_only=True)
        fabric.send(one, frame(BROADCAST, FIRST))
        assert [len(mirror.take(ALL)) for mirror in (everything, nothing)] == [1, 0]


def access_ports(switch: Switch) -> list[AccessPort]:
    return [port for port in switch.networks.ports() if isinstance(port, AccessPort)]


def messages_of(format_: Format, frames: list[bytes]) -> list[bytes]:
    is_records = format_ in (RECORDS, TAP_RECORDS)
    return [b"".join(map(encode_record, frames))] if is_records else frames


class Beds:
    """For each reason, a fabric where one port drops frames for it, and nothing else drops any."""

    @staticmethod
    def length() -> Fabric:
        fabric = Fabric(1)
        port = fabric.attach(max_frame_bytes=100)
        fabric.send(port, frame(SECOND, FIRST, 101), b"short", frame(SECOND, FIRST, 100))
        return fabric

    @staticmethod
    def offload() -> Fabric:
        fabric = Fabric(1)
        port = fabric.attach(format_=RECORDS)
        lie = encode_record(frame(BROADCAST, FIRST), b"\xff" * 10)
        fabric.send(port, encode_record(frame(BROADCAST, FIRST)) + lie)
        return fabric

    @staticmethod
    def source() -> Fabric:
        fabric = Fabric(1)
        fabric.send(fabric.attach(), frame(SECOND, ZERO), frame(SECOND, BROADCAST))
        return fabric

    @staticmethod
    def reserved() -> Fabric:
        fabric = Fabric(1)
        fabric.send(fabric.attach(), frame(bytes.fromhex("0180c2000000"), FIRST))
        return fabric

    @staticmethod
    def not_allowed() -> Fabric:
        fabric = Fabric(1)
        port = fabric.attach()
        port.destinations = AllowedDestinations(parse_destinations("10.0.0.0/8"))
        fabric.send(port, frame(SECOND, FIRST))
        return fabric

    @staticmethod
    def blocked() -> Fabric:
        fabric = Fabric(1)
        port = fabric.attach()
        block(port, "")
        fabric.send(port, frame(BROADCAST, FIRST))
        return fabric

    @staticmethod
    def station_limit() -> Fabric:
        fabric = Fabric(1)
        port = fabric.attach(station_limit=1)
        fabric.send(port, frame(BROADCAST, FIRST), frame(BROADCAST, SECOND))
        return fabric

    @staticmethod
    def mac_taken() -> Fabric:
        fabric = Fabric(1)
        fabric.send(fabric.attach(claim=b"a" * 8), frame(BROADCAST, FIRST))
        fabric.send(fabric.attach(claim=b"b" * 8), frame(BROADCAST, FIRST))
        return fabric

    @staticmethod
    def move_guard() -> Fabric:
        fabric = Fabric(1)
        fabric.send(fabric.attach(), frame(BROADCAST, FIRST))
        fabric.send(fabric.attach(), frame(BROADCAST, FIRST))
        return fabric

    @staticmethod
    def storm() -> Fabric:
        """More than are looked at, so that some are dropped unseen."""
        fabric = Fabric(1)
        fabric.send(fabric.attach(storm_limit=10), *[frame(BROADCAST, FIRST)] * 100)
        return fabric

    @staticmethod
    def flood_queue() -> Fabric:
        """Some floods find no room, and some wait too long."""
        fabric = Fabric(1)
        for _ in range(2 * MAX_TURN_WRITES):
            fabric.attach(egress_limit_bytes=ALL)
        sender = fabric.attach()
        for _ in range(MAX_SOURCE_BYTES // 64_000 + 5):
            fabric.receive(sender, frame(BROADCAST, FIRST, 64_000))
        fabric.now += MAX_WAIT_S + 1
        return fabric

    @staticmethod
    def no_broadcast() -> Fabric:
        fabric = Fabric(1, no_broadcast=True)
        fabric.send(fabric.attach(), frame(BROADCAST, FIRST))
        return fabric

    @staticmethod
    def no_multicast() -> Fabric:
        fabric = Fabric(1, no_multicast=True)
        fabric.send(fabric.attach(), frame(b"\x33\x33\0\0\0\1", FIRST))
        return fabric

    @staticmethod
    def filtered() -> Fabric:
        """At a port; and at a trunk, because nobody there is in the network of the frame."""
        fabric = Fabric(2)
        one, two = fabric.attach(role=ISOLATED), fabric.attach(role=ISOLATED)
        fabric.switches[0].announce(two, SECOND, fabric.now)
        fabric.send(one, frame(SECOND, FIRST), frame(BROADCAST, FIRST))
        return fabric

    @staticmethod
    def egress_full() -> Fabric:
        """At a port that keeps up, at one that is backed up, and at a trunk."""
        fabric = Fabric(2)
        fabric.attach(1)
        full, backed_up = (fabric.attach(egress_limit_bytes=5000) for _ in range(2))
        backed_up.egress.backed_up = True
        fabric.switches[0].trunks[1].egress.limit_bytes = 5000
        sender = fabric.attach()
        for _ in range(9):
            fabric.receive(sender, *[frame(BROADCAST, FIRST, 1000)] * 4)
        fabric.received(full)
        return fabric

    @staticmethod
    def standing_queue() -> Fabric:
        fabric = Fabric(1)
        sender, slow = fabric.attach(), fabric.attach()
        slow.egress.backed_up = True
        fabric.receive(sender, *[frame(BROADCAST, FIRST, 1000)] * 200)
        while slow.egress.waiting:
            fabric.now += 0.02
            slow.egress.take(1500, 1, fabric.now)
        return fabric

    @staticmethod
    def device() -> Fabric:
        """At a TAP and at a trunk, as their owners do it."""
        fabric = Fabric(2)
        sender, tap = fabric.attach(), fabric.attach(format_=TAP_RECORDS)
        fabric.receive(sender, *[frame(BROADCAST, FIRST)] * 3)
        for port in (tap, fabric.switches[0].trunks[1]):
            for item in port.egress.take(ALL, ALL, fabric.now):
                port.egress.drop(item, Drop.DEVICE, fabric.now)
        return fabric


def start_mirrors(monkeypatch: pytest.MonkeyPatch, **wanted: Any) -> list[list[Mirror]]:
    """Have every fabric that is made from now on begin with a mirror on each switch."""
    mirrors: list[list[Mirror]] = []
    original = Fabric.__init__

    def begin(fabric: Fabric, *arguments: int, **options: bool) -> None:
        original(fabric, *arguments, **options)
        slots = range(len(fabric.switches))
        mirrors.append([mirror_of(fabric, slot, **wanted) for slot in slots])

    monkeypatch.setattr(Fabric, "__init__", begin)
    return mirrors


@pytest.mark.parametrize("reason", Drop)
def test_each_frame_that_is_counted_as_dropped_is_seen_with_its_reason(
    reason: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = start_mirrors(monkeypatch, dropped_only=True)
    make: Callable[[], Fabric] = getattr(Beds, reason.value)
    fabric = make()
    while fabric.flood():
        pass
    total: Counter[Drop] = Counter()
    for switch, mirror in zip(fabric.switches, started[0], strict=True):
        seen = Counter((copy.port_id, copy.reason) for copy in dropped(mirror))
        assert seen == {
            (port.id, why): count
            for port in switch.networks.ports()
            for why, count in port.drops.items()
        }
        assert mirror.lost == 0
        for _, why in seen.elements():
            assert why is not None
            total[why] += 1
    assert set(total) == {reason}


@pytest.mark.parametrize("reason", Drop)
def test_every_frame_that_is_counted_is_seen_once(
    reason: Drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = start_mirrors(monkeypatch, snap_bytes=14)
    make: Callable[[], Fabric] = getattr(Beds, reason.value)
    fabric = make()
    while fabric.flood():
        pass
    for switch, mirror in zip(fabric.switches, started[0], strict=True):
        for port in access_ports(switch):
            port.egress.take(ALL, ALL, fabric.now)
        copies = mirror.take(ALL)
        seen = Counter(
            (copy.port_id, copy.direction) for copy in copies if copy.reason is not Drop.DEVICE
        )
        assert mirror.lost == 0
        for port in access_ports(switch):
            assert seen[port.id, Direction.IN] == port.rx_frames
            assert seen[port.id, Direction.OUT] == port.egress.counts.offered_frames


class TestBounds:
    def test_copies_that_find_no_room_are_lost_and_counted(self) -> None:
        fabric = Fabric(1)
        one, two = fabric.attach(), fabric.attach()
        mirror = mirror_of(fabric, direction=Direction.IN)
        fabric.send(one, *[frame(BROADCAST, FIRST)] * (MAX_MIRROR_FRAMES + 10))
        fabric.send(two, frame(BROADCAST, SECOND))
        assert mirror.lost == 11
        assert len(mirror.take(ALL)) == MAX_MIRROR_FRAMES
        fabric.send(one, frame(BROADCAST, FIRST), frame(BROADCAST, FIRST))
        fabric.send(two, frame(BROADCAST, SECOND))
        assert [copy.lost for copy in mirror.take(ALL)] == [10, 0, 1]

    def test_bytes_are_bounded_too(self) -> None:
        fabric = Fabric(1)
        one = fabric.attach()
        mirror = mirror_of(fabric)
        for _ in range(MAX_MIRROR_BYTES // 64_000 + 5):
            fabric.send(one, frame(BROADCAST, FIRST, 64_000))
        copies = mirror.take(ALL)
        assert len(copies) == 1 + MAX_MIRROR_BYTES // (64_000 + COPY_BYTES)
        assert mirror.lost > 0
        fabric.send(one, frame(BROADCAST, FIRST, 64_000))
        assert len(mirror.take(ALL)) == 1

    def test_as_many_are_taken_as_fit_and_one_always(self) -> None:
        fabric = Fabric(1)
        mirror = mirror_of(fabric)
        fabric.send(fabric.attach(), *[frame(BROADCAST, FIRST, 100)] * 5)
        assert [len(mirror.take(2 * (100 + COPY_BYTES))) for _ in range(3)] == [2, 2, 1]
        assert mirror.take(ALL) == []
        fabric.send(fabric.attach(), frame(BROADCAST, SECOND, 1000))
        assert len(mirror.take(1)) == 1

    def test_a_mirror_tells_when_its_first_copy_waits(self) -> None:
        fabric = Fabric(1)
        calls: list[str] = []
        mirror = fabric.switches[0].mirrors.start(MirrorFilter(), lambda: calls.append("copies"))
        one = fabric.attach()
        for _ in range(2):
            fabric.send(one, *[frame(BROADCAST, FIRST)] * 3)
            mirror.take(ALL)
        assert calls == ["copies"] * 2

    def test_there_are_so_many_mirrors_and_no_more(self) -> None:
        fabric = Fabric(1)
        mirrors = [mirror_of(fabric) for _ in range(MAX_MIRRORS)]
        with pytest.raises(CapacityError, match="captures run already"):
            mirror_of(fabric)
        fabric.switches[0].mirrors.stop(mirrors[0])
        mirror_of(fabric)

"""The handover of a port as bytes: what goes in comes out, and nothing else is let in."""

from __future__ import annotations

import contextlib
import json
import pickle
from collections import Counter
from ipaddress import ip_network
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.frames import mac
from vpnws.config import Settings
from vpnws.errors import HandoverError
from vpnws.server.port import handover as record_module
from vpnws.server.port.handover import (
    MAGIC,
    MAX_HANDOVER_BYTES,
    VERSION,
    Handover,
    LinkHandover,
    PortHandover,
    dump,
    load,
)
from vpnws.server.port.session import MAX_UNCUT_BYTES, LinkTimes, Session
from vpnws.server.web.identity import Identity
from vpnws.server.web.rights import Rights
from vpnws.switch.drop import Drop
from vpnws.switch.guard.roles import Kind, Role
from vpnws.switch.queue.codel import Codel
from vpnws.switch.queue.queue import CONTROL_RESERVE_BYTES
from vpnws.switch.queue.state import FlowState, QueueCounts, QueueState
from vpnws.wire.decoder import ReceiveState
from vpnws.wire.websocket import MAX_FRAGMENTS

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_BYTES = len(MAGIC) + 6


def full() -> Handover:
    """Return a handover in which no field has its default."""
    return Handover(
        PortHandover(
            id=(7 << 32) + 5,
            rx_frames=1,
            rx_bytes=2,
            stations=[mac(1), mac(2)],
            queue=QueueState(
                items=[b"one", b"two"],
                flows=[
                    FlowState([b"three"], [1.25], -65536, True, Codel()),
                    FlowState(
                        [b"four", b"five"], [0.1, 1e9], 7, False, Codel(1.5, True, 2.5, 3, 2)
                    ),
                ],
                backed_up=True,
                drops=Counter({Drop.EGRESS_FULL: 4, Drop.MAC_TAKEN: 1}),
                counts=QueueCounts(8, 1 << 60, 5, 6, 7, [1, *[0] * 10], 0.25),
            ),
        ),
        LinkHandover(
            Session(
                Identity("alice \udcff\u00e9 \u2603", "CN=alice", "2001:db8::1"),
                network="blue",
                subprotocol="vpnws.offload.1",
                announced_mac=mac(1),
                rights=Rights(
                    Role(Kind.COMMUNITY, "red"),
                    (ip_network("10.1.0.0/16"), ip_network("fd00::/64")),
                    True,
                ),
                answers_pings=False,
                wants_bridge=True,
                received=ReceiveState(bytearray(b"uncut"), [b"a", b"", b"bc"], 2, 3),
            ),
            LinkTimes(1.0, 2.0, 3.0, 4.0),
            rest=b"the rest",
            controls=[b"ping", b"pong"],
        ),
    )


def empty() -> Handover:
    """Return a handover in which every field has its default."""
    return Handover(
        PortHandover(1, 0, 0, [], QueueState()),
        LinkHandover(Session(), LinkTimes(0.0, 0.0, 0.0, 0.0)),
    )


def packed(plain: Any, contents: bytes = b"", version: int = VERSION) -> bytes:
    text = json.dumps(plain).encode()
    return MAGIC + version.to_bytes(2) + len(text).to_bytes(4) + text + contents


def unpacked(data: bytes) -> tuple[Any, bytes]:
    end = HEAD_BYTES + int.from_bytes(data[HEAD_BYTES - 4 : HEAD_BYTES])
    return json.loads(data[HEAD_BYTES:end]), data[end:]


@pytest.mark.parametrize("handover", [full(), empty()], ids=["full", "empty"])
def test_what_goes_in_comes_out(handover: Handover) -> None:
    again = load(dump(handover))
    assert again == handover
    assert dump(again) == dump(handover)
    received = again.link.session.received
    assert type(received.uncut) is bytearray
    assert type(again.port.queue.drops) is Counter
    assert again.port.queue.flows == handover.port.queue.flows
    assert type(again.link.session.rights.role.kind) is Kind


def test_codel_that_waits_for_nothing_stays_so() -> None:
    again = load(dump(full())).port.queue.flows[0].codel
    assert (again.deadline_s, again.next_s) == (inf, -inf)


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=20),
    st.binary(max_size=100),
    st.text(max_size=20),
)
def test_any_frames_and_names_come_out(items: list[bytes], uncut: bytes, name: str) -> None:
    handover = empty()
    handover.port.queue.items = items
    handover.link.session.received.uncut = bytearray(uncut)
    handover.link.session.identity = Identity(name)
    assert load(dump(handover)) == handover


class TestRefused:
    def test_a_record_cut_anywhere(self) -> None:
        data = dump(full())
        for length in range(len(data)):
            with pytest.raises(HandoverError):
                load(data[:length])

    def test_bytes_behind_it(self) -> None:
        with pytest.raises(HandoverError, match="does not name"):
            load(dump(full()) + b"x")

    @given(st.integers(0, 10_000), st.integers(1, 255))
    @settings(max_examples=500)
    def test_a_byte_that_is_wrong_raises_nothing_else(self, at: int, change: int) -> None:
        data = bytearray(dump(full()))
        data[at % len(data)] ^= change
        with contextlib.suppress(HandoverError):
            load(bytes(data))

    @given(st.binary(max_size=200))
    def test_anything(self, data: bytes) -> None:
        with pytest.raises(HandoverError):
            load(data)

    def test_code(self) -> None:
        class Harmful:
            def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
                return pytest.fail, ("it ran",)

        with pytest.raises(HandoverError, match="not the handover"):
            load(pickle.dumps(Harmful()))

    @pytest.mark.parametrize("version", [0, VERSION + 1, 65535])
    def test_another_version(self, version: int) -> None:
        with pytest.raises(HandoverError, match=f"version {version} "):
            load(packed(*unpacked(dump(full())), version=version))

    @pytest.mark.parametrize("text", [b"{", b"\xff", b"[" * 200_000, b"9" * 5000, b""])
    def test_a_text_that_is_none(self, text: bytes) -> None:
        with pytest.raises(HandoverError):
            load(MAGIC + VERSION.to_bytes(2) + len(text).to_bytes(4) + text)

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("port.id", None),
            ("port.id", -1),
            ("port.id", True),
            ("port.id", 1.0),
            ("port.rx_frames", "1"),
            ("port.stations", [5]),
            ("port.stations", 6),
            ("port.queue.backed_up", 1),
            ("port.queue.backed_up", False),
            ("port.queue.drops", {"no_such_reason": 1}),
            ("port.queue.drops", {"source": -1}),
            ("port.queue.items", [0, 6]),
            ("port.queue.flows", [{}]),
            ("port.queue.counts.marked", -1),
            ("link.session.network", "no network"),
            ("link.session.network", ["default"]),
            ("link.session.rights.role.kind", 9),
            ("link.session.rights.role.kind", "COMMUNITY"),
            ("link.session.rights.role.kind", True),
            ("link.session.rights.allow", ["10.0.0.1/8"]),
            ("link.session.rights.allow", [7]),
            ("link.session.rights.allow", "10.0.0.0/8"),
            ("link.session.announced_mac", 5),
            ("link.session.received.fragments_bytes", 4),
            ("link.session.received.fragments_opcode", None),
            ("link.session.received.fragments_opcode", 8),
            ("link.times.heard_s", float("nan")),
            ("link.times.heard_s", 1),
            ("link.rest", -1),
            ("link.rest", 1 << 40),
            ("link.rest", "8"),
            ("link.controls", [0, 8]),
        ],
    )
    def test_a_value_that_does_not_belong(self, path: str, value: object) -> None:
        plain, contents = unpacked(dump(full()))
        *way, last = path.split(".")
        there = plain
        for name in way:
            there = there[name]
        assert last in there
        there[last] = value
        with pytest.raises(HandoverError):
            load(packed(plain, contents))

    def test_fields_that_it_does_not_know_or_misses(self) -> None:
        plain, contents = unpacked(dump(full()))
        plain["link"]["times"]["slept_s"] = 1.0
        with pytest.raises(HandoverError, match="LinkTimes"):
            load(packed(plain, contents))
        plain, contents = unpacked(dump(full()))
        del plain["link"]["times"]["heard_s"]
        with pytest.raises(HandoverError, match="LinkTimes"):
            load(packed(plain, contents))

    def test_more_than_a_connection_may_have(self) -> None:
        for received in (
            ReceiveState(bytearray(MAX_UNCUT_BYTES + 1)),
            ReceiveState(fragments=[b""] * (MAX_FRAGMENTS + 1), fragments_opcode=2),
        ):
            handover = empty()
            handover.link.session.received = received
            with pytest.raises(HandoverError, match="contradicts"):
                load(dump(handover))
        handover = empty()
        handover.link.controls = [bytes(CONTROL_RESERVE_BYTES), b"x"]
        with pytest.raises(HandoverError, match="contradicts"):
            load(dump(handover))


class TestBound:
    def test_a_record_that_is_too_long_is_not_written(self) -> None:
        handover = empty()
        handover.port.queue.items = [bytes(MAX_HANDOVER_BYTES)]
        with pytest.raises(HandoverError, match="longer"):
            dump(handover)

    def test_nor_is_it_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        data = dump(full())
        monkeypatch.setattr(record_module, "MAX_HANDOVER_BYTES", len(data))
        assert load(data) == full()
        monkeypatch.setattr(record_module, "MAX_HANDOVER_BYTES", len(data) - 1)
        with pytest.raises(HandoverError, match="longer"):
            load(data)

    def test_every_queue_of_the_default_length_fits(self) -> None:
        handover = full()
        handover.port.queue.items = [b"x" * 64] * (Settings().egress_limit_bytes // 64)
        handover.link.rest = bytes(200_000)
        handover.link.session.received.uncut = bytearray(MAX_UNCUT_BYTES)
        assert len(dump(handover)) < MAX_HANDOVER_BYTES // 8

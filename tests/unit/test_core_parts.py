"""The small parts of the core: storm control, roles, trunk records, addresses."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpnws.switch.guard.roles import ISOLATED, PROMISCUOUS, SAME_COMMUNITY, Kind, Role, may_talk
from vpnws.switch.guard.storm import StormControl
from vpnws.values import is_network_name as is_name
from vpnws.wire import trunk
from vpnws.wire.ethernet import format_mac, is_station_address, parse_mac
from vpnws.wire.records import PREFIX_BYTES, encode_record


class TestStormControl:
    @given(st.integers(1, 1000), st.lists(st.floats(0, 2), max_size=200))
    def test_never_more_than_a_burst_and_the_rate(self, rate: int, gaps: list[float]) -> None:
        now = start = 50.0
        control = StormControl(rate, now)
        admitted = 0
        for gap in gaps:
            now += gap
            admitted += control.admit(1, now)
        assert admitted <= rate + (now - start) * rate + 1e-6

    def test_what_comes_as_one_may_take_more_than_there_is_and_is_paid_for(self) -> None:
        control = StormControl(100, 0.0)
        assert control.admit(128, 0.0)
        assert not control.admit(1, 0.2)
        assert control.admit(1, 0.3)

    def test_no_limit_is_no_limit(self) -> None:
        control = StormControl(0, 0.0)
        assert all(control.admit(1, 0.0) for _ in range(10_000))


class TestRoles:
    RED, BLUE = Role(Kind.COMMUNITY, "red"), Role(Kind.COMMUNITY, "blue")
    TALK = {
        (ISOLATED, PROMISCUOUS), (RED, PROMISCUOUS), (SAME_COMMUNITY, PROMISCUOUS),
        (PROMISCUOUS, PROMISCUOUS), (BLUE, PROMISCUOUS), (SAME_COMMUNITY, SAME_COMMUNITY),
        (RED, RED), (BLUE, BLUE),
    }  # fmt: skip
    ROLES = (ISOLATED, PROMISCUOUS, SAME_COMMUNITY, RED, BLUE)

    @pytest.mark.parametrize(("one", "other"), list(itertools.product(ROLES, ROLES)))
    def test_rfc_5517(self, one: Role, other: Role) -> None:
        expected = (one, other) in self.TALK or (other, one) in self.TALK
        copy = Role(other.kind, other.community)
        assert may_talk(one, other) is may_talk(other, one) is may_talk(one, copy) is expected


class TestTrunkItems:
    LABELS = st.binary(min_size=2, max_size=255)
    FRAMES = st.lists(st.binary(min_size=14, max_size=300), min_size=1, max_size=4)

    @given(st.lists(st.tuples(LABELS, FRAMES), max_size=8))
    def test_what_is_written_is_read(self, trains: list[tuple[bytes, list[bytes]]]) -> None:
        written = [
            (label, b"".join(map(encode_record, frames)), len(frames)) for label, frames in trains
        ]
        items = [
            trunk.encode_item(label, [records], len(records), count)
            for label, records, count in written
        ]
        assert list(trunk.decode_items(b"".join(items))) == written
        for item, (label, records, _) in zip(items, written, strict=True):
            assert item[trunk.records_at(item) :] == records
            assert trunk.label_of(item) == label

    @given(LABELS, st.binary(min_size=14, max_size=300), st.data())
    def test_what_is_cut_short_is_left_out(
        self, label: bytes, frame: bytes, data: st.DataObject
    ) -> None:
        item = trunk.encode_item(label, [encode_record(frame)], len(frame) + PREFIX_BYTES, 1)
        short = item + item[: data.draw(st.integers(0, len(item) - 1))]
        assert len(list(trunk.decode_items(short))) == 1

    @given(st.integers(0, 2), st.text("abc", max_size=40), st.text("abc-_.", max_size=32))
    def test_labels(self, kind: int, community: str, network: str) -> None:
        label = trunk.encode_label(kind, community, network)
        assert trunk.decode_label(label) == (kind, community, network)

    def test_a_label_has_a_bound(self) -> None:
        with pytest.raises(ValueError, match="longer than 255"):
            trunk.encode_label(1, "x" * 250, "blue")


class TestEthernet:
    def test_macs_are_read_and_written(self) -> None:
        mac = bytes.fromhex("0200deadbeef")
        assert parse_mac("02:00:de:ad:be:EF") == parse_mac("02-00-de-ad-be-ef") == mac
        assert format_mac(mac) == "02:00:de:ad:be:ef"

    @pytest.mark.parametrize("text", ["", "02:00:de:ad:be", "02:00-de:ad:be:ef", "x" * 17])
    def test_what_is_no_mac(self, text: str) -> None:
        assert parse_mac(text) is None

    def test_station_addresses(self) -> None:
        assert is_station_address(b"\x02\0\0\0\0\1")
        assert not is_station_address(bytes(6))
        assert not is_station_address(b"\x03\0\0\0\0\1")


@pytest.mark.parametrize("name", ["default", "a", "x" * 32, "office-2.lan_b"])
def test_network_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "x" * 33, "a b", "a/b", "ä", "-", "a\0"])
def test_what_cannot_name_a_network(name: str) -> None:
    assert not is_name(name)

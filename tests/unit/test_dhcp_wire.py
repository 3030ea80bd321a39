"""DHCPv4 messages as they are on a wire: read, written, and found in frames."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.captures import tshark
from tests.support.frames import (
    DHCP_ACK,
    DOT1Q,
    OFFER,
    checksum,
    dhcp,
    mac,
)
from tests.support.frames import (
    tagged as with_tags,
)
from tests.support.prerequisites import require
from tests.support.told_frames import BROADCAST, acknowledges, gives_up
from vpnws.wire.dhcp import (
    BOOTREPLY,
    BOOTREQUEST,
    DEFAULT_MAX_BYTES,
    MAX_ROUTES,
    MIN_MESSAGE_BYTES,
    NO_IP,
    Kind,
    Message,
    Option,
    Way,
    encode,
    read_message,
)
from vpnws.wire.dhcp_frame import Ends, tagged, unwrap, wrap
from vpnws.wire.dhcp_routes import Route, encode_routes, is_default, routes_of

CLIENT, SERVER = mac(1), mac(2)
SERVER_IP, CLIENT_IP = bytes((10, 8, 0, 1)), bytes((10, 8, 0, 9))
OPTIONS_AT = 240
UDP_AT = 14 + 20
ENDS = Ends(SERVER, SERVER_IP, CLIENT, CLIENT_IP)

ips = st.binary(min_size=4, max_size=4)
codes = st.integers(1, 254).filter(lambda code: code not in (Option.OVERLOAD, Option.KIND))
messages = st.builds(
    Message,
    st.sampled_from((BOOTREQUEST, BOOTREPLY)),
    st.integers(0, 255),
    st.integers(0, 0xFFFFFFFF),
    st.binary(min_size=6, max_size=6),
    st.integers(0, 0xFFFF),
    st.booleans(),
    ips,
    ips,
    ips,
    ips,
    st.dictionaries(codes, st.binary(max_size=40), max_size=5),
)


def offer(**changes: object) -> Message:
    fields = {"yiaddr": CLIENT_IP, **changes}
    return Message(BOOTREPLY, Kind.OFFER, 0xABCD, CLIENT, **fields)  # type: ignore[arg-type]


@given(messages)
def test_what_is_written_is_read(message: Message) -> None:
    data = encode(message)
    assert MIN_MESSAGE_BYTES <= len(data) <= DEFAULT_MAX_BYTES
    assert read_message(data) == message


@given(st.binary(max_size=1600))
def test_no_bytes_upset_the_reader(data: bytes) -> None:
    assert read_message(data) is None or len(data) >= OPTIONS_AT


@given(
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=8), st.integers(0, 700)
)
def test_no_damage_upsets_the_reader(changes: list[tuple[int, int]], size: int) -> None:
    data = bytearray(encode(offer(options={Option.DNS: bytes(200), Option.HOST_NAME: b"x" * 150})))
    for at, value in changes:
        data[at % len(data)] = value
    message = read_message(bytes(data[:size]))
    assert message is None or sum(map(len, message.options.values())) <= len(data)
    if message is not None:
        routes_of(message)


@pytest.mark.parametrize(
    "changes",
    [
        {"op": 3},
        {"htype": 6},
        {"hlen": 16},
        {"cookie": b"\x63\x82\x53\x64"},
    ],
    ids=str,
)
def test_what_is_no_dhcp_of_an_ethernet_host_is_not_read(changes: dict[str, object]) -> None:
    at = {"op": 0, "htype": 1, "hlen": 2, "cookie": 236}
    data = bytearray(encode(offer()))
    for name, value in changes.items():
        packed = value if isinstance(value, bytes) else bytes((int(str(value)),))
        data[at[name] : at[name] + len(packed)] = packed
    assert read_message(bytes(data)) is None


class TestLongOptions:
    def test_one_in_parts_is_one(self) -> None:
        """RFC 3396: the values of one code are joined, in the order in which they stand."""
        value = bytes(range(256)) + b"end"
        data = encode(offer(options={Option.HOST_NAME: value}))
        assert data[OPTIONS_AT + 3 : OPTIONS_AT + 5] == bytes((Option.HOST_NAME, 255))
        message = read_message(data)
        assert message is not None
        assert message.options == {Option.HOST_NAME: value}

    def test_what_does_not_fit_goes_into_the_other_fields(self) -> None:
        """RFC 2132 9.3: first the field for a file's name, then that for a server's."""
        options = {200 + number: bytes((number,)) * 58 for number in range(8)}
        data = encode(offer(options=options))
        assert len(data) <= DEFAULT_MAX_BYTES
        assert data[OPTIONS_AT + 3 : OPTIONS_AT + 6] == bytes((Option.OVERLOAD, 1, 3))
        message = read_message(data)
        assert message is not None
        assert message.options == options

    def test_what_does_not_fit_anywhere_is_left_out_and_the_first_are_kept(self) -> None:
        options = {
            Option.LEASE_S: b"\0\0\0\x09",
            Option.HOST_NAME: b"x" * 900,
            Option.DNS: SERVER_IP,
        }
        message = read_message(encode(offer(options=options)))
        assert message is not None
        assert message.options == {Option.LEASE_S: b"\0\0\0\x09", Option.DNS: SERVER_IP}

    def test_whoever_takes_more_gets_more(self) -> None:
        options = {Option.HOST_NAME: b"x" * 900}
        message = read_message(encode(offer(options=options), 1400))
        assert message is not None
        assert message.options == options

    def test_fields_that_no_option_names_are_not_read(self) -> None:
        data = bytearray(encode(offer()))
        data[108:114] = bytes((Option.DNS, 4, 9, 9, 9, 9))
        message = read_message(bytes(data))
        assert message is not None
        assert message.options == {}


class TestValues:
    def test_of_the_right_length_are_read(self) -> None:
        options = {
            Option.LEASE_S: b"\0\0\x0e\x10",
            Option.MTU: b"\x05\xdc",
            Option.DNS: b"\x09" * 8,
        }
        message = offer(options=options)
        assert message.number(Option.LEASE_S) == 3600
        assert message.short(Option.MTU) == 1500
        assert message.ip(Option.DNS) == b"\x09" * 4

    def test_of_another_length_count_for_nothing(self) -> None:
        options = {Option.LEASE_S: b"\0\x0e\x10", Option.MTU: b"\x05", Option.DNS: b"\x09" * 3}
        message = offer(options=options)
        assert message.number(Option.LEASE_S) is None
        assert message.short(Option.MTU) is None
        assert message.ip(Option.DNS) == NO_IP


routes = st.builds(
    Route,
    st.builds(
        lambda number, prefix: IPv4Network((number, prefix), strict=False),
        st.integers(0, 0xFFFFFFFF),
        st.integers(0, 32),
    ),
    st.ip_addresses(v=4).map(lambda address: IPv4Address(int(address))),
)


class TestRoutes:
    @given(st.lists(routes, max_size=MAX_ROUTES))
    def test_classless_ones_that_are_written_are_read(self, given_: list[Route]) -> None:
        message = offer(options={Option.CLASSLESS_ROUTES: encode_routes(given_)})
        assert routes_of(message) == given_

    def test_are_written_as_rfc_3442_shows(self) -> None:
        router = IPv4Address("10.0.0.1")
        shown = {
            "0.0.0.0/0": "00",
            "10.0.0.0/8": "080a",
            "10.17.0.0/16": "100a11",
            "10.229.0.128/25": "190ae50080",
        }
        for network, start in shown.items():
            assert encode_routes([Route(IPv4Network(network), router)]).hex() == start + "0a000001"

    def test_classless_ones_replace_the_others(self) -> None:
        options = {
            Option.CLASSLESS_ROUTES: bytes((8, 10)) + SERVER_IP,
            Option.ROUTERS: SERVER_IP,
            Option.STATIC_ROUTES: CLIENT_IP + SERVER_IP,
        }
        (route,) = routes_of(offer(options=options))
        assert str(route.network) == "10.0.0.0/8"
        assert not is_default(route)

    def test_static_ones_and_the_router(self) -> None:
        options = {Option.ROUTERS: SERVER_IP, Option.STATIC_ROUTES: CLIENT_IP + SERVER_IP + b"\x01"}
        host, default = routes_of(offer(options=options))
        assert (str(host.network), str(host.router)) == ("10.8.0.9/32", "10.8.0.1")
        assert is_default(default)

    def test_no_more_than_the_bound_are_read(self) -> None:
        value = (bytes((8, 10)) + SERVER_IP) * (MAX_ROUTES + 5)
        assert len(routes_of(offer(options={Option.CLASSLESS_ROUTES: value}))) == MAX_ROUTES

    @pytest.mark.parametrize("value", ["21", "080a0a00", "210a00000001", "08"])
    def test_broken_ones_are_left_out(self, value: str) -> None:
        whole = bytes((8, 10)) + SERVER_IP
        message = offer(options={Option.CLASSLESS_ROUTES: whole + bytes.fromhex(value)})
        assert len(routes_of(message)) == 1


class TestFrames:
    @given(messages, st.sampled_from(Way))
    def test_what_is_wrapped_is_unwrapped(self, message: Message, way: Way) -> None:
        got = unwrap(wrap(message, way, ENDS))
        assert got is not None
        assert (got.message, got.way, got.ends, got.tags) == (message, way, ENDS, b"")

    def test_checksums_are_complete(self) -> None:
        whole = wrap(offer(), Way.TO_CLIENT, ENDS)
        assert checksum(whole[14:UDP_AT]) == 0
        datagram = whole[UDP_AT:]
        pseudo = SERVER_IP + CLIENT_IP + struct.pack(">HH", 17, len(datagram))
        assert datagram[6:8] != b"\0\0"
        assert checksum(pseudo + datagram) == 0

    def test_tags_are_told_and_can_be_given_back(self) -> None:
        whole = wrap(offer(), Way.TO_CLIENT, ENDS)
        got = unwrap(with_tags(whole, (DOT1Q, 7)))
        assert got is not None
        assert tagged(whole, got.tags) == with_tags(whole, (DOT1Q, 7))

    @pytest.mark.parametrize(
        "whole",
        [
            dhcp(OFFER, CLIENT, address="10.8.0.9"),
            acknowledges(CLIENT, "10.8.0.9", server=SERVER),
            acknowledges(CLIENT, "10.8.0.9", server=SERVER, to=BROADCAST),
        ],
        ids=["offer", "ack", "ack to all"],
    )
    def test_of_others_are_unwrapped(self, whole: bytes) -> None:
        got = unwrap(whole)
        assert got is not None
        assert (got.way, got.message.mac, got.message.yiaddr) == (Way.TO_CLIENT, CLIENT, CLIENT_IP)
        assert got.message.kind in (Kind.OFFER, Kind.ACK)

    def test_of_clients_are_unwrapped(self) -> None:
        got = unwrap(gives_up(CLIENT, "10.8.0.9", server=SERVER))
        assert got is not None
        assert (got.way, got.message.kind) == (Way.TO_SERVER, Kind.RELEASE)
        assert got.message.ciaddr == CLIENT_IP

    @pytest.mark.parametrize("state", ["unfinished", "absent"])
    def test_a_checksum_left_to_hardware_is_accepted(self, state: str) -> None:
        """What never leaves the machine by a wire comes in with the pseudo-header's sum only."""
        whole = bytearray(wrap(offer(), Way.TO_CLIENT, ENDS))
        pseudo = SERVER_IP + CLIENT_IP + struct.pack(">HH", 17, len(whole) - UDP_AT)
        value = 0xFFFF - checksum(pseudo) if state == "unfinished" else 0
        whole[UDP_AT + 6 : UDP_AT + 8] = value.to_bytes(2, "big")
        assert unwrap(bytes(whole)) is not None

    @given(st.integers(UDP_AT, UDP_AT + 240), st.integers(1, 255))
    def test_a_damaged_one_is_not(self, at: int, flip: int) -> None:
        whole = bytearray(wrap(offer(), Way.TO_CLIENT, ENDS))
        whole[at] ^= flip
        got = unwrap(bytes(whole))
        # A damaged checksum may by chance be that of no or of an unfinished one: one in 32,768.
        assert got is None or at in (UDP_AT + 6, UDP_AT + 7)

    @pytest.mark.parametrize("size", [0, 14, 33, 42, 100, 281])
    def test_one_that_is_cut_off_is_not(self, size: int) -> None:
        assert unwrap(wrap(offer(), Way.TO_CLIENT, ENDS)[:size]) is None

    def test_another_kind_of_frame_is_not(self) -> None:
        assert unwrap(acknowledges(CLIENT, "10.8.0.9", server=SERVER, kind=DHCP_ACK)[:60]) is None


def test_tshark_reads_what_is_written() -> None:
    """An independent reader finds the options, wherever they stand, and right checksums."""
    require("tshark")
    routes = [
        Route(IPv4Network(network), IPv4Address("10.8.0.1"))
        for network in ("0.0.0.0/0", "10.17.0.0/16", "10.229.0.128/25")
    ]
    told = offer(
        options={
            Option.LEASE_S: (3600).to_bytes(4, "big"),
            Option.CLASSLESS_ROUTES: encode_routes(routes),
            **{200 + number: bytes((number,)) * 58 for number in range(7)},
        }
    )
    frames = [wrap(told, Way.TO_CLIENT, ENDS)]
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    records = [struct.pack("<IIII", 0, 0, len(each), len(each)) + each for each in frames]
    fields = ("ip.checksum.status", "udp.checksum.status", "dhcp.option.ip_address_lease_time")
    wanted = (*fields, "dhcp.option.option_overload", "dhcp.option.type")
    (row,) = tshark(
        b"".join((head, *records)),
        *wanted,
        checks=("ip.check_checksum:TRUE", "udp.check_checksum:TRUE"),
    )
    assert row[:4] == ["1", "1", "3600", "3"]
    written = {*told.options, Option.KIND, Option.OVERLOAD}
    assert set(map(int, row[4].split(","))) - {0, 255} == set(map(int, written))

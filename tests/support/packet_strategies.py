"""Hypothesis strategies for TCP and UDP packets: options, extensions, tags, all sorts of sizes."""

from __future__ import annotations

from functools import partial

from hypothesis import strategies as st

from .frames import DESTINATION, DOT1AD, DOT1Q, HOP_BY_HOP, ROUTING, TCP, UDP
from .packets import Packet

LAST_STOP = b"\xfd" + bytes(14) + b"\x77"
NO_OPTIONS = b"\x01\x04\x00\x00\x00\x00"
"""PadN: the body of an options header that has no options."""
TIMESTAMPS = bytes.fromhex("0101080a0000000100000002")
_ROUTER_ALERT = bytes.fromhex("94040000")
SEGMENT_ROUTING = (ROUTING, b"\x04\x01\x00\x00\x00\x00" + LAST_STOP)
_MOBILE = (ROUTING, b"\x02\x01\x00\x00\x00\x00" + LAST_STOP)
_ARRIVED = (ROUTING, b"\x00\x00\x00\x00\x00\x00" + LAST_STOP)
"""A routing header without segments left: the packet has reached its last stop."""

tags = st.lists(st.tuples(st.sampled_from([DOT1Q, DOT1AD]), st.integers(1, 4094)), max_size=2).map(
    tuple
)
numbers = st.integers(0, 0xFFFF)
contents = st.builds(
    lambda size, seed: (bytes(range(256)) * 17)[seed : seed + size],
    st.integers(0, 4000),
    st.integers(0, 255),
)
"""Bytes that differ from place to place, without a great many draws."""
_ip_options = st.sampled_from([b"", b"\x01\x01\x01\x00", _ROUTER_ALERT, _ROUTER_ALERT * 10])
_tcp_options = st.sampled_from([b"", TIMESTAMPS, b"\x01" * 4, b"\x01" * 40])
_options = st.sampled_from(
    [(), ((HOP_BY_HOP, NO_OPTIONS),), ((HOP_BY_HOP, NO_OPTIONS), (DESTINATION, NO_OPTIONS))]
)
_routing = st.sampled_from([(), (SEGMENT_ROUTING,), (_MOBILE,), (_ARRIVED,)])


@st.composite
def packets(draw: st.DrawFn, *, min_bytes: int = 0) -> Packet:
    """Draw a packet with a payload of `min_bytes` or more."""
    version, protocol = draw(st.sampled_from([(4, TCP), (4, UDP), (6, TCP), (6, UDP)]))
    make = partial(
        Packet,
        version=version,
        protocol=protocol,
        payload=draw(contents.filter(lambda payload: len(payload) >= min_bytes)),
        tags=draw(tags),
        source=draw(st.binary(min_size=4, max_size=4)),
        destination=draw(st.binary(min_size=4, max_size=4)),
        ports=draw(st.tuples(numbers, numbers)),
    )
    if version == 4:
        make = partial(
            make,
            ip_options=draw(_ip_options),
            number=draw(numbers),
            do_not_fragment=draw(st.booleans()),
        )
    else:
        routing = draw(_routing)
        stop = LAST_STOP if routing and routing != (_ARRIVED,) else b""
        make = partial(make, extensions=draw(_options) + routing, last_stop=stop)
    if protocol == TCP:
        make = partial(
            make,
            tcp_options=draw(_tcp_options),
            flags=draw(st.integers(0, 255)),
            sequence=draw(st.integers(0, (1 << 32) - 1)),
            urgent=draw(numbers),
        )
    return make()

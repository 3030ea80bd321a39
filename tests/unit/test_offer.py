"""What a server offers in a text: what is written can be read, and no text does harm."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpnws.wire.offer import MAX_ADDRESSES, MAX_TEXT_CHARACTERS, Offer, decode, encode

interfaces = st.builds(
    lambda address, prefix: f"{address}/{prefix}", st.ip_addresses(v=4), st.integers(0, 32)
) | st.builds(
    lambda address, prefix: f"{address}/{prefix}", st.ip_addresses(v=6), st.integers(0, 128)
)
offers = st.builds(
    Offer,
    address=st.lists(interfaces, max_size=3, unique=True).map(tuple),
    routes=st.sampled_from(
        ((), ("10.9.0.0/16",), ("10.9.0.0/16", "fd00::/8 via fd01::1", "0.0.0.0/0 via 10.8.0.1"))
    ),
    dns=st.lists(st.ip_addresses().map(str), max_size=3, unique=True).map(tuple),
    mtu=st.integers(68, 9000),
    lease_s=st.integers(0, 86400),
    notice=st.text(max_size=50),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
MEMBERS = st.sampled_from(("address", "routes", "dns", "mtu", "lease_s", "notice"))


@given(offers)
def test_what_is_written_is_read(offer: Offer) -> None:
    assert decode(encode(offer)) == offer


@given(st.dictionaries(MEMBERS, JSON))
def test_any_value_of_any_member_is_read_or_left_out(content: dict[str, object]) -> None:
    offer = decode(json.dumps(content))
    assert offer is not None
    assert decode(encode(offer)) == offer


@pytest.mark.parametrize(
    "text",
    ["", "x", "[]", "1", '"text"', "null", "[" * 4000, '{"notice": "x"', " " * MAX_TEXT_CHARACTERS],
)
def test_what_is_no_object_is_no_offer(text: str) -> None:
    assert decode(text) is None


def test_a_text_that_is_too_long_is_not_read() -> None:
    text = json.dumps({"notice": "x" * MAX_TEXT_CHARACTERS})
    assert decode(text) is None


def test_wrong_parts_are_left_out_and_the_rest_is_taken() -> None:
    content = {
        "address": ["10.8.0.2", "10.8.0.2/24", 7, None, "10.8.0.2/24", "x/24"],
        "routes": ["10.9.1.1/16", "10.9.0.0/16 via x", "default"],
        "dns": [1, "10.8.0.1", "fe80::1%eth0 ; reboot"],
        "mtu": True,
        "lease_s": -5,
        "colour": "red",
    }
    assert decode(json.dumps(content)) == Offer(
        address=("10.8.0.2/24",), routes=("10.9.0.0/16",), dns=("10.8.0.1",)
    )


def test_there_is_a_bound_on_how_many() -> None:
    text = json.dumps({"address": [f"10.8.0.{n}/24" for n in range(1, 100)]})
    offer = decode(text)
    assert offer is not None
    assert len(offer.address) == MAX_ADDRESSES


def test_a_notice_alone_sets_nothing() -> None:
    assert not Offer(notice="hello").has_settings
    assert Offer(mtu=1400).has_settings

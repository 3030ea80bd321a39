"""The kernel's lists of addresses: each address is found at its device and at no other."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from tests.support.netns import Namespace
from tests.support.prerequisites import require, require_root
from vpnws.tap.addresses import MAX_ADDRESSES, addresses_of, forwards_ipv6
from vpnws.tap.linux import bridge_of

pytestmark = pytest.mark.netns


def test_addresses_of_both_kinds_and_labels_are_those_of_the_device() -> None:
    require_root()
    require("ip")
    with Namespace("addresses") as namespace:
        namespace.ip("link add br7 type bridge")
        namespace.ip("address add 10.1.0.1/24 dev br7")
        namespace.ip("address add 10.1.1.1/24 dev br7 label br7:1")
        namespace.ip("address add fd01::1/64 dev br7 nodad")
        namespace.ip("address add 10.2.0.1/24 dev lo")
        found = namespace.call(lambda: addresses_of("br7"))
        wanted = ("10.1.0.1", "10.1.1.1", "fd01::1")
        assert sorted(found) == sorted(ip_address(text).packed for text in wanted)
        assert namespace.call(lambda: addresses_of("none7")) == []


def test_no_more_are_read_than_the_bound() -> None:
    require_root()
    require("ip")
    with Namespace("addresses") as namespace:
        lines = [
            f"address add 10.1.{n // 250}.{n % 250 + 1}/32 dev lo"
            for n in range(MAX_ADDRESSES + 50)
        ]
        namespace.run(["ip", "-batch", "-"], input_text="\n".join(lines) + "\n")
        assert len(
            [one for one in namespace.call(lambda: addresses_of("lo")) if len(one) == 4]
        ) in (
            MAX_ADDRESSES - 1,
            MAX_ADDRESSES,
        )


def test_what_is_not_there_forwards_nothing_and_has_no_bridge() -> None:
    assert not forwards_ipv6("none7")
    assert bridge_of("none7") == ""

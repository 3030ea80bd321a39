"""Reads what nftables and the older tables print of the chains that judge forwarded packets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from vpnws.doctor.facts import ForwardChain

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOW_CHAINS: Final = ("nft", "--json", "list", "chains")
LEGACY: Final = {"ip": "iptables-legacy", "ip6": "ip6tables-legacy", "arp": "arptables-legacy"}
"""Family -> the program for its older tables. To run it loads them, so first see that they are
there: the kernel names them in /proc/net/FAMILY_tables_names."""
TABLE: Final = "filter"
_POLICY: Final = re.compile(rb"Chain FORWARD \(policy ([A-Z]+)")


def show_legacy(family: str) -> tuple[str, ...]:
    """Return the command that shows the forward chain of `family`'s older table."""
    return (LEGACY[family], "-nL", "FORWARD")


def read_chains(text: bytes) -> list[ForwardChain]:
    """Read the output of SHOW_CHAINS: those of the hook forward. Raises ValueError."""
    return [*_chains(text)]


def read_legacy(family: str, text: bytes) -> list[ForwardChain]:
    """Read the output of `show_legacy`."""
    policies = [policy.decode().lower() for policy in _POLICY.findall(text)]
    return [ForwardChain(family, TABLE, "FORWARD", policy) for policy in policies]


def _chains(text: bytes) -> Iterator[ForwardChain]:
    found = msgspec.json.decode(text or b"{}", type=dict[str, list[dict[str, Any]]])
    for entry in found.get("nftables", []):
        chain = entry.get("chain", {})
        if chain.get("hook") == "forward":
            yield ForwardChain(
                str(chain["family"]),
                str(chain["table"]),
                str(chain["name"]),
                str(chain.get("policy", "accept")),
            )

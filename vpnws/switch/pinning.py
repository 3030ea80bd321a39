"""Pins a MAC to a name in the table that all processes share, and unpins it."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from vpnws.switch.guard.claims import OWN
from vpnws.switch.location import NOWHERE, Location

if TYPE_CHECKING:
    from vpnws.switch.location import SharedTable


def pin(table: SharedTable, network: str, mac: bytes, claim: bytes) -> bool:
    """Give `mac` to the name that has `claim` until it is unpinned; False if there is no room.

    Whoever else has it loses it at its next frame. What is the server's own stays so.
    """
    there = table.get(network, mac)
    if there is not None and (there.claim == OWN or (there.is_pinned and there.claim == claim)):
        return True
    if there is not None and there.claim == claim:
        pinned = replace(there, until_s=inf, is_pinned=True)
    else:
        pinned = Location(NOWHERE, 0, claim, is_pinned=True)
    if not table.put(network, mac, pinned):
        return False
    table.bump()
    return True


def unpin(table: SharedTable, network: str, mac: bytes, until_s: float) -> None:
    """Let `mac` be as if it had never been pinned.

    If its owner is here, it has the MAC until `until_s`, as a MAC that was just heard.
    """
    there = table.get(network, mac)
    if there is None or not there.is_pinned:
        return
    if there.is_somewhere:
        table.put(network, mac, replace(there, until_s=until_s, is_pinned=False))
    else:
        table.delete(network, mac)
    table.bump()

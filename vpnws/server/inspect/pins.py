"""Pins MACs to identities as the operator commands, and sees that they stay pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.control.asks import AskError, Done
from vpnws.control.events import Event
from vpnws.control.mac_asks import PinList
from vpnws.server.web.identity import Identity
from vpnws.switch import pinning
from vpnws.switch.guard.claims import OWN
from vpnws.text import log_words
from vpnws.wire.ethernet import parse_mac

if TYPE_CHECKING:
    from vpnws.control.mac_asks import PinAsk, PinsAsk, UnpinAsk
    from vpnws.control.rules import Pin
    from vpnws.server.node import Node
    from vpnws.server.peers.shared_fdb import SharedFdb
    from vpnws.server.peers.shared_rules import SharedRules

RENEW_EVERY_S: Final = 5.0
"""The shared FDB is compared with the pins this often: two processes that write one entry at the
same time can lose a pin."""


class Pins:
    """The pins, as one process keeps them."""

    def __init__(self, node: Node, rules: SharedRules) -> None:
        """`rules` has the pins of all processes."""
        self._node = node
        self._rules = rules
        self._ticker = node.loop.every(RENEW_EVERY_S, self._renew)

    def list(self, _ask: PinsAsk) -> PinList:
        """Return all pins."""
        pins = self._rules.pins()
        return PinList(tuple(sorted(pins, key=lambda pin: (pin.network, pin.mac))))

    def make(self, ask: PinAsk) -> Done:
        """Pin a MAC. Raises AskError if it is the server's own, or pinned for somebody else."""
        pin = ask.pin
        held = next((held for held in self._rules.pins() if held.id == pin.id), None)
        if held is not None and (held.user, held.dn) != (pin.user, pin.dn):
            whose = held.user or held.dn
            raise AskError(f"{pin.mac} is pinned for {whose} already: remove that pin first")
        there = self._node.switch.locate(pin.network, _mac_of(pin))
        if there is not None and there.claim == OWN:
            raise AskError(f"{pin.mac} is the server's own (a TAP's, or vpnws-pinned-macs)")
        self._rules.put(pin)
        if not write_pin(self._node.shared, pin):
            self._rules.remove_pin(pin.id)
            raise AskError("the FDB is full: raise vpnws-fdb-items")
        self._note(Event.PIN, pin, pin.by)
        return Done(1)

    def remove(self, ask: UnpinAsk) -> Done:
        """Remove a pin: its MAC is free when its owner is away. Raises AskError."""
        pin = self._rules.remove_pin(ask.id)
        if pin is None:
            raise AskError(f"there is no pin {ask.id}: it was removed", 404)
        node = self._node
        until_s = node.loop.now() + node.settings.age_s
        pinning.unpin(node.shared, pin.network, _mac_of(pin), until_s)
        self._note(Event.UNPIN, pin, ask.by)
        return Done(1)

    def _renew(self) -> None:
        write_pins(self._node.shared, self._rules)

    def _note(self, event: Event, pin: Pin, by: str) -> None:
        words = {
            "network": pin.network,
            "mac": pin.mac,
            "user": pin.user,
            "dn": pin.dn,
            "by": by,
        }
        self._node.journal.note(event, f"{event.value} {log_words(**words)}", **words)


def write_pins(fdb: SharedFdb, rules: SharedRules) -> None:
    """Write every pin that the shared FDB does not have."""
    for pin in rules.pins():
        write_pin(fdb, pin)


def write_pin(fdb: SharedFdb, pin: Pin) -> bool:
    """Write a pin into the shared FDB; False if there is no room."""
    claim = Identity(remote_user=pin.user, dn=pin.dn).claim()
    return pinning.pin(fdb, pin.network, _mac_of(pin), claim)


def _mac_of(pin: Pin) -> bytes:
    mac = parse_mac(pin.mac)
    if mac is None:
        raise AskError(f"{pin.mac} is not a MAC", 400)
    return mac

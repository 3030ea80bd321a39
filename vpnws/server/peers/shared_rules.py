"""The operator's rules and pins, which all processes share: in a uWSGI cache of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from vpnws.control.asks import AskError
from vpnws.control.rules import ID_BYTES, Pin, Rule
from vpnws.server.uwsgi import RULES_CACHE

if TYPE_CHECKING:
    from vpnws.server.loop import Loop
    from vpnws.server.peers.shared_page import SharedPage
    from vpnws.server.uwsgi import Uwsgi

MAX_RULES: Final = 1023
"""Rules and pins that there can be at once: uwsgi.ini makes the cache for one more. A further one
is refused."""
MAX_PINS: Final = 256
"""Pins among them; a further one is refused."""
RULE_KEY_BYTES: Final = 2 * ID_BYTES
"""A rule's key is its id, in hexadecimal digits."""
MAX_RULE_BYTES: Final = 1024
"""A longer rule is refused; uwsgi.ini makes the cache for this length."""


R = TypeVar("R", Rule, Pin)


class SharedRules:
    """The rules, as one process reads and changes them."""

    def __init__(self, loop: Loop, uwsgi: Uwsgi, page: SharedPage, slot: int) -> None:
        """`slot` is this process's own."""
        self._loop = loop
        self._uwsgi = uwsgi
        self._page = page
        self._slot = slot
        self._seen = b""
        self._rules: dict[str, Rule] = {}
        self._pins: dict[str, Pin] = {}

    def has_news(self) -> bool:
        """Return whether rules have changed since `all` was called."""
        return self._page.rule_epochs() != self._seen

    def all(self) -> list[Rule]:
        """Return the rules that hold now, by their ids in order."""
        self._read()
        now = self._loop.now()
        for ended in [rule for rule in self._rules.values() if rule.until_s <= now]:
            self._uwsgi.cache_delete(ended.id.encode(), RULES_CACHE)
            del self._rules[ended.id]
        return list(self._rules.values())

    def pins(self) -> list[Pin]:
        """Return the pins, by their ids in order."""
        self._read()
        return list(self._pins.values())

    def put(self, rule: Rule | Pin) -> None:
        """Make a rule, in the place of the one with its id. Raises AskError if there is no room."""
        if isinstance(rule, Pin) and len({*self._pins, rule.id}) > MAX_PINS:
            raise AskError(f"there are {MAX_PINS} pins already: remove some", 409)
        packed = msgspec.msgpack.encode(rule)
        if len(packed) > MAX_RULE_BYTES:
            raise AskError("the names and the reason of the rule are too long together", 400)
        if not self._uwsgi.cache_put(rule.id.encode(), packed, RULES_CACHE):
            raise AskError(f"there are {MAX_RULES} rules already: remove some", 409)
        self._page.bump_rules(self._slot)

    def remove(self, rule_id: str) -> Rule | None:
        """Remove a rule and return it; None if there is none with this id."""
        return self._remove(next((rule for rule in self.all() if rule.id == rule_id), None))

    def remove_pin(self, pin_id: str) -> Pin | None:
        """Remove a pin and return it; None if there is none with this id."""
        return self._remove(next((pin for pin in self.pins() if pin.id == pin_id), None))

    def restore(self, packed: bytes) -> None:
        """Make the rules that a reload has carried over, as `pack` has returned them."""
        for rule in msgspec.msgpack.decode(packed, type=list[Rule | Pin]) if packed else []:
            self.put(rule)

    def pack(self) -> bytes:
        """Return the rules for a reload to carry over."""
        return msgspec.msgpack.encode([*self.all(), *self.pins()])

    def _read(self) -> None:
        """Read the cache if a process has changed it."""
        if not self.has_news():
            return
        self._seen = self._page.rule_epochs()
        keys = sorted(self._uwsgi.cache_keys(RULES_CACHE))
        found = [self._uwsgi.cache_get(key, RULES_CACHE) for key in keys]
        rules: list[Rule | Pin] = [
            msgspec.msgpack.decode(rule, type=Rule | Pin) for rule in found if rule is not None
        ]
        self._rules = {rule.id: rule for rule in rules if isinstance(rule, Rule)}
        self._pins = {rule.id: rule for rule in rules if isinstance(rule, Pin)}

    def _remove(self, rule: R | None) -> R | None:
        if rule is not None:
            self._uwsgi.cache_delete(rule.id.encode(), RULES_CACHE)
            self._page.bump_rules(self._slot)
        return rule

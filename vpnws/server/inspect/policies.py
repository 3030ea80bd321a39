"""Applies the operator's rules in one process: who may not join, and which limits a port gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from vpnws.control.asks import AskError, Done, RuleList
from vpnws.control.events import Event
from vpnws.control.rules import Rule, RuleError
from vpnws.errors import UpgradeError
from vpnws.server.inspect.commands import describe_limits, set_limits
from vpnws.server.inspect.ports import who_of
from vpnws.text import log_pair, one_line, with_reason
from vpnws.wire import websocket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vpnws.control.asks import MakeRuleAsk, RemoveRuleAsk, RulesAsk
    from vpnws.control.views import FieldValue
    from vpnws.server.node import Node
    from vpnws.server.peers.shared_rules import SharedRules
    from vpnws.server.port.link import Link
    from vpnws.server.port.session import Session

BANNED: Final = "the operator has banned this station"
LOOK_EVERY_S: Final = 1.0
"""A process sees this often whether another one has made a rule that it has not heard of."""


class Policies:
    """The rules, as they concern the stations of one process."""

    def __init__(self, node: Node, rules: SharedRules) -> None:
        """`node` has the stations."""
        self._node = node
        self._loop = node.loop
        self._rules = rules
        self._applied: dict[str, Rule] = {}
        """The rules that the stations who are here have felt, by their ids."""
        self._ticker = self._loop.every(LOOK_EVERY_S, self._look)

    def check(self, session: Session) -> None:
        """Raise UpgradeError if the station of `session` is banned."""
        for rule in self._fitting(session):
            if rule.limits is None:
                left_s = max(1, round(rule.until_s - self._loop.now()))
                told = f"The operator has banned this station for another {left_s} s"
                raise UpgradeError("403 Forbidden", with_reason(told, one_line(rule.reason)))

    def greet(self, link: Link) -> None:
        """Give the port of a station that has come the limits of its identity."""
        for rule in self._fitting(link.session):
            if rule.limits is not None:
                set_limits(link.port, rule.limits, self._loop.now())

    def make(self, ask: MakeRuleAsk) -> Done:
        """Make a rule, and apply it to the stations that are here. Raises AskError.

        Every process makes it, so that it holds even if only one is alive.
        """
        try:
            ask.rule.check()
        except RuleError as error:
            raise AskError(str(error), 400) from error
        rule = replace(ask.rule, until_s=self._loop.now() + ask.for_s)
        self._rules.put(rule)
        self._applied[rule.id] = rule
        if ask.noted_at == self._node.slot:
            self._note_made(rule, ask.for_s)
        return Done(self._apply([rule]))

    def remove(self, ask: RemoveRuleAsk) -> Done:
        """Remove a rule; ports keep the limits that they got. Raises AskError."""
        rule = self._rules.remove(ask.id)
        if rule is None:
            raise AskError(f"there is no rule {ask.id}: it has ended, or was removed", 404)
        if rule.limits is None:
            self._note(Event.UNBAN, "ban removed", rule, ask.by)
        else:
            self._note(Event.LIMITS, "limits removed", rule, ask.by)
        return Done(1)

    def list_rules(self, _ask: RulesAsk) -> RuleList:
        """Return all rules that hold."""
        return RuleList(tuple(self._rules.all()), self._loop.now())

    def _note_made(self, rule: Rule, for_s: float) -> None:
        if rule.limits is not None:
            told = describe_limits(rule.limits)
            self._note(Event.LIMITS, "limits made", rule, rule.by, limits=told)
        else:
            seconds, why = round(for_s), rule.reason
            self._note(Event.BAN, "ban made", rule, rule.by, seconds=seconds, reason=why)

    def _note(self, event: Event, what: str, rule: Rule, by: str, **told: FieldValue) -> None:
        who = {"user": rule.user, "dn": rule.dn, "addr": rule.addr, "network": rule.network}
        words = {**who, **told, "by": by}
        text = " ".join(log_pair(name, str(value)) for name, value in words.items())
        self._node.journal.note(event, f"{what} {text}", **words)

    def _look(self) -> None:
        if self._rules.has_news():
            rules = self._rules.all()
            # An older one must not undo what a port was given since.
            self._apply([rule for rule in rules if self._applied.get(rule.id) != rule])
            self._applied = {rule.id: rule for rule in rules}

    def _apply(self, rules: Sequence[Rule]) -> int:
        """Apply `rules` to the stations that are here; return how many they concern."""
        count = 0
        for link in list(self._node.links.values()) if rules else ():
            for rule in _fitting(rules, link.session):
                count += 1
                self._apply_to(link, rule)
        return count

    def _apply_to(self, link: Link, rule: Rule) -> None:
        if rule.limits is not None:
            set_limits(link.port, rule.limits, self._loop.now())
        else:
            link.end(websocket.BANNED, with_reason(BANNED, rule.reason))

    def _fitting(self, session: Session) -> list[Rule]:
        return _fitting(self._rules.all(), session)


def _fitting(rules: Sequence[Rule], session: Session) -> list[Rule]:
    who, network = who_of(session.identity), session.network
    return [rule for rule in rules if rule.fits(who, network)]

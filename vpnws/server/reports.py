"""Reports what ports drop while it happens: a line in the log, and a notice to the station."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from vpnws.control.events import Event
from vpnws.server.port.drop_watch import OF_A_MAC, SAY_AGAIN_S, DropWatch
from vpnws.server.port.explanations import Explanation, explain
from vpnws.server.port.recent_drops import RecentDrops
from vpnws.switch.guard.claims import ANONYMOUS, OWN
from vpnws.switch.port import AccessPort
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from vpnws.control.views import FieldValue, PortKind
    from vpnws.server.journal import Journal
    from vpnws.server.port.describe import Subject
    from vpnws.switch.drop import Drop
    from vpnws.switch.forwarding import Switch
    from vpnws.switch.port import Port, Rival


class Reports:
    """One process's reports of drops, and of MACs that two ports want, for all of its ports."""

    def __init__(
        self, switch: Switch, name_at: Callable[[int, int], str], journal: Journal
    ) -> None:
        """`name_at` returns a port's short name by its slot and its id."""
        self._switch = switch
        self._name_at = name_at
        self._journal = journal
        self._watches: dict[Port, DropWatch] = {}
        self._rivals_said_s: dict[Port, float] = {}
        self._recent: dict[Port, RecentDrops] = {}

    def forget(self, port: Port) -> None:
        """Stop watching `port`, which has gone."""
        self._watches.pop(port, None)
        self._rivals_said_s.pop(port, None)
        self._recent.pop(port, None)

    def recent(self, port: Port, now: float) -> Counter[Drop]:
        """Return what `port` has dropped within the last RECENT_S; `now` is in seconds."""
        recent = self._recent.get(port)
        return recent.counts(port.drops, now) if recent is not None else port.drops.copy()

    def look(
        self,
        port: Port,
        describe: Callable[[], Subject],
        now: float,
        may_tell: Callable[[], bool] = lambda: True,
    ) -> list[str]:
        """Note what `port` has begun to drop, or goes on to, and who wants a MAC that it has.

        Returns the notices for its station. `describe` says which port it is, and whose; `now` is
        in seconds. `may_tell` is asked before each event.
        """
        notices: list[str] = []
        if port.drops:
            watch = self._watches.get(port)
            if watch is None:
                watch = self._watches[port] = DropWatch()
                self._recent[port] = RecentDrops()
            self._recent[port].look(port.drops, now)
            notices += [
                self._say(port, describe() if may_tell() else None, *said, now)
                for said in watch.look(port.drops, now)
            ]
        if isinstance(port, AccessPort) and port.rival is not None:
            notices += self._say_rival(port, port.rival, describe, now, may_tell)
        return notices

    def _say_rival(
        self,
        port: AccessPort,
        rival: Rival,
        describe: Callable[[], Subject],
        now: float,
        may_tell: Callable[[], bool],
    ) -> list[str]:
        """Note that another port wanted a MAC which `port` keeps; return the notice, if any."""
        if now < self._rivals_said_s.get(port, -inf) + SAY_AGAIN_S:
            return []
        port.rival = None
        self._rivals_said_s[port] = now
        mac = format_mac(rival.mac)
        other = self._name_at(rival.slot, rival.port_id)
        if may_tell():
            named = describe()
            self._journal.note(
                Event.CLAIM,
                f"{named.words} keeps the MAC {mac}, from which port {other} sends too",
                **{**named.fields, "mac": mac},
                rival=other,
            )
        return [f"another station sends from the MAC {mac} too: this one keeps it while it sends"]

    def _say(self, port: Port, named: Subject | None, reason: Drop, count: int, now: float) -> str:
        """Return the notice; note it too, unless `named` is None."""
        source = self._source(port, reason)
        of_it = f" of {format_mac(source)}" if source else ""
        told, known = self._holder(port, source, now)
        says = explain(reason, kind_of(port))
        if named is not None:
            why = says.sentence(known)
            refused: dict[str, FieldValue] = {"mac": format_mac(source)} if source else {}
            self._journal.note(
                Event.DROPS,
                f"{named.words} drops {count} frames{of_it} ({reason}): {why}",
                **{**named.fields, **refused},
                reason=reason.value,
                count=count,
                why=why,
            )
        return f"frames{of_it} are dropped ({reason}): {says.sentence(told)}"

    def explain(self, port: Port, reason: Drop, now: float) -> Explanation:
        """Return in words for the operator why `port` drops frames, and what to do about it."""
        _, known = self._holder(port, self._source(port, reason), now)
        says = explain(reason, kind_of(port))
        return Explanation(says.why.format(holder=known), says.remedy)

    @staticmethod
    def _source(port: Port, reason: Drop) -> bytes:
        """Return the MAC that a reason is about; empty if it is about none."""
        if isinstance(port, AccessPort) and reason in OF_A_MAC:
            return port.refused.get(reason, b"")
        return b""

    def _holder(self, port: Port, mac: bytes, now: float) -> tuple[str, str]:
        """Return who has `mac`, in words for the station and in words for the operator.

        Only the operator is told which port has it. Nobody has an empty one.
        """
        if not mac or not isinstance(port, AccessPort):
            return "another station", "another station"
        there = self._switch.locate(port.origin.network, mac)
        if there is None:
            return "another station", "another station"
        if there.claim == OWN:
            return "the server itself", "the server itself (a TAP, its bridge, vpnws-pinned-macs)"
        if not there.is_somewhere:
            away = f"a station that is away, for another {max(1, round(there.until_s - now))} s"
            return away, away
        is_same = there.claim == port.claim != ANONYMOUS
        who = "a newer station of the same user" if is_same else "another station"
        at = self._name_port(there.slot, there.port_id)
        return who, f"{at}, {who}" if is_same else at

    def _name_port(self, slot: int, port_id: int) -> str:
        return f"port {self._name_at(slot, port_id)}"


def kind_of(port: Port) -> PortKind:
    """Return what a port leads to."""
    if not isinstance(port, AccessPort):
        return "trunk"
    return "tap" if port.claim == OWN else "station"

"""Traces a frame from A to B and an answer back: asks all processes, and gives the verdict."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, TypeVar

from vpnws.control.asks import Answers, EndsAsk, RulesAsk, WayAsk
from vpnws.control.trace_ends import STRANGER, bar, describe, settle
from vpnws.control.trace_steps import follow
from vpnws.control.trace_view import PathView, TraceView
from vpnws.control.trace_why import Walk, slot_of
from vpnws.control.trace_words import AGAIN, absent
from vpnws.wire.ethernet import BROADCAST
from vpnws.wire.headers import TYPE_IPV6
from vpnws.wire.probe import message, question

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.control.asks import Peers, RuleList
    from vpnws.control.trace_ends import End
    from vpnws.control.trace_facts import EndsFacts, WayFacts
    from vpnws.wire.probe import Ether

A = TypeVar("A")
QUIET_S: Final = 60.0
"""If nothing has come from B for this long, a trace says so."""


class Tracer:
    """One trace."""

    def __init__(self, peers: Peers, mode: str, ether: Ether, size_bytes: int) -> None:
        """`mode` is the server's; a frame of this kind and size is followed."""
        self._peers = peers
        self._mode = mode
        self._ether = ether
        self._size_bytes = size_bytes
        self._missing: dict[str, None] = {}
        self._now_s = 0.0

    def trace(self, source: str, destination: str, network: str) -> TraceView:
        """Return what would happen between two ends. Raises AskError."""
        ask = EndsAsk(source=source, destination=destination, network=network)
        answers: Answers[EndsFacts] = self._peers.ask(ask)
        facts = self._note(answers)
        self._now_s = max((one.now_s for one in facts.values()), default=0.0)
        a = settle(source, [one.source for one in facts.values()], network)
        b = settle(destination, [one.destination for one in facts.values()], a.network)
        if b.network and b.network != a.network:
            a = settle(source, [one.source for one in facts.values()], b.network)
        a, b = self._bar(a), self._bar(b)
        there = self._path(a, b, is_answer=False)
        back = self._path(b, a, is_answer=True)
        return TraceView(
            ether=self._ether.name,
            size_bytes=self._size_bytes,
            text=_verdict(a, b, there, back),
            remedy=_remedy(there, back),
            hint=_hint(b, there, back, self._now_s),
            source=describe(a, self._now_s),
            destination=describe(b, self._now_s),
            there=there,
            back=back,
            missing=tuple(self._missing),
        )

    def _path(self, a: End, b: End, *, is_answer: bool) -> PathView:
        if a.port is None:
            return self._nobody(a)
        if b.mac is None and b.port is None:
            return self._nobody(b)
        view = a.port.view
        to_ip = b.ip(self._version)
        assumed_ip = "" if to_ip or b.is_group else _allowed_ip(view.allow, self._version)
        frame = self._frame(a, b, to_ip or assumed_ip, is_answer=is_answer)
        goal = "" if b.port is None else b.port.view.id
        ask = WayAsk(
            frame=frame, slot=slot_of(view.id), port=view.id, label=a.port.label, goal=goal
        )
        answers: Answers[WayFacts] = self._peers.ask(ask)
        ways = self._note(answers)
        return follow(
            Walk(
                a,
                b,
                a.port,
                frame,
                {way.slot: way for way in ways.values()},
                {way.slot: name for name, way in ways.items()} | _workers(self._missing),
                self._mode,
                self._now_s,
                has_spoken=is_answer,
                is_ip_assumed=bool(assumed_ip),
            )
        )

    @property
    def _version(self) -> int:
        return 6 if self._ether.number == TYPE_IPV6 else 4

    def _frame(self, a: End, b: End, to_ip: str, *, is_answer: bool) -> bytes:
        """Return the frame that is followed; B's MAC may be unknown, then it goes to all."""
        source = a.mac if a.mac is not None else STRANGER
        if self._ether.is_question and not is_answer and not b.is_group:
            return question(self._ether, source, to_ip, self._size_bytes)
        stand_in = STRANGER if is_answer else BROADCAST
        destination = b.mac if b.mac is not None else stand_in
        return message(self._ether, source, destination, to_ip, self._size_bytes)

    def _nobody(self, end: End) -> PathView:
        """Return the way of a frame from or to an end that is not there."""
        if end.is_group:
            text = describe(end, self._now_s).text
            return PathView(outcome="unknown", text=f"{text}, which sends nothing")
        text, remedy = absent(end, self._now_s)
        if self._missing and end.gone is None and end.ban is None:
            text, remedy = f"{text}; but {' and '.join(self._missing)} has not answered", AGAIN
        return PathView(outcome="unknown", text=text, remedy=remedy)

    def _bar(self, end: End) -> End:
        """Return the same end, with the ban that keeps it away if there is one."""
        if end.port is not None or end.is_group:
            return end
        answers: Answers[RuleList] = self._peers.ask(RulesAsk())
        told = next(iter(answers.by_process.values()), None)
        return end if told is None else bar(end, told.rules, told.now_s)

    def _note(self, answers: Answers[A]) -> dict[str, A]:
        self._missing |= dict.fromkeys(answers.missing)
        return answers.by_process


def _workers(names: Iterable[str]) -> dict[int, str]:
    """Return the names of the workers among `names`, by their slots."""
    numbers = {name: name.rpartition("worker ")[2] for name in names}
    return {int(number) - 1: name for name, number in numbers.items() if number.isdigit()}


def _allowed_ip(allowed: tuple[str, ...] | None, version: int) -> str:
    """Return an address that a station may send to, to stand for one that nobody knows."""
    networks = [ip_network(text) for text in allowed or ()]
    return next((str(one[0]) for one in networks if one.version == version), "")


def _gets_there(path: PathView) -> bool:
    return path.outcome in ("delivered", "flooded")


def _verdict(a: End, b: End, there: PathView, back: PathView) -> str:
    if b.is_group or not _gets_there(there):
        return there.text
    if not _gets_there(back):
        return f"frames from {a.name} get to {b.name}, and no answer comes back: {back.text}"
    losses = "; ".join(dict.fromkeys((*there.warnings, *back.warnings)))
    but = f"; but {losses}" if losses else ""
    return f"the switch carries frames from {a.name} to {b.name} and back{but}"


def _remedy(there: PathView, back: PathView) -> str:
    if not _gets_there(there):
        return there.remedy
    is_lossy = there.warnings or back.warnings
    return back.remedy or ("vpnws-ctl drops says what to do about the losses" if is_lossy else "")


def _hint(b: End, there: PathView, back: PathView, now_s: float) -> str:
    """Say where to look if the switch is not to blame."""
    if b.port is None or not (_gets_there(there) and _gets_there(back)):
        return ""
    view = b.port.view
    if view.kind == "tap":
        return (
            f"if nothing answers, look behind the TAP: tcpdump -eni {view.device} on the server"
            " shows what arrives; vpnws-ctl doctor knows what breaks bridges and routers"
        )
    silent_s = now_s - view.heard_s
    silence = f"nothing has come from {b.name} for {silent_s:.0f} s; " if silent_s > QUIET_S else ""
    return (
        f"{silence}if {b.name} does not answer, its machine decides: tcpdump -eni tap0 there shows"
        " whether frames arrive; a firewall or another address may keep it from answering"
        " (docs/trouble.md)"
    )

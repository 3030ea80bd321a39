"""Inquiries: one process asks the others for views, or to do something, and waits a little."""

from __future__ import annotations

import itertools
import logging
import secrets
import struct
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from vpnws.control.asks import Answers, Ask, AskError
from vpnws.server.peers.mailboxes import MAX_PART_BYTES, Inbox, Mailboxes, Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vpnws.server.loop import Loop, Signal
    from vpnws.server.peers.shared_page import SharedPage

ASK_S: Final = 1.0
"""A process that has not answered after this time counts as missing."""
MAX_PARTS: Final = 512
"""Parts of one message; a longer answer is not sent."""
MAX_WAITING: Final = 256
"""Inquiries of one process that wait for answers; a further one is refused."""
_HEAD: Final = struct.Struct("!cBIHH")
"""What the part belongs to, the sender's slot, the inquiry's number, the part's and how many."""
_BODY_BYTES: Final = MAX_PART_BYTES - _HEAD.size
_ASK: Final = b"?"
_POST: Final = b"!"
_ANSWER: Final = b"="
_REFUSAL: Final = b"-"
_SILENCE: Final = b"0"
"""The process has nothing to do with what was asked."""
_LAST_NUMBER: Final = 0xFFFFFFFF

A = TypeVar("A")
log = logging.getLogger("vpnws")


class _Waiting:
    """An inquiry that waits for answers."""

    def __init__(self, slots: Iterable[int], signal: Signal) -> None:
        self.open_slots = set(slots)
        self.signal = signal
        self.parts: dict[int, list[bytes]] = {}
        self.answers: dict[int, tuple[bytes, bytes]] = {}

    def add(self, slot: int, kind: bytes, body: bytes, *, is_last: bool) -> None:
        """Take one part of the answer from `slot`."""
        if slot not in self.open_slots:
            return
        parts = self.parts.setdefault(slot, [])
        parts.append(body)
        if is_last:
            self.answers[slot] = kind, b"".join(self.parts.pop(slot))
            self.open_slots.remove(slot)
        if not self.open_slots:
            self.signal.set()


class Inquiries:
    """A `Peers`: what one process asks and is asked."""

    def __init__(
        self,
        loop: Loop,
        page: SharedPage,
        mailboxes: Mailboxes,
        slot: int,
        name_of: Callable[[int], str],
    ) -> None:
        """Open the mailbox of `slot`, this process's own; `name_of` says what a slot is called."""
        self.slot = slot
        self._loop = loop
        self._page = page
        self._name_of = name_of
        self._handlers: dict[str, tuple[type[Ask[Any]], Callable[[Any], Any]]] = {}
        """By the names of the types of asks."""
        self._waiting: dict[int, _Waiting] = {}
        self._begun: dict[int, list[bytes]] = {}
        """The parts that have come of a message, by the slot of its sender."""
        # Answers may still come that the process before at this slot has asked for.
        self._numbers = itertools.count(secrets.randbits(32))
        mine, outside = mailboxes.open(slot)
        self._outboxes = [Outbox(loop, end) for end in outside]
        self._inbox = Inbox(loop, mine, self._take_part)

    def serve(self, ask: type[Ask[A]], handler: Callable[[Any], A]) -> None:
        """Have `handler` answer what this process is asked. It may raise AskError."""
        self._handlers[ask.__name__] = ask, handler

    def post(self, slot: int, message: Ask[Any]) -> bool:
        """Send something that needs no answer; False if there is no room for it now.

        There is room while nothing else waits to be sent there: what is asked goes first.
        """
        outbox = self._outboxes[slot]
        return outbox.is_clear and outbox.send(_parts(_POST, self.slot, 0, _encode(message)))

    def ask(self, ask: Ask[A], slot: int | None = None) -> Answers[A]:
        """Ask the process at `slot`, or all; let others run until they have answered.

        It takes ASK_S at most. A process that does not serve such an ask is left out. Raises
        AskError if a process refuses, or if there is none at `slot` that can answer.
        """
        slots = [at for at, (pid, _) in enumerate(self._page.pulses()) if pid]
        if slot is not None and slot not in slots:
            raise AskError("there is no such process", 404)
        slots = slots if slot is None else [slot]
        answers: dict[int, A | None] = {}
        if self.slot in slots:
            is_served = type(ask).__name__ in self._handlers
            answers[self.slot] = self._handle(ask) if is_served else None
        others = [other for other in slots if other != self.slot]
        if others:
            answers.update(self._ask_others(ask, others))
        told = {at: answer for at, answer in sorted(answers.items()) if answer is not None}
        if slot is not None and answers and not told:
            raise AskError(f"{self._name_of(slot)} has nothing to do with that", 404)
        return Answers(
            {self._name_of(at): answer for at, answer in told.items()},
            tuple(self._name_of(at) for at in slots if at not in answers),
        )

    def let_others_run(self) -> None:
        """Let this process do what else is ready, before the caller goes on with long work."""
        self._loop.let_others_run()

    def close(self) -> None:
        """Ask and answer nothing more."""
        self._inbox.close()
        for outbox in self._outboxes:
            outbox.close()

    def _ask_others(self, ask: Ask[Any], slots: list[int]) -> dict[int, Any]:
        if len(self._waiting) >= MAX_WAITING:
            raise AskError("too many inquiries wait for answers: try again in a second", 503)
        number = next(self._numbers) & _LAST_NUMBER
        waiting = _Waiting(slots, self._loop.make_signal())
        parts = _parts(_ASK, self.slot, number, _encode(ask))
        self._waiting[number] = waiting
        try:
            # A full mailbox is that of a process that hangs: it counts as missing.
            if sum([self._outboxes[slot].send(parts) for slot in slots]):
                waiting.signal.wait(ASK_S)
        finally:
            del self._waiting[number]
        return {at: _read(ask, *answer) for at, answer in waiting.answers.items()}

    def _take_part(self, part: bytes) -> None:
        if len(part) < _HEAD.size:
            return
        kind, sender, number, index, count = _HEAD.unpack_from(part)
        body = part[_HEAD.size :]
        if kind in (_ASK, _POST):
            whole = self._join(sender, index, count, body)
            if whole is not None:
                self._answer(kind, sender, number, whole)
        elif (waiting := self._waiting.get(number)) is not None:
            waiting.add(sender, kind, body, is_last=index + 1 == count)

    def _join(self, sender: int, index: int, count: int, body: bytes) -> bytes | None:
        """Return a message once its last part has come; its parts come in a row."""
        if count == 1 or count > MAX_PARTS:
            return body if count == 1 else None
        parts = self._begun.setdefault(sender, [])
        if index == 0:
            parts.clear()
        if index == len(parts):
            # Else the process that sent the first parts has died.
            parts.append(body)
        return b"".join(self._begun.pop(sender)) if len(parts) == count else None

    def _answer(self, kind: bytes, sender: int, number: int, body: bytes) -> None:
        name, _, packed = body.partition(b"\0")
        served = self._handlers.get(name.decode())
        reply, payload = _SILENCE, b""
        try:
            if served is not None:
                answer = self._handle(msgspec.msgpack.decode(packed, type=served[0]))
                reply, payload = _ANSWER, msgspec.msgpack.encode(answer)
        except AskError as error:
            reply, payload = _REFUSAL, msgspec.msgpack.encode((str(error), error.status))
        if kind == _ASK:
            parts = _parts(reply, self.slot, number, payload)
            if len(parts) > MAX_PARTS or not self._outboxes[sender].send(parts):
                log.error("an answer of %d bytes to %s is lost", len(payload), name.decode())

    def _handle(self, ask: Ask[A]) -> A:
        try:
            answer: A = self._handlers[type(ask).__name__][1](ask)
        except AskError:
            raise
        except Exception as error:
            log.exception("%s failed", type(ask).__name__)
            raise AskError(f"{type(ask).__name__} failed: see the log", 500) from error
        return answer


def _encode(ask: Ask[Any]) -> bytes:
    return type(ask).__name__.encode() + b"\0" + msgspec.msgpack.encode(ask)


def _read(ask: Ask[A], kind: bytes, body: bytes) -> A | None:
    """Return an answer, None if the process does not serve such an ask. Raises AskError."""
    if kind == _SILENCE:
        return None
    if kind == _REFUSAL:
        sentence, status = msgspec.msgpack.decode(body, type=tuple[str, int])
        raise AskError(sentence, status)
    answer: A = msgspec.msgpack.decode(body, type=ask.answer_type())
    return answer


def _parts(kind: bytes, slot: int, number: int, body: bytes) -> list[bytes]:
    bodies = [body[at : at + _BODY_BYTES] for at in range(0, len(body), _BODY_BYTES)] or [b""]
    return [
        _HEAD.pack(kind, slot, number, min(index, 0xFFFF), min(len(bodies), 0xFFFF)) + part
        for index, part in enumerate(bodies)
    ]

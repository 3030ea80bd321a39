"""Captures: all processes copy frames, and one of them streams the copies as pcapng.

The process that answers the request asks all of them to mirror, again and again: a mirror ends by
itself when that stops. Nothing waits for a capture. What it cannot take is lost, and the capture
says how much that was.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from vpnws.control.asks import AskError, Done
from vpnws.control.capture_asks import CaptureNoteAsk, CopiesPost, MirrorAsk, MirrorEndAsk
from vpnws.control.recording import Recording
from vpnws.text import log_value

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from vpnws.control.about import About
    from vpnws.control.asks import Answers, Ask, Peers
    from vpnws.control.caller import Caller
    from vpnws.control.capture_asks import CaptureFilter, Mirrored, MirrorEnd
    from vpnws.control.views import FieldValue

A = TypeVar("A")
MAX_CAPTURES: Final = 4
"""Captures that one worker streams at once; a further one is refused with 503."""
RENEW_EVERY_S: Final = 1.5
"""The processes are asked to go on this often, so a mirror outlives an ask that gets lost."""


BEAT_EVERY_S: Final = 15.0
"""Something is sent at least this often, for web servers that end a silent stream (nginx after a
minute), and to notice a caller that has gone."""


class Captures:
    """The captures that one process streams."""

    def __init__(self, peers: Peers, about: About) -> None:
        """`peers` are the server's processes."""
        self._peers = peers
        self._about = about
        self._streams: dict[str, CaptureStream] = {}
        peers.serve(CopiesPost, self._take)

    def open(
        self, wanted: CaptureFilter, seconds: float, by: str, open_caller: Callable[[], Caller]
    ) -> CaptureStream:
        """Begin a capture for `seconds`; `by` is who asks.

        Raises AskError if there are too many, or no such port; OSError if nobody waits for it.
        """
        if len(self._streams) >= MAX_CAPTURES:
            raise AskError(f"{MAX_CAPTURES} captures run already: end one, or wait", 503)
        caller = open_caller()
        stream = CaptureStream(self._peers, self._about, caller, wanted, by, self._forget)
        self._streams[stream.id] = stream
        try:
            stream.begin(seconds)
        except AskError:
            stream.close()
            raise
        return stream

    def _forget(self, stream: CaptureStream) -> None:
        del self._streams[stream.id]

    def _take(self, post: CopiesPost) -> Done:
        stream = self._streams.get(post.id)
        if stream is not None:
            stream.take(post)
        return Done()


class CaptureStream:
    """One capture, as the answer to a request."""

    def __init__(
        self,
        peers: Peers,
        about: About,
        caller: Caller,
        wanted: CaptureFilter,
        by: str,
        on_close: Callable[[CaptureStream], None],
    ) -> None:
        """`on_close` is called once, when it is over."""
        self.id = secrets.token_hex(8)
        self._peers = peers
        self._about = about
        self._caller = caller
        self._ask = MirrorAsk(id=self.id, slot=peers.slot, filter=wanted)
        self._by = by
        self._on_close: Callable[[CaptureStream], None] | None = on_close
        self._recording = Recording(wanted.snap, about.unix_s())
        self._until_s = self._renew_s = self._beat_s = caller.now()
        self._is_over = True

    def begin(self, seconds: float) -> None:
        """Have all processes mirror. Raises AskError."""
        now = self._caller.now()
        self._until_s, self._renew_s = now + seconds, now + RENEW_EVERY_S
        self._beat_s = now + BEAT_EVERY_S
        try:
            answers = self._peers.ask(self._ask)
        except AskError:
            self._try(MirrorEndAsk(id=self.id))
            raise
        if not self._goes_on(answers):
            port = self._ask.filter.port
            raise AskError(f"there is no port {port}: it has gone, or there was none", 404)
        self._is_over = False
        words = _in_words(self._ask.filter)
        comment = [words, *(f"{name} did not answer" for name in answers.missing)]
        self._recording.begin(self._about.version, "; ".join(comment))
        self._note(f"capture of {words} begins", seconds=seconds)

    def take(self, post: CopiesPost) -> None:
        """Take copies that a process has posted."""
        self._recording.add(post)
        self._caller.wake()

    def __iter__(self) -> Self:
        """Return itself."""
        return self

    def __next__(self) -> bytes:
        """Wait for something to send, and return it."""
        while True:
            self._look_at_the_time()
            chunk = self._recording.read()
            if chunk:
                return chunk
            if self._is_over:
                raise StopIteration
            wait_s = min(self._until_s, self._renew_s) - self._caller.now()
            self._caller.wait(max(0.0, wait_s))

    def close(self) -> None:
        """End the mirrors; nobody waits for more."""
        if self._on_close is None:
            return
        self._end()
        on_close, self._on_close = self._on_close, None
        self._caller.close()
        on_close(self)

    def _look_at_the_time(self) -> None:
        caller, now = self._caller, self._caller.now()
        if caller.is_gone or caller.must_end or now >= self._until_s:
            self._end()
        elif now >= self._renew_s:
            self._renew(now)

    def _renew(self, now: float) -> None:
        """Have the mirrors go on; end the capture if its port has gone."""
        answers = self._try(self._ask)
        if answers is not None and not self._goes_on(answers):
            self._end(f"port {self._ask.filter.port} has gone")
            return
        self._renew_s = now + RENEW_EVERY_S
        if now >= self._beat_s:
            self._beat_s = now + BEAT_EVERY_S
            self._recording.beat(self._about.unix_s())

    def _goes_on(self, answers: Answers[Mirrored]) -> bool:
        """Return whether some process has what is wanted, as far as is known; note which port."""
        here = [mirrored for mirrored in answers.by_process.values() if mirrored.is_here]
        if here and self._ask.port_id is None:
            self._ask = msgspec.structs.replace(self._ask, port_id=here[0].port_id)
        return bool(here or answers.missing)

    def _end(self, reason: str = "") -> None:
        """End the mirrors, and write what they have seen and lost; and why, if that is a reason."""
        if self._is_over:
            return
        self._is_over = True
        ended: Answers[MirrorEnd] | None = self._try(MirrorEndAsk(id=self.id))
        seen = ended.by_process if ended is not None else {}
        recording = self._recording
        counts = {name: end.seen for name, end in seen.items()}
        recording.end(counts, self._about.unix_s(), reason)
        told = ", ".join(filter(None, (reason, f"{recording.frames} frames")))
        text = f"capture ended: {told}, {recording.lost} copies lost"
        self._note(text, count=recording.frames, lost=recording.lost, reason=reason)

    def _try(self, ask: Ask[A]) -> Answers[A] | None:
        """Ask all processes; None if one of them refuses."""
        try:
            return self._peers.ask(ask)
        except AskError:
            return None

    def _note(self, text: str, **fields: FieldValue) -> None:
        wanted = self._ask.filter
        told: dict[str, FieldValue] = {
            "port": wanted.port,
            "network": wanted.network,
            "mac": wanted.mac,
            **fields,
            "by": self._by,
        }
        note = CaptureNoteAsk(text=f"{text} by={log_value(self._by) or '-'}", fields=told)
        self._peers.ask(note, self._peers.slot)


def _in_words(wanted: CaptureFilter) -> str:
    """Return which frames are captured."""
    named = {
        "port": wanted.port,
        "network": wanted.network,
        "mac": wanted.mac,
        "direction": wanted.direction,
    }
    words = [f"{name}={log_value(value)}" for name, value in named.items() if value]
    return " ".join(("dropped frames" if wanted.dropped else "frames", *words))

"""Reads RFC 6455 data framing without I/O: received bytes become messages and control frames.

Theory of operation. A connection's received bytes go through one decoder. It cuts frames off
the front of the stream, unmasks them, puts fragments together and returns whole binary messages.
What it cannot cut yet stays in its `ReceiveState`, which is plain data. Another process needs
nothing else to take over, once `ping`, `texts` and `ending` have been acted on. Control frames
never reach the caller as messages. The payload of the newest unanswered ping is in `ping`: RFC 6455
5.5.3 lets an endpoint answer only that one, which bounds what a flood of pings can make us send. A
close or a violation is in `ending`. Nothing is raised.

There are two decoders. `Decoder` copies: its messages belong to its caller. `BorrowingDecoder`
copies only what is masked: its messages are parts of a buffer that its caller keeps and refills.

Both take masked and unmasked frames alike: the C vpn-ws client sends its pings unmasked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from vpnws.wire.buffer import Buffer
from vpnws.wire.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    INVALID_DATA,
    MASKED,
    MAX_CONTROL_BYTES,
    MAX_FRAGMENTS,
    MESSAGE_TOO_BIG,
    PING,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    UNSUPPORTED_DATA,
    Ending,
    apply_mask,
    read_close,
)

_FIN_BINARY: Final = FIN | BINARY
_OPCODES: Final = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))

Unmasked = TypeVar("Unmasked", bound=Buffer)
"""What a decoder makes of a payload that is not masked; of a masked one it makes bytes."""


@dataclass(slots=True)
class ReceiveState:
    """What has been received and not yet returned: plain data that can move to another process."""

    uncut: bytearray = field(default_factory=bytearray)
    """Bytes after the last whole frame."""
    fragments: list[bytes] = field(default_factory=list)
    """Payloads of the unfinished message, in order."""
    fragments_opcode: int | None = None
    """Opcode of the unfinished message; None when there is none."""
    fragments_bytes: int = 0
    """Sum of the lengths in `fragments`."""

    def forget_fragments(self) -> None:
        """Forget the unfinished message."""
        self.fragments.clear()
        self.fragments_opcode, self.fragments_bytes = None, 0


class _Decoder(Generic[Unmasked]):
    """Cuts one connection's received bytes into messages, control frames and an ending."""

    __slots__ = (
        "_accept_text",
        "_max_message_bytes",
        "ending",
        "others",
        "ping",
        "pongs",
        "state",
        "texts",
    )

    def __init__(
        self,
        max_message_bytes: int,
        *,
        accept_text: bool = False,
        state: ReceiveState | None = None,
    ) -> None:
        """`max_message_bytes` bounds a message with all its fragments; `state` resumes a stream.

        With `accept_text`, whole text messages are put into `texts`, which the caller empties;
        without it, a text message ends the stream with 1003. `state` holds less than
        `max_message_bytes` and one control frame together.
        """
        self._max_message_bytes = max_message_bytes
        self._accept_text = accept_text
        self.state = state if state is not None else ReceiveState()
        self.ping: bytes | None = None
        self.pongs = 0  # How many pongs the peer has sent.
        self.texts: list[str] = []
        self.ending: Ending | None = None
        self.others = 0  # Fragments and control frames; the caller that counts them resets it.

    def take_ping(self) -> bytes | None:
        """Return the payload of the newest ping not yet answered, once."""
        payload, self.ping = self.ping, None
        return payload

    def _unmasked(self, payload: memoryview) -> Unmasked:
        """Return `payload` as this decoder returns it."""
        raise NotImplementedError

    def _cut(self, view: memoryview, messages: list[bytes | Unmasked]) -> int:
        """Cut whole frames off `view`; return how many bytes they had, all bytes at an ending."""
        start, end = 0, len(view)
        state = self.state
        room = self._max_message_bytes - state.fragments_bytes
        # A frame with this first byte is legal and needs no further check.
        plain = _FIN_BINARY if state.fragments_opcode is None else None
        while end - start >= 2:
            first, second = view[start], view[start + 1]
            length = second & 0x7F
            if first != plain and not self._legal(first, length):
                return end
            body = start + 2
            if length >= 126:
                body += 2 if length == 126 else 8
                if end < body:
                    break
                if length == 126:
                    length = view[start + 2] << 8 | view[start + 3]
                else:
                    length = int.from_bytes(view[start + 2 : body], "big")
            # Checked before the body is here. Control frames are short and not part of a message.
            if length > room and first & 0x0F < CLOSE:
                code = PROTOCOL_ERROR if length >= 1 << 63 else MESSAGE_TOO_BIG
                self._fail(code, f"a frame is longer than the {room} bytes its message may have")
                return end
            masked = second >= MASKED
            body += 4 if masked else 0
            stop = body + length
            if stop > end:
                break
            payload = view[body:stop]
            content: bytes | Unmasked = (
                apply_mask(payload, view[body - 4 : body]) if masked else self._unmasked(payload)
            )
            start = stop
            if first == plain:
                messages.append(content)
                continue
            self._take(first, content, messages)
            if self.ending is not None:
                return end
            room = self._max_message_bytes - state.fragments_bytes
            plain = _FIN_BINARY if state.fragments_opcode is None else None
        return start

    def _legal(self, first: int, length: int) -> bool:
        """Return whether a frame's first two bytes are legal (RFC 6455 5.2, 5.4, 5.5); else end."""
        opcode = first & 0x0F
        unfinished = self.state.fragments_opcode is not None
        if first & 0x70:
            return self._fail(PROTOCOL_ERROR, "a reserved bit is set")
        if opcode not in _OPCODES:
            return self._fail(PROTOCOL_ERROR, f"opcode {opcode} is not defined")
        if opcode >= CLOSE:
            if not first & FIN:
                return self._fail(PROTOCOL_ERROR, "a control frame is fragmented")
            if length > MAX_CONTROL_BYTES:
                return self._fail(PROTOCOL_ERROR, "a control frame is longer than 125 bytes")
            return True
        if opcode == CONTINUATION:
            return unfinished or self._fail(PROTOCOL_ERROR, "a continuation continues nothing")
        if unfinished:
            return self._fail(PROTOCOL_ERROR, "a message began inside another")
        is_refused = opcode == TEXT and not self._accept_text
        return not is_refused or self._fail(UNSUPPORTED_DATA, "text is not an Ethernet frame")

    def _take(
        self, first: int, content: bytes | Unmasked, messages: list[bytes | Unmasked]
    ) -> None:
        """Act on any whole frame except an unfragmented binary message."""
        self.others += 1
        opcode = first & 0x0F
        if opcode == PING:
            self.ping = bytes(content)
        elif opcode == CLOSE:
            self._end(read_close(bytes(content)))
        elif opcode == PONG:
            self.pongs += 1
        else:
            self._take_fragment(first, bytes(content), messages)

    def _take_fragment(self, first: int, content: bytes, messages: list[bytes | Unmasked]) -> None:
        state, opcode = self.state, first & 0x0F
        if opcode != CONTINUATION:
            state.fragments_opcode = opcode
        state.fragments.append(content)
        state.fragments_bytes += len(content)
        if len(state.fragments) > MAX_FRAGMENTS:
            self._fail(MESSAGE_TOO_BIG, f"a message has more than {MAX_FRAGMENTS} fragments")
        elif first & FIN:
            self._finish_message(messages)

    def _finish_message(self, messages: list[bytes | Unmasked]) -> None:
        state = self.state
        opcode, whole = state.fragments_opcode, b"".join(state.fragments)
        state.forget_fragments()
        if opcode == BINARY:
            messages.append(whole)
            return
        try:
            self.texts.append(whole.decode())
        except UnicodeDecodeError:
            self._fail(INVALID_DATA, "a text message is not UTF-8")

    def _fail(self, code: int, reason: str) -> bool:
        return self._end(Ending(code, reason, by_peer=False))

    def _end(self, ending: Ending) -> bool:
        self.ending = ending
        self.state.forget_fragments()
        return False


class Decoder(_Decoder[bytes]):
    """Returns messages that belong to the caller."""

    __slots__ = ()

    def feed(self, data: Buffer) -> list[bytes]:
        """Take the next received bytes; return the binary messages that they complete.

        `data` is not kept. Messages before a violation are returned; everything after it is
        ignored.
        """
        uncut = self.state.uncut
        return self.feed_behind(memoryview(bytes(uncut) + data if uncut else data))

    def lay_out(self, buffer: memoryview) -> int:
        """Put the uncut bytes at the front of `buffer`; return their length. Read on after them."""
        uncut = self.state.uncut
        if uncut:
            buffer[: len(uncut)] = uncut
        return len(uncut)

    def feed_behind(self, view: memoryview) -> list[bytes]:
        """Do what `feed` does; `view` holds what `lay_out` put there, then the next bytes."""
        messages: list[bytes] = []
        if self.ending is None:
            cut, uncut = self._cut(view, messages), self.state.uncut
            if uncut or cut < len(view):
                uncut[:] = view[cut:]
        return messages

    def _unmasked(self, payload: memoryview) -> bytes:
        return bytes(payload)


class BorrowingDecoder(_Decoder[Buffer]):
    """Cuts unmasked messages out of a buffer that its caller keeps and refills.

    A fragmented message is put together in memory of its own, and a masked one is unmasked there.
    """

    __slots__ = ()

    def cut(self, view: memoryview) -> tuple[list[Buffer], int]:
        """Return the binary messages that are whole in `view`, and how many bytes to drop from it.

        Pass in the rest again, with what follows it. The messages are valid until the bytes of
        `view` change. Once `ending` is set everything is ignored.
        """
        messages: list[Buffer] = []
        if self.ending is not None:
            return messages, len(view)
        return messages, self._cut(view, messages)

    def _unmasked(self, payload: memoryview) -> memoryview:
        return payload

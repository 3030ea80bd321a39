"""RFC 6455 data framing without I/O: a decoder for received bytes, encoders for bytes to send.

Theory of operation. A connection's received bytes go through one `Decoder`. It cuts frames off
the front of the stream, unmasks them, puts fragments together and hands out whole binary
messages; what it cannot yet cut stays in its `ReceiveState`, which is plain data and all that
another process would need to go on, once `ping`, `texts` and `ending` have been acted on.
Control frames never reach the caller as messages: the payload of the newest unanswered ping
stands in `ping` (RFC 6455 5.5.3 lets an endpoint answer only that one, which bounds what a flood
of pings can make us send), a close or a violation in `ending`. Nothing is raised.

It takes masked and unmasked frames alike: the C vpn-ws client sends its pings unmasked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

from websockets.speedups import apply_mask

Buffer: TypeAlias = "bytes | bytearray | memoryview"

# Its stub allows no memoryview as the key, its C code takes one and spares us a copy.
_mask: Final = cast("Any", apply_mask)

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
FIN: Final = 0x80
MASKED: Final = 0x80
MAX_CONTROL_BYTES: Final = 125
"""A control frame with a longer payload ends the port with 1002 (RFC 6455 5.5)."""
MAX_FRAGMENTS: Final = 1024
"""A message of more ends the port with 1009: empty ones never reach the bound on its size."""

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
NO_STATUS: Final = 1005
ABNORMAL: Final = 1006
INVALID_DATA: Final = 1007
MESSAGE_TOO_BIG: Final = 1009
SERVICE_RESTART: Final = 1012
TRY_AGAIN_LATER: Final = 1013

_FIN_BINARY: Final = FIN | BINARY
_OPCODES: Final = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a stream of messages is over: a close code, a reason, and whose idea it was."""

    code: int
    reason: str
    by_peer: bool


@dataclass(slots=True)
class ReceiveState:
    """What has been received and not yet handed out; plain data, kept apart so it can move."""

    uncut: bytearray = field(default_factory=bytearray)
    """Bytes after the last whole frame."""
    fragments: list[bytes] = field(default_factory=list)
    """Payloads of the unfinished message, in order."""
    fragments_opcode: int | None = None
    """Opcode of the unfinished message; None when there is none."""
    fragments_bytes: int = 0
    """Sum of the lengths in `fragments`."""

    def forget_fragments(self) -> None:
        """Be between two messages again."""
        self.fragments.clear()
        self.fragments_opcode, self.fragments_bytes = None, 0


class Decoder:
    """Cuts one connection's received bytes into messages, control frames and an ending."""

    __slots__ = ("_accept_text", "_max_message_bytes", "ending", "others", "ping", "state", "texts")
    _own: Any = bytes  # Makes an unmasked payload the receiver's own.

    def __init__(
        self,
        max_message_bytes: int,
        *,
        accept_text: bool = False,
        state: ReceiveState | None = None,
    ) -> None:
        """`max_message_bytes` bounds a message, fragments together; `state` resumes a stream.

        With `accept_text` whole text messages are put into `texts`, which the caller empties;
        without it a text message ends the stream with 1003. `state` holds less than
        `max_message_bytes` and one control frame.
        """
        self._max_message_bytes = max_message_bytes
        self._accept_text = accept_text
        self.state = state if state is not None else ReceiveState()
        self.ping: bytes | None = None
        self.texts: list[str] = []
        self.ending: Ending | None = None
        self.others = 0  # Fragments and control frames; whoever counts them sets it back.

    def feed(self, data: Buffer) -> list[bytes]:
        """Take the next received bytes; return the binary messages they completed.

        `data` is not kept. Messages before a violation are returned; after it all is ignored.
        """
        uncut = self.state.uncut
        return self.feed_behind(memoryview(bytes(uncut) + data if uncut else data))

    def lay_out(self, buffer: memoryview) -> int:
        """Put what is uncut at the front of `buffer`; return its length: read on behind it."""
        buffer[: len(self.state.uncut)] = self.state.uncut
        return len(self.state.uncut)

    def feed_behind(self, view: memoryview) -> list[bytes]:
        """Do as `feed` does; in `view` stand what `lay_out` put there and the next bytes."""
        messages: list[bytes] = []
        if self.ending is None:
            cut = self._cut(view, messages)
            self.state.uncut[:] = view[cut:]
        return messages

    def take_ping(self) -> bytes | None:
        """Return the payload of the newest ping not yet answered, once."""
        payload, self.ping = self.ping, None
        return payload

    def _cut(self, view: memoryview, messages: list[bytes]) -> int:
        """Cut whole frames off `view`; return how many bytes they took, at an ending all."""
        start, end = 0, len(view)
        state = self.state
        room = self._max_message_bytes - state.fragments_bytes
        # The first byte that needs no judging, while no message is unfinished.
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
            # Before the body is here; a control frame is short and part of no message.
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
            content = _mask(payload, view[body - 4 : body]) if masked else self._own(payload)
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
        """Judge a frame by its first two bytes (RFC 6455 5.2, 5.4, 5.5); an illegal one ends."""
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

    def _take(self, first: int, content: bytes, messages: list[bytes]) -> None:
        """Act on any whole frame but an unfragmented binary message."""
        self.others += 1
        opcode = first & 0x0F
        if opcode == PING:
            self.ping = content
        elif opcode == CLOSE:
            self._end(_read_close(content))
        elif opcode != PONG:
            self._take_fragment(first, content, messages)

    def _take_fragment(self, first: int, content: bytes, messages: list[bytes]) -> None:
        state, opcode = self.state, first & 0x0F
        if opcode != CONTINUATION:
            state.fragments_opcode = opcode
        state.fragments.append(content)
        state.fragments_bytes += len(content)
        if len(state.fragments) > MAX_FRAGMENTS:
            self._fail(MESSAGE_TOO_BIG, f"a message has more than {MAX_FRAGMENTS} fragments")
        elif first & FIN:
            self._finish_message(messages)

    def _finish_message(self, messages: list[bytes]) -> None:
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


def encode_header(opcode: int, length: int, *, masked: bool = False) -> bytes:
    """Return the header of a final frame with `length` bytes of payload, without its mask key."""
    mask_bit = MASKED if masked else 0
    if length < 126:
        return bytes((FIN | opcode, mask_bit | length))
    if length < 65536:
        return bytes((FIN | opcode, mask_bit | 126, length >> 8, length & 0xFF))
    return bytes((FIN | opcode, mask_bit | 127)) + length.to_bytes(8, "big")


def encode(opcode: int, payload: bytes) -> bytes:
    """Return a final, unmasked frame: what a server sends."""
    return encode_header(opcode, len(payload)) + payload


_SHORT_HEADERS: Final = tuple(encode_header(BINARY, length) for length in range(2048))


def encode_binary(payload: bytes) -> bytes:
    """Return `payload` as one unmasked binary message; the hot path of every egress port."""
    length = len(payload)
    if length < 2048:
        return _SHORT_HEADERS[length] + payload
    return encode_header(BINARY, length) + payload


def encode_masked(opcode: int, payload: bytes, key: bytes) -> bytes:
    """Return a final frame masked with the 4-byte `key`: what a client sends (RFC 6455 5.3)."""
    return encode_header(opcode, len(payload), masked=True) + key + apply_mask(payload, key)


def close_payload(code: int, reason: str) -> bytes:
    """Return the payload of a close frame; the reason is cut to what fits (RFC 6455 5.5.1).

    It is empty for a code that must not be sent, such as 1005 and 1006 (7.4.1).
    """
    if not _may_be_sent(code):
        return b""
    text = reason.encode(errors="replace")[: MAX_CONTROL_BYTES - 2].decode(errors="ignore").encode()
    return code.to_bytes(2, "big") + text


def _read_close(content: bytes) -> Ending:
    """Read a received close frame (RFC 6455 5.5.1, 7.4): our answer's code is in the ending."""
    if not content:
        return Ending(NO_STATUS, "", by_peer=True)
    code = int.from_bytes(content[:2], "big")
    if len(content) == 1 or not _may_be_sent(code):
        return Ending(PROTOCOL_ERROR, "a close frame has no valid code", by_peer=False)
    try:
        return Ending(code, content[2:].decode(), by_peer=True)
    except UnicodeDecodeError:
        return Ending(INVALID_DATA, "a close reason is not UTF-8", by_peer=False)


def _may_be_sent(code: int) -> bool:
    """Tell whether `code` may stand in a close frame (RFC 6455 7.4.1 and the IANA registry)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999

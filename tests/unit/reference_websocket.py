"""The same bytes read by two parsers, ours and the `websockets` library's, in one vocabulary."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from tests.support.raw_frames import apply_key
from vpnws.wire import websocket
from vpnws.wire.decoder import Decoder

if TYPE_CHECKING:
    from collections.abc import Iterable

MAXIMUM_BYTES: Final = 1 << 20
KEY: Final = b"\x37\xfa\x21\x3d"
CONTROL_FRAME_BYTES: Final = 2 + 4 + 125
"""The longest control frame: two header bytes, the mask key, the payload."""


@dataclass
class Reading:
    """What a parser understood of a stream."""

    messages: list[bytes] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    ping: bytes | None = None
    """Payload of the newest ping."""
    code: int | None = None
    """Close code of the ending; None while the stream goes on."""
    by_peer: bool = False


class OurReader:
    """Our decoder, with everything it hands out kept in a `Reading`."""

    def __init__(self, maximum_bytes: int = MAXIMUM_BYTES, *, accept_text: bool = True) -> None:
        self.reading = Reading()
        self.decoder = Decoder(maximum_bytes, accept_text=accept_text)
        self._maximum_bytes = maximum_bytes
        self._accept_text = accept_text

    def read(self, chunk: bytes | bytearray | memoryview) -> None:
        """Feed one chunk and take out what came of it, as a caller would."""
        reading, decoder = self.reading, self.decoder
        reading.messages += decoder.feed(chunk)
        reading.texts += decoder.texts
        decoder.texts.clear()
        ping = decoder.take_ping()
        reading.ping = reading.ping if ping is None else ping
        if decoder.ending is not None:
            reading.code, reading.by_peer = decoder.ending.code, decoder.ending.by_peer

    def move(self) -> None:
        """Go on in a new decoder that has only a copy of the old one's state."""
        if self.decoder.ending is None:
            state = pickle.loads(pickle.dumps(self.decoder.state))
            self.decoder = Decoder(self._maximum_bytes, accept_text=self._accept_text, state=state)

    def kept_bytes(self) -> int:
        """Return how many received bytes the state holds on to."""
        state = self.decoder.state
        return len(state.uncut) + sum(map(len, state.fragments))


def we_read(
    chunks: Iterable[bytes], maximum_bytes: int = MAXIMUM_BYTES, *, accept_text: bool = True
) -> Reading:
    """Return what our decoder makes of `chunks`."""
    reader = OurReader(maximum_bytes, accept_text=accept_text)
    for chunk in chunks:
        reader.read(chunk)
    return reader.reading


class Oracle:
    """The library's sans-I/O parser; `masked` tells it to sit at the server's end."""

    def __init__(self, maximum_bytes: int = MAXIMUM_BYTES, *, masked: bool = True) -> None:
        side = Side.SERVER if masked else Side.CLIENT
        self.protocol = Protocol(side, max_size=maximum_bytes)
        self.frames: list[Frame] = []

    def read(self, data: bytes) -> None:
        """Take `data` in; the frames it completed are appended to `frames`."""
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            assert isinstance(event, Frame)
            self.frames.append(event)

    @property
    def error(self) -> str:
        """Why the parser gave up, in the library's words; empty if it did not."""
        return str(self.protocol.parser_exc or "")

    def reading(self) -> Reading:
        """Return what the library made of the stream, messages put together the plain way."""
        reading = Reading()
        opcode, parts = None, []
        for frame in self.frames:
            if frame.opcode is Opcode.PING:
                reading.ping = bytes(frame.data)
            if frame.opcode in (Opcode.CONT, Opcode.TEXT, Opcode.BINARY):
                opcode = opcode if frame.opcode is Opcode.CONT else frame.opcode
                parts.append(bytes(frame.data))
                if not frame.fin:
                    continue
                if opcode is Opcode.BINARY:
                    reading.messages.append(b"".join(parts))
                elif not _add_text(reading, b"".join(parts)):
                    return reading
                parts = []
        self._add_ending(reading)
        return reading

    def _add_ending(self, reading: Reading) -> None:
        if self.protocol.parser_exc is not None:
            assert self.protocol.close_sent is not None
            reading.code = self.protocol.close_sent.code
        elif self.protocol.close_rcvd is not None:
            reading.code, reading.by_peer = self.protocol.close_rcvd.code, True


def _add_text(reading: Reading, payload: bytes) -> bool:
    """Add a text message; the library judges UTF-8 above its parser, so here it is done for it."""
    try:
        reading.texts.append(payload.decode())
    except UnicodeDecodeError:
        reading.code = websocket.INVALID_DATA
        return False
    return True


def oracle_reads(
    stream: bytes, maximum_bytes: int = MAXIMUM_BYTES, *, masked: bool = True
) -> Reading:
    """Return what the library makes of `stream`."""
    oracle = Oracle(maximum_bytes, masked=masked)
    oracle.read(stream)
    return oracle.reading()


def header(first: int, length: int, form: int = 0, *, masked: bool = True) -> bytes:
    """Write a frame header without its key, with a length form of at least `form` (0, 126, 127)."""
    mask_bit = 0x80 if masked else 0
    if form <= 125 and length <= 125:
        return bytes([first, mask_bit | length])
    if form <= 126 and length <= 65535:
        return bytes([first, mask_bit | 126]) + length.to_bytes(2, "big")
    return bytes([first, mask_bit | 127]) + length.to_bytes(8, "big")


def frame(first: int, payload: bytes = b"", key: bytes | None = KEY, form: int = 0) -> bytes:
    """Write a frame whose first byte is `first`, masked with `key` unless None."""
    head = header(first, len(payload), form, masked=key is not None)
    return head + (key or b"") + apply_key(key or b"", payload)


def patterned(length: int) -> bytes:
    """Return `length` bytes whose pattern is in step with neither mask nor power of two."""
    return (bytes(range(251)) * (length // 251 + 1))[:length]

"""One WebSocket after its handshake: frames become messages and back; buffers are bounded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from vpnws.wire.websocket import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    Decoder,
    Ending,
    ReceiveState,
    close_payload,
    encode_masked,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.client.stream import Stream

MAX_MESSAGE_BYTES: Final = 131072
"""Twice what any Ethernet frame can be; a longer message ends the connection with 1009."""
RECEIVE_BYTES: Final = 65536
READS_PER_TURN: Final = 8
"""Most reads before the TAP gets its turn again."""
KEYS_PER_BLOCK: Final = 1024
KEY_BYTES: Final = 4


@dataclass(slots=True)
class ConnectionRecord:
    """What a connection needs to go on: plain data, apart from the code that serves it."""

    received: ReceiveState = field(default_factory=ReceiveState)
    """Bytes not yet cut into messages."""
    unsent: bytearray = field(default_factory=bytearray)
    """Bytes the stream has not taken yet: one batch of frames and a control frame at most."""
    close_sent: bool = False


class MaskKeys:
    """Unpredictable mask keys (RFC 6455 5.3 and 10.3), drawn from the kernel in blocks."""

    def __init__(self) -> None:
        self._block = b""
        self._at = 0

    def take(self) -> bytes:
        """Return 4 bytes that were never returned before."""
        at = self._at
        if at == len(self._block):
            self._block = os.urandom(KEYS_PER_BLOCK * KEY_BYTES)
            at = 0
        self._at = at + KEY_BYTES
        return self._block[at : self._at]


class Connection:
    """Sends and receives whole messages over a non-blocking stream; owns and closes the stream."""

    def __init__(self, stream: Stream, record: ConnectionRecord) -> None:
        """`record` is new, with the bytes that came early in `received`, or an old one's."""
        self.fd = stream.fd
        self.record = record
        self.received_bytes = 0
        """Bytes read so far: when it grows, the server lives."""
        self.failure = ""
        """Why the stream cannot be used any more, if it cannot."""
        self._stream = stream
        self._decoder = Decoder(MAX_MESSAGE_BYTES, state=record.received)
        self._keys = MaskKeys()
        self._buffer = memoryview(bytearray(RECEIVE_BYTES))

    @property
    def ending(self) -> Ending | None:
        """The server's close, or its breach of the protocol; None while all is well."""
        return self._decoder.ending

    @property
    def is_over(self) -> bool:
        """Tell whether nothing more will be received."""
        return bool(self.failure) or self._decoder.ending is not None

    def take_early(self) -> list[bytes]:
        """Return the messages that the record already holds in full."""
        return self._decoder.feed(b"")

    def receive(self) -> list[bytes]:
        """Return the messages that can be had now; look at `is_over` afterwards."""
        messages: list[bytes] = []
        for _ in range(READS_PER_TURN):
            count = self._read()
            if not count:
                break
            self.received_bytes += count
            messages += self._decoder.feed(self._buffer[:count])
        return messages

    def send_frames(self, frames: Iterable[bytes]) -> None:
        """Send each Ethernet frame as one binary message, all in one write if the stream takes it.

        Call it only while `record.unsent` is empty: that is what bounds it.
        """
        take = self._keys.take
        self._send(b"".join([encode_masked(BINARY, frame, take()) for frame in frames]))

    def ping(self) -> None:
        """Ask for a sign of life, unless unsent bytes show that nothing would come through."""
        if not self.record.unsent:
            self._send(encode_masked(PING, b"", self._keys.take()))

    def answer_ping(self) -> None:
        """Answer the newest ping with its payload (RFC 6455 5.5.3), as soon as there is room."""
        if self.record.unsent or self._decoder.ping is None:
            return
        payload = self._decoder.take_ping() or b""
        self._send(encode_masked(PONG, payload, self._keys.take()))

    def send_close(self, code: int, reason: str = "") -> None:
        """Send the one close frame that a connection may send (RFC 6455 5.5.1)."""
        if not self.record.close_sent:
            self.record.close_sent = True
            self._send(encode_masked(CLOSE, close_payload(code, reason), self._keys.take()))

    def flush(self) -> None:
        """Write what is unsent, as far as the stream takes it."""
        unsent = self.record.unsent
        while unsent and not self.failure:
            written = self._write(unsent)
            if not written:
                break
            del unsent[:written]

    def has_pending(self) -> bool:
        """Tell whether received bytes wait where the descriptor does not show them."""
        return self._stream.has_pending()

    def events(self) -> int:
        """Return what to wait for on `fd` (the same bits in select.poll and select.epoll)."""
        events = self._stream.events_to_read()
        return events | self._stream.events_to_write() if self.record.unsent else events

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def _send(self, data: bytes) -> None:
        unsent = self.record.unsent
        unsent += data if unsent else self._write_now(data)

    def _write_now(self, data: bytes) -> memoryview:
        """Write `data` as far as the stream takes it; return the rest."""
        rest = memoryview(data)
        while rest and not self.failure:
            written = self._write(rest)
            if not written:
                break
            rest = rest[written:]
        return rest

    def _read(self) -> int | None:
        try:
            count = self._stream.read_into(self._buffer)
        except OSError as error:
            self._fail(error)
            return None
        if count == 0:
            self.failure = "the server hung up without a word"
        return count

    def _write(self, data: bytearray | memoryview) -> int:
        try:
            return self._stream.write(data)
        except OSError as error:
            self._fail(error)
            return 0

    def _fail(self, error: OSError) -> None:
        self.failure = f"the connection broke: {error.strerror or error}"

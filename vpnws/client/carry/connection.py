"""One WebSocket after its handshake: sends and receives messages, with bounded buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.client.carry.masking import MaskKeys, encode_masked_room
from vpnws.client.round_trip import RoundTrip
from vpnws.poller import READ, WRITE
from vpnws.wire.decoder import BorrowingDecoder
from vpnws.wire.websocket import BINARY, CLOSE, PING, PONG, close_payload, encode_masked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.client.carry.stream import Stream
    from vpnws.wire.buffer import Buffer
    from vpnws.wire.websocket import Ending

MAX_MESSAGE_BYTES: Final = 131072
"""Twice the longest Ethernet frame. A longer message ends the connection with 1009."""
RECEIVE_BYTES: Final = 2 * MAX_MESSAGE_BYTES
"""The buffer for received bytes: the longest message, and as much again."""


class Connection:
    """Sends and receives whole messages over a non-blocking stream; owns and closes the stream."""

    def __init__(
        self,
        stream: Stream,
        early: bytes = b"",
        *,
        has_offload: bool = False,
        answers_pings: bool = False,
    ) -> None:
        """`early` are the bytes that arrived after the handshake's response.

        With `has_offload` both ends speak vpnws.offload.1: a binary message holds records, and the
        server may send text. `answers_pings` says that the server is known to answer pings.
        """
        self.fd = stream.fd
        self.has_offload = has_offload
        self._answers_pings = answers_pings or has_offload
        self.received_bytes = 0
        """Bytes read so far; the server is alive while this grows."""
        self.round_trip = RoundTrip()
        """How long the server takes to answer pings; whoever sends them keeps it."""
        self.failure = ""
        """Why the stream can no longer be used; empty while it can."""
        self.has_pending = stream.has_pending
        """Returns whether received bytes wait where the descriptor does not show them."""
        self._stream = stream
        self._decoder = BorrowingDecoder(MAX_MESSAGE_BYTES, accept_text=has_offload)
        self._keys = MaskKeys()
        self._buffer = memoryview(bytearray(RECEIVE_BYTES))
        self._buffer[: len(early)] = early
        # The received bytes that are not decoded yet are in the buffer from start to end.
        self._start, self._end = 0, len(early)
        self._close_sent = False

    @property
    def peer_address(self) -> str:
        """The IP address that this is connected to, empty if it is not known."""
        return self._stream.peer_address

    @property
    def ending(self) -> Ending | None:
        """The server's close frame, or how it broke the protocol; None if it did neither."""
        return self._decoder.ending

    @property
    def is_over(self) -> bool:
        """Return whether nothing more will be received."""
        return bool(self.failure) or self._decoder.ending is not None

    @property
    def answers_pings(self) -> bool:
        """Whether the server is known to answer pings: it has said so, or done so."""
        return self._answers_pings or self._decoder.pongs > 0

    @property
    def pongs(self) -> int:
        """How many pings the server has answered."""
        return self._decoder.pongs

    @property
    def has_unsent(self) -> bool:
        """Whether bytes are still unsent: at most those of a batch and a control frame."""
        return self._stream.has_unsent

    @property
    def unsent_bytes(self) -> int:
        """How many bytes are still unsent."""
        return self._stream.unsent_bytes

    def unacknowledged_s(self) -> float | None:
        """Return for how long the peer's TCP has acknowledged nothing, None if nobody knows."""
        return self._stream.unacknowledged_s()

    def take_early(self) -> list[Buffer]:
        """Return the messages that are complete in the early bytes."""
        return self._cut()

    def take_texts(self) -> list[str]:
        """Return the text messages received since the last call."""
        texts = self._decoder.texts
        if texts:
            self._decoder.texts = []
        return texts

    def receive(self) -> list[Buffer]:
        """Read once; return the messages that are complete. They are valid until the next call.

        Check `is_over` afterwards.
        """
        start, count = self._start, self._end - self._start
        if start:
            self._buffer[:count] = self._buffer[start : self._end]
            self._start, self._end = 0, count
        self._end += self._read(self._buffer[count:])
        return self._cut()

    def send_frames(self, frames: Iterable[bytes]) -> None:
        """Send each Ethernet frame as a binary message, all of them in one write.

        Call it only while nothing is unsent: this bounds how much can be unsent.
        """
        take = self._keys.take
        self._send(b"".join([encode_masked(BINARY, frame, take()) for frame in frames]))

    def write_message(self, room: memoryview) -> None:
        """Prepare a binary message; the next `flush` sends it.

        `room` is masking.HEAD_ROOM_BYTES that may be overwritten, then the payload. Call it for a
        bounded batch, and only if the last `flush` left nothing unsent: this bounds how much can
        be unsent.
        """
        self._write(encode_masked_room(room, self._keys.take()))

    def ping(self) -> None:
        """Send a ping, behind what is unsent: a link that is always full is asked too."""
        self._send(encode_masked(PING, b"", self._keys.take()))

    def answer_ping(self) -> None:
        """Answer the newest ping with its payload (RFC 6455 5.5.3), unless bytes are unsent."""
        if self._decoder.ping is None or self.has_unsent:
            return
        payload = self._decoder.take_ping() or b""
        self._send(encode_masked(PONG, payload, self._keys.take()))

    def send_close(self, code: int, reason: str = "") -> None:
        """Send the one close frame that a connection may send (RFC 6455 5.5.1)."""
        if not self._close_sent:
            self._close_sent = True
            self._send(encode_masked(CLOSE, close_payload(code, reason), self._keys.take()))

    def flush(self) -> None:
        """Send the unsent bytes, as many as the stream takes."""
        if self.failure:
            return
        try:
            self._stream.flush()
        except OSError as error:
            self._fail(error)

    def events(self) -> int:
        """Return what to wait for on `fd` (of vpnws.poller)."""
        return READ | WRITE if self._stream.has_unsent else READ

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def _cut(self) -> list[Buffer]:
        messages, cut = self._decoder.cut(self._buffer[self._start : self._end])
        self._start += cut
        return messages

    def _send(self, data: bytes) -> None:
        self._write(data)
        self.flush()

    def _read(self, buffer: memoryview) -> int:
        try:
            count = self._stream.read_into(buffer)
        except OSError as error:
            self._fail(error)
            return 0
        if count == 0:
            self.failure = (
                "the server hung up without a word (if it does so again and again after the same"
                " time, a proxy on the way closes connections that are idle)"
            )
        self.received_bytes += count or 0
        return count or 0

    def _write(self, data: bytes) -> None:
        if self.failure:
            return
        try:
            self._stream.write(data)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self.failure = f"the connection broke: {error.strerror or error}"

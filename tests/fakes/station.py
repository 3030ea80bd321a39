"""A station at the other end of a wire: it speaks WebSocket, with records if they are chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.frames import take_frame
from tests.support.raw_frames import BINARY, CLOSE, PING, PONG, TEXT, Frame, encode_frame
from vpnws.wire.offer import Offer, decode
from vpnws.wire.records import LENGTH_BYTES, NOTHING_TO_DO, PREFIX_BYTES, SUBPROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.manual_loop import ManualLoop
    from tests.fakes.uwsgi import Request
    from tests.fakes.watchers import ManualWatcher
    from tests.fakes.wire import Wire


class Station:
    """A station at the other end of a connection: it answers, keeps what it gets, and sends."""

    def __init__(self, loop: ManualLoop, wire: Wire, request: Request, worker: int) -> None:
        self.wire = wire
        self.request = request
        self.worker = worker
        self.answers = True
        """Whether it answers pings and close frames."""
        self.head = ""
        self.controls: list[Frame] = []
        self.is_hung_up = False
        """Whether the connection has ended, one way or the other."""
        self._world = loop
        self._end = wire.far
        self._messages: list[bytes] = []
        self._data = bytearray()
        self._unsent = bytearray()
        self._loop = loop.fork()
        self._reader: ManualWatcher | None = None
        self._writer: ManualWatcher | None = None
        self.read_again()

    @property
    def status(self) -> str:
        """The first line of the answer to its request, without the version."""
        return self.head.partition("\r\n")[0].partition(" ")[2]

    @property
    def has_records(self) -> bool:
        """Whether the server chose records (vpnws.offload.1)."""
        return f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n" in self.head

    @property
    def close_code(self) -> int | None:
        """The code of the close frame that came, if one has."""
        codes = [frame.close_code for frame in self.controls if frame.opcode == CLOSE]
        return codes[0] if codes else None

    def notices(self) -> list[str]:
        """Return the notices that have come."""
        return [offer.notice for offer in self.offers() if offer.notice]

    def offers(self) -> list[Offer]:
        """Return what has come in texts."""
        texts = [frame.payload for frame in self.controls if frame.opcode == TEXT]
        found = [decode(text.decode()) for text in texts]
        return [offer for offer in found if offer is not None]

    def send(self, *frames: bytes) -> None:
        """Send frames, each a message or all of them records of one message."""
        if self.has_records:
            self.send_messages(b"".join(record_of(frame) for frame in frames))
        else:
            self.send_messages(*frames)

    def send_messages(self, *messages: bytes) -> None:
        """Send binary messages: as much as there is room for now, the rest later."""
        self.send_bytes(b"".join(encode_frame(BINARY, message) for message in messages))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._unsent += data
        self._write()
        self._world.settle()

    def received(self) -> list[bytes]:
        """Take the frames that have come; each must be complete."""
        messages, self._messages = self._messages, []
        return [frame for message in messages for frame in self._frames_of(message)]

    def stop_reading(self) -> None:
        """Read nothing until `read_again`."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def read_again(self) -> None:
        """Read whatever comes."""
        self._reader = self._loop.on_readable(self._end.fileno(), self._read)

    def leave(self, code: int = 1000) -> None:
        """Close politely (RFC 6455 7.1.2)."""
        self.send_bytes(encode_frame(CLOSE, code.to_bytes(2, "big")))

    def hang_up(self) -> None:
        """Close the connection without a word."""
        self._loop.kill()
        self._reader = self._writer = None
        self._end.close()
        self.is_hung_up = True
        self._world.settle()

    def _frames_of(self, message: bytes) -> Iterator[bytes]:
        if not self.has_records:
            yield message
            return
        while message:
            size = PREFIX_BYTES + int.from_bytes(message[:LENGTH_BYTES])
            record, message = message[:size], message[size:]
            assert record[LENGTH_BYTES:PREFIX_BYTES] == NOTHING_TO_DO
            yield record[PREFIX_BYTES:]

    def _read(self) -> None:
        try:
            data = self._end.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.stop_reading()
            self.is_hung_up = True
        self._data += data
        if not self.head and b"\r\n\r\n" in self._data:
            head, _, rest = bytes(self._data).partition(b"\r\n\r\n")
            self.head, self._data = head.decode() + "\r\n", bytearray(rest)
        while self.status.startswith("101") and (frame := take_frame(self._data)) is not None:
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        assert not frame.masked
        if frame.opcode == BINARY:
            self._messages.append(frame.payload)
            return
        self.controls.append(frame)
        answer = {PING: PONG, CLOSE: CLOSE}.get(frame.opcode)
        if answer is not None and self.answers:
            self._unsent += encode_frame(answer, frame.payload)
            self._write()

    def _write(self) -> None:
        try:
            while self._unsent:
                count = self._end.send(self._unsent)
                del self._unsent[:count]
        except BlockingIOError:
            if self._writer is None:
                self._writer = self._loop.on_writable(self._end.fileno(), self._write)
            return
        except OSError:
            self._unsent.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def record_of(frame: bytes) -> bytes:
    """Return a complete frame as a record."""
    return len(frame).to_bytes(LENGTH_BYTES) + NOTHING_TO_DO + frame

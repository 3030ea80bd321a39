"""The two receivers: `stream` cuts a station's bytes itself, `native` lets uWSGI do it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from vpnws.server.port.session import MAX_UNCUT_BYTES
from vpnws.server.port.state import LinkState
from vpnws.wire import websocket
from vpnws.wire.decoder import Decoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.server.loop import Loop
    from vpnws.server.port.link import Link
    from vpnws.server.uwsgi import Uwsgi
    from vpnws.switch.forwarding import Switch
    from vpnws.wire.websocket import Ending

MAX_RECEIVE_BYTES: Final = 256 * 1024
"""`stream`: one read takes at most this much, then other stations have their turn."""
MIN_RECEIVE_BYTES: Final = 8 * 1024
"""`stream`: the smallest bound of one read that brings whole frames. A station that sends many
small frames gets shorter reads than one that sends large frames: its bytes cost more time."""
LARGE_FRAME_BYTES: Final = 256
"""`stream`: the next read is shorter when frames have fewer bytes than this on average."""
MAX_READ_ITEMS: Final = 256
"""`stream`: a read with more frames, fragments and control frames than this makes the next one
shorter, even below MIN_RECEIVE_BYTES: what has no bytes costs as much time as what has some."""
LEAST_RECEIVE_BYTES: Final = 512
"""`stream`: no read is shorter than this."""
MAX_BATCH_MESSAGES: Final = 256
"""`native` forwards at most this many messages, then other stations have their turn."""
MAX_BATCH_BYTES: Final = 65536
"""`native`: the same in bytes; one message more may come."""
WAIT_S: Final = 60.0
"""`native`: the longest wait for a connection. A frame, or the end of the port, ends it at once."""
PARTIAL: Final = b"\0"
"""What uWSGI returns in place of a fragment that is not the last one."""

_view = memoryview(bytearray(MAX_UNCUT_BYTES + MAX_RECEIVE_BYTES))


def receive_stream(loop: Loop, link: Link, switch: Switch) -> None:
    """Read `link` from the event loop and have `switch` forward its messages; returns at once."""
    link.read_with(StreamReceiver(loop, link, switch).read)


class StreamReceiver:
    """Reads one link, cuts its bytes into messages, and answers pings and close frames.

    All connections of the process are read into one buffer, so what is left uncut is copied out.
    """

    __slots__ = ("_decoder", "_link", "_loop", "_port", "_receive", "_size_bytes", "_switch")

    def __init__(self, loop: Loop, link: Link, switch: Switch) -> None:
        """Begin with what the link's session has received and not yet cut."""
        port = link.port
        self._loop = loop
        self._link = link
        self._port = port
        self._switch = switch
        self._receive = link.connection.recv_into
        self._decoder = Decoder(
            port.format.max_message_bytes(port.max_frame_bytes), state=link.session.received
        )
        self._size_bytes = MIN_RECEIVE_BYTES
        """How much the next read takes at most."""

    def read(self) -> None:
        """Read once and have the switch forward what is complete."""
        link, decoder = self._link, self._decoder
        uncut = decoder.lay_out(_view)
        try:
            count = self._receive(_view[uncut:] if uncut else _view, self._size_bytes)
        except BlockingIOError:
            return
        except OSError as error:
            link.lose(f"cannot read: {error.strerror}")
            return
        if not count:
            link.lose("the connection was closed without a close frame")
            return
        link.times.heard_s = now = self._loop.now()
        messages = decoder.feed_behind(_view[: uncut + count])
        frames = decoder.others
        if messages:
            frames += self._switch.receive(self._port, messages, now)
        decoder.others = 0
        self._size_bytes = _next_size(self._size_bytes, count, frames)
        if decoder.ping is not None:
            link.send_control(websocket.PONG, decoder.take_ping() or b"", now)
        if decoder.ending is not None:
            self._end(decoder.ending)

    def _end(self, ending: Ending) -> None:
        if ending.by_peer:
            self._link.answer_close(ending)
        else:
            self._link.end(ending.code, ending.reason)


def _next_size(size_bytes: int, count_bytes: int, items: int) -> int:
    """Return how much to read after a read of `count_bytes`, of at most `size_bytes`."""
    if items > MAX_READ_ITEMS:
        return max(LEAST_RECEIVE_BYTES, size_bytes // 2)
    if count_bytes < LARGE_FRAME_BYTES * items:
        return max(min(MIN_RECEIVE_BYTES, size_bytes), size_bytes // 2)
    if count_bytes == size_bytes:
        return min(MAX_RECEIVE_BYTES, size_bytes * 2)
    return size_bytes


def receive_native(loop: Loop, uwsgi: Uwsgi, link: Link, fd: int, switch: Switch) -> None:
    """Serve the current request's messages until its port ends; holds the request's core.

    `fd` is uWSGI's own descriptor of the connection: it stays open until the request is over.
    """
    has_more = False
    while link.state is LinkState.OPEN:
        if link.port.egress.begun:
            loop.wait_writable(fd, WAIT_S)
        elif has_more:
            # The descriptor does not show what uWSGI has read already.
            loop.let_others_run()
            has_more = _receive_ready(loop, uwsgi, link, switch)
        elif loop.wait_readable(fd, WAIT_S):
            has_more = _receive_ready(loop, uwsgi, link, switch)


def _receive_ready(loop: Loop, uwsgi: Uwsgi, link: Link, switch: Switch) -> bool:
    """Forward a batch; return whether there may be more behind it."""
    if link.state is not LinkState.OPEN or link.port.egress.begun:
        return True
    messages: list[bytes] = []
    has_more, end = _read_ready(uwsgi, link, messages)
    link.times.heard_s = now = loop.now()
    # uWSGI answers pings by itself, and while it waits to write the link may end.
    if messages and link.state is LinkState.OPEN:
        switch.receive(link.port, messages, now)
    if end is not None:
        end()
    return has_more


def _read_ready(
    uwsgi: Uwsgi, link: Link, messages: list[bytes]
) -> tuple[bool, Callable[[], None] | None]:
    """Read messages up to a batch; return whether there may be more, and what ends the link."""
    size_bytes = 0
    while len(messages) < MAX_BATCH_MESSAGES and size_bytes < MAX_BATCH_BYTES:
        try:
            message = uwsgi.receive_message()
        except OSError:
            return False, partial(link.lose, "the connection was closed")
        if not message:
            return False, None
        if message == PARTIAL:
            return False, partial(link.end, websocket.PROTOCOL_ERROR, "native takes no fragments")
        messages.append(message)
        size_bytes += len(message)
    return True, None

"""The two receivers: `stream` cuts a station's bytes itself, `native` lets uWSGI do it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.host import loop, uwsgi_api
from vpnws.wire import offload, websocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.host.link import Link

RECEIVE_MOST_BYTES: Final = 256 * 1024
RECEIVE_LEAST_BYTES: Final = 8 * 1024
"""One read takes between these, then other stations have their turn: much of a station that sends
large frames, little of one that sends many small ones, which are what costs time."""
LARGE_FRAME_BYTES: Final = 256
"""Messages of this length on average make the next read larger."""
BATCH_MOST: Final = 256
"""Messages that `native` forwards before other stations have their turn."""
WAIT_S: Final = 60.0
"""`native` is woken by its connection, also when the port ends; this only bounds a wait."""
PARTIAL: Final = b"\0"
"""What uWSGI returns in place of a fragment that is not the last one."""

_HELD_MOST_BYTES: Final = 2 * offload.MESSAGE_MOST_BYTES
"""More than is ever left uncut: the longest message and a control frame, with their headers."""
_view = memoryview(bytearray(_HELD_MOST_BYTES + RECEIVE_MOST_BYTES))


def receive_stream(
    link: Link, max_message_bytes: int, forward: Callable[[list[bytes]], int]
) -> None:
    """Read `link` from the event loop and `forward` its messages; returns at once.

    `forward` returns how many frames there were in them.

    Every connection of the process is read into one buffer: what is left uncut is copied out.
    """
    decoder = websocket.Decoder(max_message_bytes, state=link.session.received)
    size_bytes = RECEIVE_LEAST_BYTES

    def readable() -> None:
        nonlocal size_bytes
        try:
            held = decoder.lay_out(_view)
            count = link.connection.recv_into(_view[held:], size_bytes)
        except BlockingIOError:
            return
        except OSError as error:
            link.end(websocket.ABNORMAL, f"cannot read: {error.strerror}")
            return
        if not count:
            link.end(websocket.ABNORMAL, "the connection was closed without a close frame")
            return
        link.heard_s = loop.now()
        messages = decoder.feed_behind(_view[: held + count])
        frames = decoder.others + (forward(messages) if messages else 0)
        decoder.others = 0
        if count < LARGE_FRAME_BYTES * frames:
            size_bytes = max(RECEIVE_LEAST_BYTES, size_bytes // 2)
        elif count == size_bytes:
            size_bytes = min(RECEIVE_MOST_BYTES, size_bytes * 2)
        if decoder.ping is not None:
            link.send_control(websocket.PONG, decoder.take_ping() or b"")
        if decoder.ending is not None:
            _end(link, decoder.ending)

    link.read_with(readable)


def receive_native(link: Link, fd: int, forward: Callable[[list[bytes]], object]) -> None:
    """Serve the current request's messages until its port ends; holds the request's core.

    `fd` is uWSGI's own descriptor of the connection: it stays open until the request is over.
    """
    while not link.ended:
        if link.port.egress.begun:
            loop.wait_writable(fd, WAIT_S)
        elif loop.wait_readable(fd, WAIT_S):
            _receive_ready(link, forward)


def _receive_ready(link: Link, forward: Callable[[list[bytes]], object]) -> None:
    if link.ended or link.port.egress.begun:
        return
    messages: list[bytes] = []
    ending = _read_ready(messages)
    link.heard_s = loop.now()
    if messages:
        forward(messages)
    if ending is not None:
        _end(link, ending)


def _read_ready(messages: list[bytes]) -> websocket.Ending | None:
    while len(messages) < BATCH_MOST:
        try:
            message = uwsgi_api.receive_message()
        except OSError:
            return websocket.Ending(websocket.ABNORMAL, "the connection was closed", by_peer=True)
        if not message:
            return None
        if message == PARTIAL:
            return websocket.Ending(
                websocket.PROTOCOL_ERROR, "native takes no fragments", by_peer=False
            )
        messages.append(message)
    return None


def _end(link: Link, ending: websocket.Ending) -> None:
    reason = ending.reason or ("closed by the station" if ending.by_peer else "")
    link.end(ending.code, reason, by_peer=ending.by_peer)

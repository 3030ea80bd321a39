"""A stream inside another one: nothing is lost when the outer one is slow, and nothing hides."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from vpnws.client.carry.nested import NestedSocket, NestedStream, make_stream
from vpnws.client.carry.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL_BYTES = 4096


@pytest.fixture
def ends() -> Iterator[tuple[Stream, socket.socket]]:
    """An outer stream over a socket that takes little, and the socket's other end."""
    near, far = socket.socketpair()
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BYTES)
    far.setblocking(False)
    outer = Stream(near)
    yield outer, far
    outer.close()
    far.close()


def drain(far: socket.socket) -> bytes:
    """Read what has come."""
    got = b""
    try:
        while data := far.recv(65536):
            got += data
    except BlockingIOError:
        pass
    return got


def test_what_the_outer_stream_holds_back_counts_as_unsent(
    ends: tuple[Stream, socket.socket],
) -> None:
    outer, far = ends
    stream = make_stream(NestedSocket(outer))
    assert isinstance(stream, NestedStream)
    sent = [bytes((number,)) * 10_000 for number in range(20)]
    got = b""
    for data in sent:
        stream.write(data)
        stream.flush()
    assert stream.has_unsent
    assert stream.unsent_bytes > 100_000
    while stream.has_unsent:
        got += drain(far)
        stream.flush()
    assert stream.unsent_bytes == 0
    assert got + drain(far) == b"".join(sent)


def test_a_buffer_may_be_used_again_once_it_was_taken(ends: tuple[Stream, socket.socket]) -> None:
    outer, far = ends
    nested = NestedSocket(outer)
    buffer = bytearray(b"a" * 200_000)
    # Far more than the socket takes at once: the rest waits in the outer stream.
    assert nested.send(memoryview(buffer)) == len(buffer)
    buffer[:] = b"b" * len(buffer)
    with pytest.raises(BlockingIOError):
        nested.send(memoryview(buffer))
    got = b""
    while outer.has_unsent:
        got += drain(far)
        outer.flush()
    assert got + drain(far) == b"a" * len(buffer)


def test_it_reads_as_a_socket_does(ends: tuple[Stream, socket.socket]) -> None:
    outer, far = ends
    nested = NestedSocket(outer)
    buffer = memoryview(bytearray(10))
    with pytest.raises(BlockingIOError):
        nested.recv_into(buffer)
    far.send(b"abc")
    assert nested.recv_into(buffer) == 3
    far.shutdown(socket.SHUT_WR)
    assert nested.recv_into(buffer) == 0
    assert nested.fileno() == outer.fd


def test_what_is_pending_in_the_outer_stream_is_pending(
    ends: tuple[Stream, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    outer, _ = ends
    stream = make_stream(NestedSocket(outer))
    assert not stream.has_pending()
    monkeypatch.setattr(outer, "has_pending", lambda: True)
    assert stream.has_pending()

"""The wire: its ends behave as connected sockets do, and the kernel is the judge of that."""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING

import pytest

from tests.fakes.manual_loop import ManualLoop
from tests.fakes.watchers import WatcherError
from tests.fakes.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

PLENTY = 1 << 20


def fill(end: socket.socket) -> None:
    """Write until there is no room."""
    try:
        while end.send(bytes(10_000)):
            pass
    except BlockingIOError:
        return


def drain(end: socket.socket) -> None:
    """Read until there is nothing."""
    try:
        while end.recv(PLENTY):
            pass
    except BlockingIOError:
        return


@pytest.fixture
def loop() -> ManualLoop:
    return ManualLoop()


@pytest.fixture(params=["wire", "kernel"])
def ends(request: pytest.FixtureRequest, loop: ManualLoop) -> Iterator[list[socket.socket]]:
    """Two joined ends: the wire's, and the kernel's, which must behave alike."""
    if request.param == "wire":
        wire = Wire(loop)
        pair = [wire.near.as_socket(), wire.far.as_socket()]
    else:
        pair = list(socket.socketpair())
    for end in pair:
        end.setblocking(False)
    yield pair
    for end in pair:
        end.close()


class TestLikeASocket:
    def test_what_is_written_is_read_in_order(self, ends: list[socket.socket]) -> None:
        near, far = ends
        assert near.send(b"one") == 3
        assert near.sendmsg([b"t", memoryview(b"wo")]) == 3
        assert far.recv(4) == b"onet"
        buffer = bytearray(8)
        assert far.recv_into(memoryview(buffer), 1) == 1
        assert far.recv_into(memoryview(buffer)[4:]) == 1
        assert bytes(buffer) == b"w\0\0\0o\0\0\0"

    def test_with_nothing_to_read_it_would_wait(self, ends: list[socket.socket]) -> None:
        with pytest.raises(BlockingIOError):
            ends[0].recv(1)

    def test_without_room_it_would_wait(self, ends: list[socket.socket]) -> None:
        fill(ends[0])
        drain(ends[1])
        assert ends[0].send(b"again") == 5

    def test_the_end_comes_after_what_was_written(self, ends: list[socket.socket]) -> None:
        near, far = ends
        near.send(b"last")
        near.shutdown(socket.SHUT_WR)
        assert (far.recv(10), far.recv(10), far.recv(10)) == (b"last", b"", b"")
        far.send(b"answer")
        assert near.recv(10) == b"answer"
        with pytest.raises(BrokenPipeError):
            near.send(b"more")

    def test_a_closed_one_reads_as_the_end(self, ends: list[socket.socket]) -> None:
        near, far = ends
        near.send(b"last")
        near.close()
        assert (near.fileno(), far.recv(10), far.recv(10)) == (-1, b"last", b"")
        with pytest.raises(BrokenPipeError):
            far.send(b"more")

    def test_closed_with_bytes_unread_it_resets(self, ends: list[socket.socket]) -> None:
        near, far = ends
        far.send(b"never read")
        near.close()
        with pytest.raises(ConnectionResetError):
            far.recv(10)

    def test_a_closed_one_cannot_be_used(self, ends: list[socket.socket]) -> None:
        ends[0].close()
        ends[0].close()
        for use in (lambda: ends[0].send(b"a"), lambda: ends[0].recv(1)):
            with pytest.raises(OSError, match="Bad file descriptor"):
                use()

    def test_as_long_as_one_descriptor_is_open_it_lives(self, ends: list[socket.socket]) -> None:
        near, far = ends
        other = near.dup()
        other.setblocking(False)
        near.close()
        far.send(b"still here")
        assert other.recv(20) == b"still here"
        other.close()
        assert far.recv(10) == b""

    def test_a_shut_one_is_shut_for_every_descriptor(self, ends: list[socket.socket]) -> None:
        near, far = ends
        other = near.dup()
        other.setblocking(False)
        near.shutdown(socket.SHUT_RDWR)
        assert (other.recv(1), far.recv(1)) == (b"", b"")
        other.close()

    def test_it_can_be_watched(self, ends: list[socket.socket], loop: ManualLoop) -> None:
        near, far = ends
        got: list[bytes] = []
        loop.on_readable(far.fileno(), lambda: got.append(far.recv(1)))
        assert loop.settle() == 0
        near.send(b"ab")
        loop.settle()
        assert got == [b"a", b"b"]
        loop.kill()

    def test_watched_for_writing_it_is_ready_while_there_is_room(
        self, ends: list[socket.socket], loop: ManualLoop
    ) -> None:
        near, far = ends
        fill(near)
        ready: list[bool] = []

        def writable() -> None:
            ready.append(True)
            watcher.close()

        watcher = loop.on_writable(near.fileno(), writable)
        loop.settle()
        assert ready == []
        drain(far)
        loop.settle()
        assert ready == [True]


class TestTroubles:
    def test_bytes_arrive_late(self, loop: ManualLoop) -> None:
        wire = Wire(loop, delay_s=0.5)
        got: list[tuple[float, bytes]] = []
        loop.on_readable(wire.far.fileno(), lambda: got.append((loop.now(), wire.far.recv(10))))
        wire.near.send(b"slow")
        wire.near.shutdown(socket.SHUT_WR)
        with pytest.raises(BlockingIOError):
            wire.far.recv(10)
        loop.sleep(0.4)
        assert got == []
        with pytest.raises(AssertionError, match="no rest"):
            loop.advance(1.0)
        assert got[:2] == [(1000.5, b"slow"), (1000.5, b"")]

    def test_a_write_takes_a_part(self, loop: ManualLoop) -> None:
        wire = Wire(loop, max_write_bytes=3, room_bytes=5)
        assert [wire.near.send(b"abcdef"), wire.near.send(b"def")] == [3, 2]
        with pytest.raises(BlockingIOError):
            wire.near.send(b"f")
        assert wire.far.recv(10) == b"abcde"

    def test_a_chooser_takes_parts_that_its_seed_decides(self) -> None:
        def parts(seed: int) -> list[int]:
            wire = Wire(ManualLoop(), chooser=random.Random(seed))
            return [wire.near.send(bytes(100)) for _ in range(20)]

        assert parts(1) == parts(1) != parts(2)
        assert 1 <= min(parts(1)) < max(parts(1)) <= 100

    def test_a_break_reaches_both_ends(self, loop: ManualLoop) -> None:
        wire = Wire(loop)
        wire.near.send(b"lost")
        wire.break_off()
        for end in (wire.near, wire.far):
            with pytest.raises(ConnectionResetError):
                end.send(b"a")
            with pytest.raises(ConnectionResetError):
                end.recv(1)

    def test_a_watcher_that_outlives_its_end_is_found(self, loop: ManualLoop) -> None:
        wire = Wire(loop)
        loop.on_readable(wire.near.fileno(), lambda: None)
        wire.near.close()
        with pytest.raises(WatcherError, match="before its watcher"):
            loop.settle()

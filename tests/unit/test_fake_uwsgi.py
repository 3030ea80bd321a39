"""The fake uWSGI: what vpnws/server/uwsgi.py promises, and what the real one was seen to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.frames import take_frame
from tests.fakes.manual_loop import ManualLoop
from tests.fakes.uwsgi import FakeMaster, FakeUwsgi, ProcessEnded
from tests.fakes.wire import Wire
from tests.support.cache_contract import ITEMS, CacheContract
from tests.support.raw_frames import BINARY, CLOSE, PING, PONG, encode_frame
from vpnws.server.uwsgi import options_as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vpnws.server.uwsgi import Uwsgi

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
"""RFC 6455 1.3 has this key and the answer to it."""


@pytest.fixture
def loop() -> ManualLoop:
    return ManualLoop()


@pytest.fixture
def uwsgi(loop: ManualLoop) -> FakeUwsgi:
    return FakeUwsgi(FakeMaster(loop, cache_items=ITEMS), loop, worker=1)


@pytest.mark.parametrize("check", CacheContract.checks())
def test_the_cache_keeps_the_contract(uwsgi: FakeUwsgi, check: str) -> None:
    getattr(CacheContract(uwsgi), check)()


class TestCache:
    def test_is_shared_by_all_processes(self, loop: ManualLoop, uwsgi: FakeUwsgi) -> None:
        FakeUwsgi(uwsgi.master, loop, worker=2).cache_put(b"mac", b"there")
        assert uwsgi.cache_get(b"mac") == b"there"


class TestProcess:
    def test_knows_who_it_is(self, loop: ManualLoop) -> None:
        master = FakeMaster(loop, workers=3)
        processes = [
            FakeUwsgi(master, loop, worker=worker, mule=mule)
            for worker, mule in ((0, 0), (1, 0), (2, 0), (0, 1))
        ]
        assert [process.worker_id() for process in processes] == [0, 1, 2, 0]
        assert [process.mule_id() for process in processes] == [0, 0, 0, 1]
        assert {process.workers() for process in processes} == {3}
        assert len({process.process_id() for process in processes}) == 4

    def test_ends_by_itself_for_good(self, uwsgi: FakeUwsgi) -> None:
        with pytest.raises(ProcessEnded):
            uwsgi.end_process()

    def test_has_everything_stopped(self, uwsgi: FakeUwsgi) -> None:
        uwsgi.stop_all()
        assert uwsgi.master.is_stopped

    def test_keeps_the_hooks(self, uwsgi: FakeUwsgi) -> None:
        called: list[str] = []
        uwsgi.on_fork(lambda: called.append("fork"))
        uwsgi.on_exit(lambda: called.append("exit"))
        assert called == []
        uwsgi.fork_hook()
        uwsgi.exit_hook()
        assert called == ["fork", "exit"]


def test_options_are_told_as_text(loop: ManualLoop) -> None:
    options = {"master": True, "workers": b"2", "odd": b"\xff"}
    uwsgi = FakeUwsgi(FakeMaster(loop, options=options), loop)  # type: ignore[arg-type]
    assert uwsgi.options() == {"master": "true", "workers": "2", "odd": "\ufffd"}
    assert options_as_text({}) == {}


class Bed:
    """A worker that serves one request, and what its client gets."""

    def __init__(self, uwsgi: FakeUwsgi, loop: ManualLoop, **environ: str) -> None:
        self.uwsgi = uwsgi
        self.loop = loop
        self.environ: dict[str, Any] = {
            "HTTP_SEC_WEBSOCKET_KEY": KEY,
            **environ,
        }
        self.wire = Wire(loop)

    def serve(self, function: Callable[[Any], Iterable[bytes]]) -> None:
        self.request = self.uwsgi.serve(
            lambda _environ, start_response: function(start_response),
            self.environ,
            self.wire.near,
        )

    def got(self) -> bytes:
        try:
            return self.wire.far.recv(10_000)
        except BlockingIOError:
            return b""


@pytest.fixture
def bed(uwsgi: FakeUwsgi, loop: ManualLoop) -> Bed:
    return Bed(uwsgi, loop)


class TestRequests:
    def test_an_answer_is_written_with_its_head_once(self, bed: Bed) -> None:
        def application(start_response: Any) -> Iterable[bytes]:
            start_response("200 OK", [("X-Name", "value")])
            return (b"one", b"two")

        bed.serve(application)
        assert bed.got() == b"HTTP/1.1 200 OK\r\nX-Name: value\r\n\r\nonetwo"
        assert bed.request.is_over
        assert bed.wire.far.recv(10) == b"", "uWSGI closes its descriptor"

    def test_an_answer_to_a_client_that_is_gone_fails(self, bed: Bed) -> None:
        def application(start_response: Any) -> Iterable[bytes]:
            with pytest.raises(OSError, match="Broken pipe"):
                start_response("101 Switching Protocols", [])(b"")
            return ()

        bed.wire.far.close()
        bed.serve(application)
        assert bed.request.is_over

    def test_a_connection_of_ones_own_outlives_the_request(self, bed: Bed) -> None:
        own = []

        def application(_start_response: Any) -> Iterable[bytes]:
            own.append(bed.uwsgi.own_connection())
            assert own[0].fileno() != bed.uwsgi.connection()
            return ()

        bed.serve(application)
        own[0].send(b"later")
        assert bed.got() == b"later"
        bed.uwsgi.close_all()
        assert bed.wire.far.recv(10) == b""

    def test_each_request_has_its_own_connection(self, uwsgi: FakeUwsgi, loop: ManualLoop) -> None:
        beds = [Bed(uwsgi, loop), Bed(uwsgi, loop)]
        numbers: list[int] = []

        def application(_start_response: Any) -> Iterable[bytes]:
            loop.let_others_run()
            numbers.append(uwsgi.connection())
            return ()

        expected = [bed.wire.near.fileno() for bed in beds]
        for bed in beds:
            bed.serve(application)
        loop.settle()
        assert numbers == expected


class TestMessages:
    def take(self, bed: Bed) -> list[bytes | str]:
        """Return what a request that asks until the end is given."""
        given: list[bytes | str] = []

        def application(_start_response: Any) -> Iterable[bytes]:
            try:
                while message := bed.uwsgi.receive_message():
                    given.append(message)
                given.append("none")
            except OSError:
                given.append("end")
            return ()

        bed.serve(application)
        return given

    def test_come_one_by_one(self, bed: Bed) -> None:
        bed.wire.far.send(b"".join(encode_frame(BINARY, payload) for payload in (b"one", b"two")))
        assert self.take(bed) == [b"one", b"two", "none"]

    def test_a_part_of_a_frame_is_none_yet(self, bed: Bed) -> None:
        bed.wire.far.send(encode_frame(BINARY, b"one")[:-1])
        assert self.take(bed) == ["none"]

    def test_a_fragment_is_one_zero_byte(self, bed: Bed) -> None:
        bed.wire.far.send(encode_frame(BINARY, b"one", fin=False))
        assert self.take(bed) == [b"\0", "none"]

    def test_a_ping_is_answered(self, bed: Bed) -> None:
        bed.wire.far.send(encode_frame(PING, b"hello") + encode_frame(BINARY, b"one"))
        assert self.take(bed) == [b"one", "none"]
        frame = take_frame(bytearray(bed.got()))
        assert frame is not None
        assert (frame.opcode, frame.payload, frame.masked) == (PONG, b"hello", False)

    def test_a_close_frame_is_answered_and_the_end(self, bed: Bed) -> None:
        bed.wire.far.send(encode_frame(CLOSE, b"\x03\xe8"))
        assert self.take(bed) == ["end"]
        assert bed.got() == encode_frame(CLOSE, b"\x03\xe8", mask=None)

    def test_a_connection_that_ends_is_the_end(self, bed: Bed) -> None:
        bed.wire.far.close()
        assert self.take(bed) == ["end"]


def test_it_is_a_uwsgi(uwsgi: FakeUwsgi) -> None:
    real: Uwsgi = uwsgi
    assert real.worker_id() == 1

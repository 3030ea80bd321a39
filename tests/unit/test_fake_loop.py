"""The manual loop: what it promises to the tests that use it."""

from __future__ import annotations

import os
import random
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.fakes.manual_loop import ManualLoop
from tests.fakes.watchers import WatcherError, World

if TYPE_CHECKING:
    from vpnws.server.loop import Loop


@pytest.fixture
def loop() -> ManualLoop:
    return ManualLoop()


class TestClock:
    def test_stands_still_until_it_is_moved(self, loop: ManualLoop) -> None:
        before = loop.now()
        loop.settle()
        assert loop.now() == before
        loop.advance(2.5)
        assert loop.now() == before + 2.5

    def test_calls_timers_in_the_order_they_are_due(self, loop: ManualLoop) -> None:
        called: list[tuple[str, float]] = []
        start_s = loop.now()
        loop.after(3.0, lambda: called.append(("late", loop.now() - start_s)))
        loop.after(1.0, lambda: called.append(("early", loop.now() - start_s)))
        loop.every(2.0, lambda: called.append(("every", loop.now() - start_s)))
        loop.advance(4.0)
        assert called == [("early", 1.0), ("every", 2.0), ("late", 3.0), ("every", 4.0)]

    def test_a_timer_set_by_a_timer_is_called_at_its_own_time(self, loop: ManualLoop) -> None:
        called: list[float] = []

        def again() -> None:
            loop.after(1.0, lambda: called.append(loop.now()))

        loop.after(1.0, again)
        loop.advance(5.0)
        assert called == [1002.0]

    def test_a_process_that_slept_gets_one_call_and_not_all_it_missed(
        self, loop: ManualLoop
    ) -> None:
        called: list[float] = []
        loop.every(1.0, lambda: called.append(loop.now()))
        loop.sleep(10.0)
        assert called == [1010.0]

    def test_is_one_for_all_processes(self, loop: ManualLoop) -> None:
        called: list[str] = []
        other = loop.fork()
        other.after(1.0, lambda: called.append("other"))
        loop.advance(1.0)
        assert (called, other.now()) == (["other"], loop.now())


class TestDescriptors:
    def test_are_watched_as_long_as_they_are_ready(self, loop: ManualLoop) -> None:
        near, far = socket.socketpair()
        with near, far:
            got: list[bytes] = []
            watcher = loop.on_readable(near.fileno(), lambda: got.append(near.recv(1)))
            assert loop.settle() == 0
            far.send(b"ab")
            assert loop.settle() == 2
            assert got == [b"a", b"b"]
            watcher.close()
            far.send(b"c")
            assert loop.settle() == 0

    def test_a_stopped_watcher_is_not_called(self, loop: ManualLoop) -> None:
        near, far = socket.socketpair()
        with near, far:
            loop.on_readable(near.fileno(), lambda: pytest.fail("called")).stop()
            far.send(b"a")
            loop.settle()

    def test_a_watcher_closed_in_the_same_round_is_not_called(self, loop: ManualLoop) -> None:
        near, far = socket.socketpair()
        with near, far:
            second = loop.on_writable(near.fileno(), lambda: pytest.fail("called"))
            loop.after(0.0, second.close)
            loop.settle()

    def test_the_end_of_the_other_side_is_readable(self, loop: ManualLoop) -> None:
        near, far = socket.socketpair()
        far.close()
        got: list[bytes] = []

        def read() -> None:
            got.append(near.recv(1))
            watcher.close()

        with near:
            watcher = loop.on_readable(near.fileno(), read)
            loop.settle()
            assert got == [b""]

    def test_fake_ones_say_themselves_whether_they_are_ready(self, loop: ManualLoop) -> None:
        class Door:
            is_open = True

            def is_readable(self) -> bool:
                return self.is_open

            def is_writable(self) -> bool:
                return False

        door = Door()
        fd = loop.add_fake(door)
        loop.on_writable(fd, lambda: pytest.fail("cannot be written"))
        loop.on_readable(fd, lambda: setattr(door, "is_open", False))
        assert loop.settle() == 1

    def test_what_never_rests_ends_the_test(self, loop: ManualLoop) -> None:
        near, far = socket.socketpair()
        with near, far:
            loop.on_writable(near.fileno(), lambda: None)
            with pytest.raises(AssertionError, match="no rest after"):
                loop.settle()

    def test_a_seed_decides_the_order_of_what_is_ready_together(self) -> None:
        def order(seed: int) -> list[int]:
            loop = ManualLoop(World(shuffler=random.Random(seed)))
            called: list[int] = []
            for number in range(8):
                loop.after(1.0, lambda number=number: called.append(number))  # type: ignore[misc]
            loop.advance(1.0)
            return called

        assert order(1) == order(1)
        assert order(1) != order(2)


class TestFaults:
    def test_a_watcher_closed_twice(self, loop: ManualLoop) -> None:
        watcher = loop.after(1.0, lambda: None)
        watcher.close()
        with pytest.raises(WatcherError, match="closed twice"):
            watcher.close()

    def test_a_watcher_used_after_it_was_closed(self, loop: ManualLoop) -> None:
        watcher = loop.after(1.0, lambda: None)
        watcher.close()
        with pytest.raises(WatcherError, match="after it was closed"):
            watcher.stop()

    def test_a_watcher_never_closed(self, loop: ManualLoop) -> None:
        loop.after(1.0, lambda: None)
        with pytest.raises(WatcherError, match="never closed"):
            loop.check_no_leak()
        loop.advance(1.0)
        loop.check_no_leak()

    def test_a_descriptor_closed_before_its_watcher(self, loop: ManualLoop) -> None:
        near, far = socket.socketpair()
        loop.on_readable(near.fileno(), lambda: None)
        near.close()
        with far, pytest.raises(WatcherError, match="before its watcher"):
            loop.settle()

    def test_a_descriptor_whose_number_is_used_again(self, loop: ManualLoop) -> None:
        near, far = socket.socketpair()
        fd = near.fileno()
        loop.on_readable(fd, lambda: None)
        near.close()
        os.dup2(far.fileno(), fd)
        with far, pytest.raises(WatcherError, match="before its watcher"):
            loop.settle()
        os.close(fd)

    def test_a_descriptor_that_is_not_open(self, loop: ManualLoop) -> None:
        with pytest.raises(WatcherError, match="not open"):
            loop.on_readable(999_999, lambda: None)


class TestWaiting:
    def test_lets_others_run_until_the_descriptor_is_ready(self, loop: ManualLoop) -> None:
        near, far = socket.socketpair()
        with near, far:
            results: list[bool] = []
            request = loop.spawn(lambda: results.append(loop.wait_readable(near.fileno(), 60.0)))
            loop.advance(1.0)
            assert (results, request.dead) == ([], False)
            far.send(b"a")
            loop.settle()
            assert (results, request.dead) == ([True], True)
        loop.check_no_leak()

    def test_ends_when_its_time_is_over(self, loop: ManualLoop) -> None:
        near, far = socket.socketpair()
        with near, far:
            results: list[bool] = []
            loop.spawn(lambda: results.append(loop.wait_readable(near.fileno(), 5.0)))
            loop.advance(5.0)
            assert results == [False]
        loop.check_no_leak()

    def test_outside_a_request_is_a_fault_of_the_test(self, loop: ManualLoop) -> None:
        with pytest.raises(AssertionError, match="may wait"):
            loop.let_others_run()

    def test_lets_others_run_and_goes_on(self, loop: ManualLoop) -> None:
        order: list[str] = []

        def request() -> None:
            order.append("before")
            loop.let_others_run()
            order.append("after")

        loop.after(0.0, lambda: order.append("other"))
        loop.spawn(request)
        loop.settle()
        assert order == ["before", "other", "after"]

    def test_knows_who_runs(self, loop: ManualLoop) -> None:
        answers: list[bool] = []
        loop.spawn(lambda: answers.append(loop.in_main_greenlet()))
        loop.after(0.0, lambda: answers.append(loop.in_main_greenlet()))
        loop.settle()
        assert answers == [False, False]
        assert loop.in_main_greenlet()


class TestProcesses:
    def test_a_killed_one_is_not_called_any_more(self, loop: ManualLoop) -> None:
        other = loop.fork()
        other.after(1.0, lambda: pytest.fail("called"))
        other.kill()
        loop.advance(2.0)
        other.check_no_leak()

    def test_only_the_one_that_reloads_hears_of_it(self, loop: ManualLoop) -> None:
        called: list[str] = []
        other = loop.fork()
        loop.on_reload(lambda: called.append("one"))
        other.on_reload(lambda: called.append("other"))
        other.reload()
        assert called == ["other"]

    def test_a_signal_ends_the_wait_for_it(self, loop: ManualLoop) -> None:
        got: list[int] = []
        wait = loop.catch_signals()
        loop.spawn(lambda: got.append(wait()))
        assert got == []
        loop.send_signal(signal.SIGTERM)
        assert got == [signal.SIGTERM]

    def test_a_signal_sent_before_the_wait_is_not_lost(self, loop: ManualLoop) -> None:
        wait = loop.catch_signals()
        loop.send_signal(signal.SIGINT)
        loop.send_signal(signal.SIGHUP)
        assert wait() == signal.SIGINT


def test_it_is_a_loop() -> None:
    loop: Loop = ManualLoop()
    assert loop.now() == 1000.0

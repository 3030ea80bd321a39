"""Whoever gets a stream: what ends its wait, and how its end is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.manual_loop import ManualLoop
from tests.fakes.watchers import World
from tests.fakes.wire import Wire
from vpnws.server.web.caller import WebCaller

if TYPE_CHECKING:
    from collections.abc import Callable


class Bed:
    """A caller that waits, again and again, and what it has seen after each wait."""

    def __init__(self) -> None:
        self.loop = ManualLoop(World())
        self.wire = Wire(self.loop)
        self.closed: list[WebCaller] = []
        self.caller = WebCaller(self.loop, self.wire.near.dup(), self.closed.append)  # type: ignore[arg-type]
        self.waits: list[float] = []
        self.loop.spawn(self._run)
        self.loop.settle()

    def _run(self) -> None:
        while not (self.caller.is_gone or self.caller.must_end):
            self.caller.wait(10.0)
            self.waits.append(self.loop.now())
        self.caller.close()


@pytest.fixture
def bed() -> Bed:
    return Bed()


def test_a_wait_ends_after_its_time_and_when_the_caller_is_woken(bed: Bed) -> None:
    began_s = bed.loop.now()
    bed.loop.advance(10.0)
    bed.caller.wake()
    bed.loop.settle()
    assert bed.waits == [began_s + 10.0, began_s + 10.0]


def test_who_is_woken_before_it_waits_does_not_wait(bed: Bed) -> None:
    bed.caller.wake()
    bed.caller.wake()
    bed.loop.settle()
    assert len(bed.waits) == 1


@pytest.mark.parametrize(
    "end",
    [
        lambda bed: bed.wire.far.close(),
        lambda bed: bed.wire.break_off(),
        lambda bed: bed.caller.end(),
    ],
    ids=["closed", "broken", "the server ends"],
)
def test_the_end_of_either_side_ends_the_wait(bed: Bed, end: Callable[[Bed], None]) -> None:
    end(bed)
    bed.loop.settle()
    assert len(bed.waits) == 1
    assert bed.caller.is_gone or bed.caller.must_end
    assert bed.closed == [bed.caller]


def test_what_comes_behind_the_request_is_no_end(bed: Bed) -> None:
    bed.wire.far.send(b"more")
    bed.loop.settle()
    assert bed.waits == []
    assert not bed.caller.is_gone

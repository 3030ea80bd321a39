"""Which refused requests are logged: the first of a kind at once, a burst folded, all bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.control.events import Event
from vpnws.server.port.describe import Subject
from vpnws.server.web.refusals import LOG_AGAIN_S, MAX_LINES, Refusal, Refusals

if TYPE_CHECKING:
    from vpnws.server.journal import Note

ALICE = Refusal(
    Subject("user=alice addr=192.0.2.1", {"user": "alice", "addr": "192.0.2.1"}),
    "500",
    "A right is wrong.",
)
BOB = ALICE._replace(who=Subject("user=bob addr=192.0.2.1"))


def stranger(number: int) -> Refusal:
    return Refusal(Subject(f"addr=192.0.2.{number}"), "400", "No.")


def text_of(note: Note | None) -> str:
    return note.text if note is not None else ""


def test_the_first_of_each_kind_is_logged_at_once() -> None:
    refusals = Refusals()
    said = "a request was refused with 500 (user=alice addr=192.0.2.1): A right is wrong."
    assert text_of(refusals.note(ALICE, 0.0)) == said
    assert "user=bob" in text_of(refusals.note(BOB, 0.0))
    assert "with 503" in text_of(refusals.note(ALICE._replace(status="503"), 0.0))
    assert "Wrong, too" in text_of(refusals.note(ALICE._replace(sentence="Wrong, too."), 0.0))


def test_a_burst_is_folded_and_counted() -> None:
    refusals = Refusals()
    refusals.note(ALICE, 0.0)
    assert [refusals.note(ALICE, float(second)) for second in range(1, 41)] == [None] * 40
    assert refusals.look(LOG_AGAIN_S - 1) == []
    (note,) = refusals.look(LOG_AGAIN_S)
    assert note.text.startswith("40 more requests were refused with 500 (user=alice")
    assert note.event is Event.REFUSED
    assert note.fields == {
        "user": "alice",
        "addr": "192.0.2.1",
        "status": "500",
        "reason": "A right is wrong.",
        "count": 40,
    }
    assert refusals.look(LOG_AGAIN_S + 1) == []


def test_one_that_goes_on_is_logged_once_a_pause() -> None:
    refusals = Refusals()
    lines = 0
    for second in range(10 * int(LOG_AGAIN_S)):
        lines += bool(refusals.note(ALICE, float(second)))
        lines += len(refusals.look(float(second)))
    assert lines == 10


def test_after_a_pause_the_next_is_the_first_again() -> None:
    refusals = Refusals()
    refusals.note(ALICE, 0.0)
    assert refusals.look(LOG_AGAIN_S) == []
    assert refusals.note(ALICE, LOG_AGAIN_S + 5)


def test_many_kinds_are_bounded_in_lines_and_in_memory() -> None:
    refusals = Refusals()
    lines = [refusals.note(stranger(number), 0.0) for number in range(MAX_LINES + 1000)]
    assert sum(map(bool, lines)) == MAX_LINES
    assert len(refusals._bursts) == MAX_LINES
    (note,) = refusals.look(LOG_AGAIN_S)
    assert note.text == "1000 more requests from others were refused"
    assert note.event is Event.FOLDED
    assert refusals.note(ALICE, LOG_AGAIN_S + 1)
    assert refusals.look(3 * LOG_AGAIN_S) == []

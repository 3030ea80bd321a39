"""Who came and went is logged, and a burst of one name and address is folded."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tests.support.node_bed import NodeBed
from tests.support.raw_frames import BINARY, encode_frame
from vpnws.control.events import Event
from vpnws.server.port.describe import Subject
from vpnws.server.port.session import Session
from vpnws.server.port.visits import FOLD_S, MAX_LINES, MAX_WATCHED, Visits
from vpnws.server.web.identity import Identity

if TYPE_CHECKING:
    import pytest


def test_everybody_is_logged_in_normal_use() -> None:
    visits = Visits()
    assert all(visits.note(Subject(f"user={number}"), Event.JOIN, 0.0) for number in range(1000))
    assert all(visits.note(Subject(f"user={number}"), Event.LEAVE, 1.0) for number in range(1000))
    assert visits.look(FOLD_S + 1.0) == []


def test_a_burst_is_folded_and_counted() -> None:
    visits = Visits()
    said = [
        visits.note(Subject("addr=1"), Event.JOIN, 0.01 * each)
        + visits.note(Subject("addr=1"), Event.LEAVE, 0.01 * each)
        for each in range(1000)
    ]
    assert sum(said) == MAX_LINES
    assert visits.look(FOLD_S - 1.0) == []
    folded = 1000 - MAX_LINES // 2
    (note,) = visits.look(FOLD_S + 1.0)
    assert note.text == f"{folded} more stations came and {folded} more went within 61 s: addr=1"
    assert note.fields == {"events": "join leave", "count": 2 * folded, "seconds": 61}
    assert visits.look(10 * FOLD_S) == []
    assert visits.note(Subject("addr=1"), Event.JOIN, 10 * FOLD_S), "it is watched anew"


def test_a_burst_of_one_hides_nobody_else() -> None:
    visits = Visits()
    for _ in range(1000):
        visits.note(Subject("addr=1"), Event.JOIN, 0.0)
    assert visits.note(Subject("addr=2"), Event.JOIN, 0.0)


def test_names_are_bounded_and_the_rest_is_counted() -> None:
    visits = Visits()
    said = sum(
        visits.note(Subject(f"addr={number}"), Event.JOIN, 0.0)
        for number in range(MAX_WATCHED + 100)
    )
    assert said == MAX_WATCHED
    assert visits.note(Subject("addr=0"), Event.LEAVE, 0.0)
    (note,) = visits.look(FOLD_S)
    assert note.text == "100 more stations came and 0 more went within 60 s: others"


def test_drops_of_one_who_comes_again_and_again_are_folded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each connection has a port of its own, so nothing else folds what is said of them."""
    caplog.set_level(logging.INFO, "vpnws")
    bed = NodeBed()
    session = Session(identity=Identity(remote_addr="192.0.2.7"))
    for number in range(MAX_LINES):
        bed.join(session).send(encode_frame(BINARY, b"short"))
        bed.loop.advance(1.0 if number % 50 == 49 else 0.0)
    bed.loop.advance(FOLD_S + 2.0)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) < MAX_LINES + 10
    assert any("more reports of drops within" in line for line in lines)


def test_the_node_logs_a_burst_in_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vpnws")
    bed = NodeBed()
    caplog.clear()
    session = Session(identity=Identity(remote_addr="192.0.2.7"))
    for _ in range(MAX_LINES):
        bed.join(session).wire.far.close()
        bed.loop.settle()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == MAX_LINES
    assert {" up ", " down "} == {
        word for line in lines for word in (" up ", " down ") if word in line
    }
    caplog.clear()
    bed.loop.advance(FOLD_S + 2.0)
    (folded,) = [record.getMessage() for record in caplog.records]
    half = MAX_LINES // 2
    assert folded.startswith(f"{half} more stations came and {half} more went within 6")
    assert folded.endswith("user=- dn=- addr=192.0.2.7")

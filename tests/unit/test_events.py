"""The table of events is the whole truth: what the code notes, it has, and nothing else."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

import pytest

from tests.support.sources import modules, tree_of
from vpnws.control.events import EVENTS, FIELDS, SENTENCES, Event

if TYPE_CHECKING:
    from collections.abc import Iterator

RESERVED: Final = {"time", "process", "level", "event", "message"}
"""What every line of a JSON log has besides."""


def calls() -> Iterator[ast.Call]:
    """Yield every call in the code that notes an event, or makes a note of one."""
    for path in modules():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and node.args and event_of(node) is not None:
                yield node


def event_of(call: ast.Call) -> Event | None:
    """Return the event that a call names first, as `Event.JOIN`."""
    first = call.args[0]
    if isinstance(first, ast.Attribute) and isinstance(first.value, ast.Name):
        return Event[first.attr] if first.value.id == "Event" else None
    return None


def noted() -> set[Event]:
    """Return every event that the code notes."""
    names = {"note", "_note", "Note", "commanded"}
    return {
        event
        for call in calls()
        if getattr(call.func, "attr", getattr(call.func, "id", "")) in names
        and (event := event_of(call)) is not None
    }


def test_every_event_has_its_row() -> None:
    assert list(EVENTS) == list(Event)


def test_the_code_notes_every_event_of_the_table_and_no_other() -> None:
    assert noted() == set(EVENTS)


@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_every_field_is_known_and_no_name_is_taken(event: Event) -> None:
    fields = EVENTS[event].fields
    assert len(set(fields)) == len(fields)
    assert set(fields) <= set(FIELDS)
    assert not set(fields) & RESERVED


def test_no_field_is_without_use() -> None:
    assert {name for kind in EVENTS.values() for name in kind.fields} == set(FIELDS)
    assert set(FIELDS) >= SENTENCES


def test_the_code_gives_no_field_that_the_table_does_not_have() -> None:
    given = [
        (event, keyword.arg)
        for call in calls()
        for keyword in call.keywords
        if keyword.arg is not None and (event := event_of(call)) is not None
    ]
    assert len(given) > 20
    assert [pair for pair in given if pair[1] not in EVENTS[pair[0]].fields] == []

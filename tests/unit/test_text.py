"""Text from strangers: it cannot forge a log line, nor break out of one, and it has an end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpnws.text import MAX_LINE_CHARACTERS, MAX_VALUE_CHARACTERS, log_pair, log_value, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("alice", "alice"),
        ("CN=Zoë", "CN=Zoë"),
        ("al rights=bridge", "al?rights=bridge"),
        ("a'b\"c", "a?b?c"),
        ("a\nb\x1b[2J", "a?b?[2J"),
        ("\u202e", "?"),
        ("", ""),
    ],
)
def test_a_value_is_one_word(text: str, shown: str) -> None:
    assert log_value(text) == shown


def test_a_value_keeps_what_its_line_allows() -> None:
    assert log_value("timed out 'x'", keep=" ") == "timed out ?x?"


@pytest.mark.parametrize("length", [MAX_VALUE_CHARACTERS, MAX_VALUE_CHARACTERS + 1, 10_000])
def test_a_long_value_is_cut(length: int) -> None:
    assert log_value("a" * length) == "a" * MAX_VALUE_CHARACTERS


@pytest.mark.parametrize(
    ("text", "shown"),
    [("we close\nat 5", "we close?at 5"), ('it\'s "late"', 'it\'s "late"'), ("", "")],
)
def test_a_sentence_stays_on_one_line(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_a_long_sentence_is_cut_and_says_so() -> None:
    whole = "a" * MAX_LINE_CHARACTERS
    assert one_line(whole) == whole
    assert one_line(whole + "a") == whole + "..."


@given(st.text(max_size=300))
def test_whatever_comes_can_be_shown(text: str) -> None:
    value = log_value(text)
    assert value.isprintable()
    assert not set(value) & set(" \"'")
    assert len(value) <= MAX_VALUE_CHARACTERS
    assert one_line(text).isprintable()
    assert len(one_line(text)) <= MAX_LINE_CHARACTERS + len("...")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("olga", "by=olga"),
        ("", "by=-"),
        ("late payment", "by='late payment'"),
        ("x' user='bob", "by='x? user=?bob'"),
        ("a\nb c", "by='a?b c'"),
    ],
)
def test_a_pair_keeps_spaces_in_quotes_that_its_text_cannot_close(text: str, shown: str) -> None:
    assert log_pair("by", text) == shown

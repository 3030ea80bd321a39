"""Filters and pages of long lists: each process gives its rows in order, and they are merged."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from vpnws.control.views import Who

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

V = TypeVar("V")
Key: TypeAlias = "tuple[str | int, ...]"
"""Where a row stands in its list; a list has no two rows with the same one."""

MAX_LIMIT: Final = 1000
"""Rows of one page; further ones are on the next."""
DEFAULT_LIMIT: Final = 100
MAX_FILTER_CHARACTERS: Final = 256
"""A longer value of a filter is refused."""

Text: TypeAlias = Annotated[str, Meta(max_length=MAX_FILTER_CHARACTERS)]


class Filter(Struct, frozen=True, kw_only=True):
    """Which rows are wanted, and where the page begins. Empty means any."""

    network: Text = ""
    user: Text = ""
    mac: Text = ""
    port: Text = ""
    ip: Text = ""
    q: Text = ""
    """Any text that a row contains, in either case."""
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    after: Text = ""
    """The `next` of the page before."""


class Rows(Struct, Generic[V], frozen=True, kw_only=True):
    """One process's part of a page."""

    items: tuple[V, ...] = ()
    has_more: bool = False


class Page(Struct, Generic[V], frozen=True, kw_only=True):
    """One page of a list over all processes."""

    items: tuple[V, ...]
    next: str = ""
    """Where the next page begins; empty after the last one."""
    missing: tuple[str, ...] = ()
    """Processes that did not answer: their rows are missing."""


def encode_cursor(key: Key) -> str:
    """Return `key` as one word for a URL."""
    return urlsafe_b64encode(msgspec.json.encode(key)).decode().rstrip("=")


def decode_cursor(cursor: str) -> Key:
    """Return what `encode_cursor` was given. Raises ValueError."""
    if not cursor:
        return ()
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        return tuple(msgspec.json.decode(urlsafe_b64decode(padded), type=list[str | int]))
    except (ValueError, msgspec.DecodeError) as error:
        raise ValueError("after is not the `next` of a page") from error


def is_after(key: Key, start: Key) -> bool:
    """Return whether `key` stands after `start`. Raises ValueError if they do not compare."""
    try:
        return key > start
    except TypeError as error:
        raise ValueError("after is the `next` of another list") from error


def take_rows(rows: Iterable[V], limit: int) -> Rows[V]:
    """Return the first `limit` of `rows`, which stand in order."""
    items = list(islice(rows, limit + 1))
    return Rows(items=tuple(items[:limit]), has_more=len(items) > limit)


def merge_pages(
    parts: Iterable[Rows[V]], key: Callable[[V], Any], limit: int, missing: tuple[str, ...]
) -> Page[V]:
    """Return one page from the processes' parts, each in the order of `key`."""
    parts = list(parts)
    items = list(merge(*(part.items for part in parts), key=key))
    has_more = len(items) > limit or any(part.has_more for part in parts)
    shown = tuple(items[:limit])
    return Page(
        items=shown,
        next=encode_cursor(key(shown[-1])) if shown and has_more else "",
        missing=missing,
    )


def contains(text: str, *shown: str | Who) -> bool:
    """Return whether what a row shows contains `text`, in either case."""
    wanted = text.lower()
    words = [
        word
        for each in shown
        for word in ((each.user, each.dn, each.addr) if isinstance(each, Who) else (each,))
    ]
    return any(wanted in word.lower() for word in words)

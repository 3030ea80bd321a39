"""Asks the control interface: whole lists page by page, single objects, changes, streams."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from vpnws.ctl.reach import answers
from vpnws.ctl.reach.request import Answer, Request
from vpnws.errors import ConnectError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.ctl.reach.request import Way

PREFIX: Final = "api/v1/"
PAGE_ITEMS: Final = 1000
"""Items that are asked for at once, the most that the server gives."""
MAX_PAGES: Final = 100
"""A list with more pages is cut off here, and said to be incomplete."""

T = TypeVar("T")


class Page(msgspec.Struct, frozen=True):
    """A part of a list; the items stay as the server sent them."""

    items: tuple[msgspec.Raw, ...]
    next: str = ""
    """What to ask with for the items after these."""
    missing: tuple[str, ...] = ()
    """Processes of the server that did not answer in time."""
    lost: int = 0
    """Events since the page before that the server keeps no more."""

    def of(self, kind: type[T]) -> list[T]:
        """Return the items as views. Raises ConnectError if they are something else."""
        return [decode(item, kind) for item in self.items]


class _Token(msgspec.Struct):
    token: str


@dataclass(slots=True)
class Api:
    """The control interface of one server."""

    way: Way
    clock_offset_s: float = 0.0
    """How far the server's clock is ahead of ours, as far as an answer has told."""
    _token: str = ""

    def now_s(self) -> float:
        """Return what the server's clock says, as a Unix time in seconds."""
        return time.time() + self.clock_offset_s

    def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """Return one object as JSON. Raises ConnectError, ControlError."""
        return self._read(Request(PREFIX + path, query=_given(query)))

    def page(self, path: str, query: Mapping[str, str] | None = None, after: str = "") -> Page:
        """Return one page of a list, that after the cursor `after`."""
        asked = {**(query or {}), "limit": str(PAGE_ITEMS), "after": after}
        return self._list(path, asked)

    def items(self, path: str, query: Mapping[str, str] | None = None) -> Page:
        """Return a list as one page, whatever number of pages the server makes of it."""
        items: list[msgspec.Raw] = []
        missing: dict[str, None] = {}
        page = Page(())
        for _ in range(MAX_PAGES):
            page = self.page(path, query, page.next)
            items += page.items
            missing.update(dict.fromkeys(page.missing))
            if not page.next:
                break
        return Page(tuple(items), page.next, tuple(missing))

    def whole(self, path: str) -> Page:
        """Return a short list that has no pages and takes no query."""
        return self._list(path, {})

    def change(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """Change something; return the answer as JSON. Raises ConnectError, ControlError."""
        sent = b"" if body is None else msgspec.json.encode(body)
        if not self._token:
            self._token = decode(self.get("token"), _Token).token
        return self._read(Request(PREFIX + path, method=method, body=sent, token=self._token))

    def stream(self, path: str, query: Mapping[str, str], kind: str) -> Answer:
        """Return an answer that goes on, checked to be of this `kind`; the caller closes it."""
        answer = self.way.ask(Request(PREFIX + path, query=_given(query)))
        try:
            answers.check(answer, kind=kind)
        except BaseException:
            answer.close()
            raise
        return answer

    def _list(self, path: str, query: Mapping[str, str]) -> Page:
        try:
            return decode(self.get(path, query), Page)
        except NotFoundError as error:
            # A list is always there, if only an empty one.
            raise ConnectError(
                f"{self.way.shown} knows no {path}: it is older than this program; upgrade it and"
                " restart it"
            ) from error

    def _read(self, request: Request) -> bytes:
        with closing(self.way.ask(request)) as answer:
            body = answers.read(answer)
            self._note_date(answer.header("Date"))
        return body

    def _note_date(self, date: str) -> None:
        """Learn how far the server's clock is from ours; uWSGI alone does not say."""
        try:
            offset_s = parsedate_to_datetime(date).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return
        # A Date has whole seconds, and has been on its way.
        self.clock_offset_s = offset_s if abs(offset_s) > 2 else 0.0


def decode(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Return JSON as a view. Raises ConnectError if it is something else."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ConnectError(
            f"the server's answer is not understood ({error}): is it a much older or newer vpnws"
            " than this program?"
        ) from error


def _given(query: Mapping[str, str] | None) -> dict[str, str]:
    return {name: value for name, value in (query or {}).items() if value}

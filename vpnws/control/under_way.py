"""Bounds the requests of one worker that are under way at once, until their answers are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAX_REQUESTS: Final = 64
"""Requests under way in one worker, streams among them, each of which holds one of uWSGI's cores; a
further one gets 503. With fewer cores than uwsgi.ini has, it is a quarter of them: stations come in
by the others."""


def max_requests(cores: int) -> int:
    """Return how many requests a worker with so many cores takes at once."""
    return min(MAX_REQUESTS, max(1, cores // 4))


class UnderWay:
    """Counts the requests that are under way."""

    def __init__(self, limit: int) -> None:
        """`limit` is how many there may be."""
        self._limit = limit
        self._count = 0

    def begin(self) -> bool:
        """Count a request; False if there are too many, and then it does not count."""
        if self._count >= self._limit:
            return False
        self._count += 1
        return True

    def end(self) -> None:
        """Count one request less."""
        self._count -= 1


class Answer:
    """The body of an answer, which tells when it is over."""

    def __init__(self, body: Iterable[bytes], on_close: Callable[[], None]) -> None:
        """`on_close` is called once, however it ends."""
        self._body = body
        self._on_close: Callable[[], None] | None = on_close

    def __iter__(self) -> Iterator[bytes]:
        """Go through the parts of the body."""
        return iter(self._body)

    def close(self) -> None:
        """End the answer; a WSGI server calls it (PEP 3333)."""
        if self._on_close is not None:
            on_close, self._on_close = self._on_close, None
            on_close()
            getattr(self._body, "close", lambda: None)()

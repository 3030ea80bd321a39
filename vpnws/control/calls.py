"""One request to the control location, what answers it, and the routes that lead there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from vpnws.errors import VpnwsError

if TYPE_CHECKING:
    from vpnws.control.about import About
    from vpnws.control.asks import Peers
    from vpnws.control.caller import Caller
    from vpnws.control.captures import Captures

MAX_BODY_BYTES: Final = 65536
"""A longer body of a request is refused."""
JSON: Final = "application/json"


class CallError(VpnwsError):
    """A request cannot be answered.

    Arguments: the sentence to show, with the remedy, and the HTTP status.
    """

    def __init__(self, sentence: str, status: int = 400) -> None:
        super().__init__(sentence)
        self.status = status


class ErrorView(Struct, frozen=True):
    """Why a request was refused, and what to do about it."""

    error: str


class Stream(Protocol):
    """An answer without an end of its own: each part is sent at once."""

    def __iter__(self) -> Iterator[bytes]:
        """Return itself."""

    def __next__(self) -> bytes:
        """Wait for the next part and return it; raise StopIteration after the last one."""

    def close(self) -> None:
        """End the stream; it is called however it ends, also if no part was asked for."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer to a request."""

    body: bytes | Stream = b""
    content_type: str = JSON
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Live(Protocol):
    """The live streams of one worker."""

    def open(self, open_caller: Callable[[], Caller]) -> Stream:
        """Begin a stream to whoever asks now. Raises CallError if there are too many."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read and judged."""

    peers: Peers
    about: About
    open_caller: Callable[[], Caller]
    """Returns who asks, for a stream to watch. Raises OSError if that has gone already."""
    live: Live
    captures: Captures
    path: dict[str, str] = field(default_factory=dict)
    """The parts of the path that a route names, such as `id`."""
    query: Any = None
    body: Any = None
    by: str = ""
    """Who asks, as the web server says."""
    token: str = ""
    """What a change by this user must carry."""
    accept: str = ""


Handler: TypeAlias = Callable[[Call], "Struct | Response"]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes: a method and a path below api/v1, with what they take and answer."""

    method: str
    path: str
    """Such as `ports/{id}/kick`."""
    handler: Handler
    summary: str
    """One sentence for the documentation."""
    answer: Any
    """The type of the answer; None for one that is not JSON."""
    query: type[Struct] | None = None
    body: type[Struct] | None = None
    content_type: str = JSON

    @property
    def is_change(self) -> bool:
        """Whether the request changes something."""
        return self.method != "GET"

    def match(self, words: list[str]) -> dict[str, str] | None:
        """Return the named parts of a path of `words`, or None if it is another route's."""
        own = self.path.split("/")
        if len(own) != len(words):
            return None
        named = {}
        for part, word in zip(own, words, strict=True):
            if part.startswith("{"):
                named[part[1:-1]] = word
            elif part != word:
                return None
        return named


def to_json(answer: Struct, status: int = 200) -> Response:
    """Return `answer` as JSON."""
    return Response(msgspec.json.encode(answer), status=status)

"""What client and janitor say to each other: one JSON text in each packet of their socket."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from vpnws.client.janitor import changes
from vpnws.client.janitor.machine import ChangeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vpnws.client.janitor.changes import Change

MAX_MESSAGE_BYTES: Final = 131_072
"""A longer message is not sent, nor understood."""
VARIABLES: Final = ("VPNWS_TAP", "VPNWS_MAC", "VPNWS_SERVER", "VPNWS_ADDRESS", "VPNWS_REASON")
"""The variables that a command of --exec or --exec-down gets."""
MAX_VALUE_CHARACTERS: Final = 1000
"""A longer value of such a variable is cut off here."""


@dataclass(frozen=True, slots=True)
class Want:
    """Have these changes, and no others but pins."""

    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class PinOne:
    """Have packets to an address take the way without the device."""

    address: str


@dataclass(frozen=True, slots=True)
class KeepPins:
    """Let go of the pins of all other addresses."""

    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """Run the command of --exec, or of --exec-down, which the janitor knows since its start."""

    is_up: bool
    variables: Mapping[str, str]


Request: TypeAlias = "Want | PinOne | KeepPins | Call"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the janitor says: the number of the request, 0 for none; what failed; what is news."""

    number: int = 0
    failures: tuple[ChangeError, ...] = ()
    said: tuple[str, ...] = ()


def encode_request(number: int, request: Request) -> bytes:
    """Return a request as the janitor reads it."""
    match request:
        case Want():
            body: object = [changes.tell(each) for each in request.changes]
        case PinOne():
            body = request.address
        case KeepPins():
            body = request.addresses
        case Call():
            body = [request.is_up, dict(request.variables)]
    return json.dumps([number, type(request).__name__, body]).encode()


def decode_request(data: bytes) -> tuple[int, Request]:
    """Return the number of a request, and the request. Raises ValueError; nothing is trusted."""
    try:
        number, kind, body = json.loads(data)
        return int(number), _READERS[kind](body)
    except (TypeError, LookupError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"no request: {error}") from error


def encode_answer(answer: Answer) -> bytes:
    """Return an answer as the client reads it; of too long a one the rest is left out."""
    failures = [[str(each), each.lacks_permission] for each in answer.failures]
    said = list(answer.said)
    while len(data := json.dumps([answer.number, failures, said]).encode()) > MAX_MESSAGE_BYTES:
        failures, said = failures[: len(failures) // 2], said[: len(said) // 2]
    return data


def decode_answer(data: bytes) -> Answer:
    """Return the answer that `encode_answer` has encoded."""
    number, failures, said = json.loads(data)
    errors = (ChangeError(text, lacks_permission=lacks) for text, lacks in failures)
    return Answer(number, tuple(errors), tuple(said))


def _read_want(body: list[object]) -> Want:
    return Want(tuple(changes.read(each) for each in body))


def _read_pin(body: object) -> PinOne:
    return PinOne(changes.Pin(str(body)).address)


def _read_kept(body: list[object]) -> KeepPins:
    return KeepPins(tuple(str(each) for each in body))


def _read_call(body: list[Any]) -> Call:
    is_up, given = body
    variables = {name: _safe(str(given.get(name, ""))) for name in VARIABLES}
    return Call(bool(is_up), variables)


def _safe(value: str) -> str:
    """Return a value without what no variable can have, or what would forge a line."""
    shown = "".join(each if each.isprintable() else "?" for each in value)
    return shown[:MAX_VALUE_CHARACTERS]


_READERS: Final[dict[str, Callable[[Any], Request]]] = {
    Want.__name__: _read_want,
    PinOne.__name__: _read_pin,
    KeepPins.__name__: _read_kept,
    Call.__name__: _read_call,
}

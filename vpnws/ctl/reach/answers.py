"""Judges an answer: the body of a good one, or the error that says what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from vpnws.errors import (
    ConnectError,
    ControlError,
    DeniedError,
    IncompleteError,
    NotFoundError,
    VpnwsError,
)
from vpnws.text import MAX_SENTENCE_CHARACTERS, one_line

if TYPE_CHECKING:
    from vpnws.ctl.reach.request import Answer

MAX_ANSWER_BYTES: Final = 16 << 20
"""A longer answer is refused; a page of 1,000 ports has about one MB."""
MAX_REFUSAL_BYTES: Final = 65536
"""So much of an answer that is an error is read."""
JSON: Final = "application/json"
_GRANT: Final = "uwsgi_param VPNWS_ENDPOINT control"
_IS_SWITCH: Final = "This is a vpnws switch"
_WANTS_TLS: Final = re.compile("to (an )?(HTTPS|SSL|TLS)", re.IGNORECASE)
_WANTS_CERTIFICATE: Final = "No required SSL certificate was sent"
_REFUSES_CERTIFICATE: Final = "The SSL certificate error"
"""nginx's words for its statuses 496 and 495, which it sends as 400."""
_OWN: Final[dict[int, type[ControlError]]] = {
    401: DeniedError,
    403: DeniedError,
    404: NotFoundError,
    409: DeniedError,
    503: IncompleteError,
}
"""What an error of the control interface itself means, by its status; others are ControlError."""


class _Refusal(msgspec.Struct):
    error: str


def check(answer: Answer, *, kind: str = JSON) -> None:
    """Return if `answer` is a good one, with a body of this `kind`.

    Raises ControlError for what the control interface says, ConnectError for what others say.
    """
    found = answer.header("Content-Type").partition(";")[0].strip().lower()
    if answer.status == 200 and found == kind:
        return
    body = answer.read(MAX_REFUSAL_BYTES).decode(errors="replace")
    if found == JSON and (sentence := _sentence(body)):
        raise _OWN.get(answer.status, ControlError)(sentence)
    raise _of_others(answer, body)


def read(answer: Answer) -> bytes:
    """Return the body of a good answer in JSON. Raises ConnectError, ControlError."""
    check(answer)
    body = answer.read(MAX_ANSWER_BYTES)
    if len(body) > MAX_ANSWER_BYTES:
        raise ControlError(
            f"the answer of {answer.shown} is longer than {MAX_ANSWER_BYTES >> 20} MiB:"
            " ask for less, with --network or --search"
        )
    return body


def _sentence(body: str) -> str:
    """Return what an error of the control interface says; empty if it is not one."""
    try:
        told = msgspec.json.decode(body, type=_Refusal).error
    except (msgspec.MsgspecError, UnicodeError):
        return ""
    return one_line(told.rstrip("."), max_characters=MAX_SENTENCE_CHARACTERS)


def _of_others(answer: Answer, body: str) -> VpnwsError:
    """Return what to raise for an answer that the control interface did not give."""
    status, shown = answer.status, answer.shown
    if _IS_SWITCH in body:
        return ConnectError(
            f"{shown} is a vpnws, and no control interface answers: either that server is older"
            f" than this program (upgrade it and restart it), or the web server's location lacks"
            f" `{_GRANT}`"
        )
    if status in (401, 403):
        return DeniedError(f"{_DENIED[status].format(shown=shown)} (HTTP {status})")
    if 300 <= status < 400:
        place = one_line(answer.header("Location")) or "somewhere else"
        return ConnectError(f"{shown} points to {place}: give the final URL (HTTP {status})")
    if status == 400 and (why := _why_400(body)):
        return ConnectError(f"{shown}: {why}")
    if status == 200:
        return ConnectError(
            f"what answers at {shown} is not the control interface of a vpnws: --url wants the"
            f" location that has `{_GRANT}`, --socket the switch's vpnws-socket"
        )
    hint = _HINTS.get(status, "the web server's log may say why")
    return ConnectError(f"{shown} answers HTTP {status}: {hint}")


def _why_400(body: str) -> str:
    if _WANTS_TLS.search(body):
        return "that port speaks TLS: use https:// instead of http://"
    if _WANTS_CERTIFICATE in body:
        return "the web server wants a certificate: see --crt and --key"
    if _REFUSES_CERTIFICATE in body:
        return "the web server does not accept the certificate of --crt: has it expired?"
    return ""


_DENIED: Final = {
    401: "{shown} does not accept this user and password: see --user and --password-file",
    403: "{shown} lets neither this user nor this address in: see `allow`, `deny` and"
    " `auth_basic_user_file` in the web server's location",
}
_HINTS: Final = {
    404: f"nothing is there; the URL must be that of the location with `{_GRANT}`",
    405: "that location takes no changes, or is no control interface",
    500: "the switch failed; its log says why",
    502: "the web server cannot reach the switch behind it: is uWSGI running, at the socket that"
    " the web server names?",
    503: "the web server or the switch is overloaded or restarting: try again",
    504: "the switch behind the web server does not answer in time",
}

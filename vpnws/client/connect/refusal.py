"""Why a web server did not upgrade: its own sentence if it is ours, else what its status means."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import Final

from vpnws.client.connect import strangers
from vpnws.client.connect.asked import NOT_WEBSOCKET, Asked
from vpnws.errors import RefusedError
from vpnws.https.tls import CHECK_CERTIFICATE
from vpnws.text import MAX_SENTENCE_CHARACTERS, one_line

MAX_BODY_BYTES: Final = 4096
"""So much of the body of a refusal is read; our own have a few hundred bytes."""
_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r", re.IGNORECASE)
_RETRY_AFTER: Final = re.compile(rb"\r\nretry-after:[ \t]*([^\r\n]{1,64})", re.IGNORECASE)
_DATE: Final = re.compile(rb"\r\ndate:[ \t]*([^\r\n]{1,64})", re.IGNORECASE)
_WANTS_TLS: Final = re.compile("to (an )?(HTTPS|SSL|TLS)", re.IGNORECASE)
"""nginx, Apache and Go's servers (Caddy) say in their body that plain HTTP came "to HTTPS port",
"to an SSL-enabled server port", "to an HTTPS server"."""
_WANTS_CERTIFICATE: Final = "No required SSL certificate was sent"
_REFUSES_CERTIFICATE: Final = "The SSL certificate error"
"""nginx's words for its statuses 496 and 495, which it sends as 400."""
CERTIFICATE_STATUSES: Final = {_WANTS_CERTIFICATE: 496, _REFUSES_CERTIFICATE: 495}
"""What nginx means by such a 400: no retry will change it."""
_HINTS: Final = {
    400: "the web server does not understand the request: check host, port and path",
    403: "this station may not join: ask whoever runs the server",
    404: "nothing is there: check the URL's path",
    502: "the web server cannot reach the switch behind it: is uWSGI running, at the socket that"
    " the web server names, and by the protocol of that socket (nginx: uwsgi_pass)?",
    503: "the switch accepts no station now: it may be full or restarting",
    504: "the switch behind the web server does not answer",
}


def body_bytes(head: bytes) -> int:
    """Return how many bytes of the body to read after `head`; without a length, all that come."""
    found = _LENGTH.search(head)
    return MAX_BODY_BYTES if found is None else min(int(found[1]), MAX_BODY_BYTES)


def refusal(status: int, head: bytes, body: bytes, asked: Asked) -> RefusedError:
    """Return what to raise when a server answered with `status` instead of 101."""
    text = body[:MAX_BODY_BYTES].decode(errors="replace")
    sentence = _own_sentence(status, text)
    reason = f"the server says: {sentence}" if sentence else _reason(status, head, text, asked)
    sentence = f"{reason} (HTTP {status})"
    return RefusedError(_meant(status, text), sentence, _retry_after_s(head))


def _meant(status: int, text: str) -> int:
    """Return the status that nginx means, which is more exact than a 400 that it sends."""
    if status != 400:
        return status
    return next((code for words, code in CERTIFICATE_STATUSES.items() if words in text), status)


def _retry_after_s(head: bytes) -> float | None:
    """Return what Retry-After says (RFC 9110 10.2.3), None if it says nothing that can be read.

    A date counts from the server's own Date, since this machine's clock may be wrong.
    """
    found = _RETRY_AFTER.search(head)
    if found is None:
        return None
    if found[1].strip().isdigit():
        return float(found[1])
    now, then = _time_s(_DATE.search(head)), _time_s(found)
    return None if now is None or then is None else max(0.0, then - now)


def _time_s(field: re.Match[bytes] | None) -> float | None:
    """Return the time in a header's field, in seconds since the epoch, None if there is none."""
    if field is None:
        return None
    try:
        return parsedate_to_datetime(field[1].decode("latin-1")).timestamp()
    except (ValueError, OverflowError):
        return None


def _own_sentence(status: int, text: str) -> str:
    """Return the sentence in a vpnws server's plain text, empty if it is somebody else's.

    Such a text is the status line, an empty line, and the sentence. Longer ones are for browsers.
    """
    first, empty, sentence = f"{text}\n\n".split("\n", 2)
    sentence = sentence.strip()
    if empty or "\n" in sentence or not re.match(f"{status} [A-Z]", first):
        return ""
    return one_line(sentence.rstrip("."), max_characters=MAX_SENTENCE_CHARACTERS)


def _reason(status: int, head: bytes, text: str, asked: Asked) -> str:
    if status == 401:
        if asked.has_token:
            return "the server does not accept this token: is it the right one, and still valid?"
        if not asked.has_login:
            return "the server wants a user and a password: see --user and --password-file"
        hint = "; one of them begins or ends with a space" if asked.has_outer_space else ""
        return f"the server does not accept this user and password{hint}"
    stranger = strangers.reason(status, head, text, asked)
    if stranger:
        return stranger
    if status == 400:
        return _reason_of_400(text, asked)
    return _HINTS.get(status, f"the server did not upgrade to WebSocket: {NOT_WEBSOCKET}")


def _reason_of_400(text: str, asked: Asked) -> str:
    if not asked.secure and _WANTS_TLS.search(text):
        return "that port speaks TLS: use wss:// instead of ws://"
    if _WANTS_CERTIFICATE in text:
        return "the web server wants a certificate of this station: see --crt and --key"
    if _REFUSES_CERTIFICATE in text:
        return f"the web server does not accept this station's certificate: {CHECK_CERTIFICATE}"
    return _HINTS[400]

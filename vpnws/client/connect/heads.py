"""The head of an HTTP/1 answer (RFC 9112), from a web server or a proxy: what it says; no I/O."""

from __future__ import annotations

import re
from typing import Final

MAX_HEAD_BYTES: Final = 16384
"""An answer with a longer head, of a web server or a proxy, is refused; most have a few hundred
bytes."""
END_OF_HEAD: Final = b"\r\n\r\n"
TLS_ALERT: Final = b"\x15\x03"
"""How a TLS alert begins: many TLS servers answer plain HTTP with one."""
NETWORK_AUTHENTICATION_REQUIRED: Final = 511
"""A network wants a login before it lets anything through (RFC 6585 section 6)."""
_BEGIN: Final = b"HTTP/1."
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\r)")
_LOCATION: Final = re.compile(rb"\r\nlocation:[ \t]*([^\r\n]*)", re.IGNORECASE)


def may_begin_head(data: bytes) -> bool:
    """Return whether `data`, as far as it has come, may be the begin of an HTTP/1 answer."""
    return _BEGIN.startswith(data[: len(_BEGIN)])


def status_of(head: bytes) -> int | None:
    """Return the status of an answer, None if its first line is no proper status line."""
    line = _STATUS_LINE.match(head)
    return None if line is None else int(line[1])


def location_of(head: bytes) -> str:
    """Return where a redirection leads, empty if nowhere; it is a stranger's text."""
    found = _LOCATION.search(head)
    return found[1].decode("latin-1") if found else ""

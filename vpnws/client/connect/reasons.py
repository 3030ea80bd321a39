"""What a failed socket means, and what to look at, in words."""

from __future__ import annotations

import errno
import ssl
from typing import Final

TLS_ENDED: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""What TLS raises when the connection ended without an error."""
_HINTS: Final = {
    errno.ECONNREFUSED: "nobody listens there: does the server run, and is the port right?",
    errno.ENETUNREACH: "this machine has no route to there (ip route, ip -6 route)",
    errno.EHOSTUNREACH: "no machine answers at that address",
    errno.ETIMEDOUT: "no answer: is the address right, and does a firewall let the port through?",
}
"""What to look at, by the error of a connect(2)."""


def reason_of(error: OSError) -> str:
    """Return what `error` of a socket or of TLS says, and what to look at."""
    if isinstance(error, TLS_ENDED):
        return "it ended the connection inside TLS; does that port speak TLS?"
    hint = _HINTS.get(error.errno or 0)
    return f"{error.strerror or error}{f', {hint}' if hint else ''}"

"""The client's exit codes: what each one means, and which error leads to it."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from vpnws.client.connect.refusal import CERTIFICATE_STATUSES
from vpnws.errors import (
    ConfigError,
    ConnectError,
    JanitorError,
    NotSwitchError,
    RefusedError,
    TapBusyError,
    TapError,
    TapPermissionError,
    TlsError,
    VpnwsError,
)


class Exit(IntEnum):
    """The exit codes; `MEANINGS` says each one in words."""

    STOPPED = 0
    UNEXPECTED = 1
    USAGE = 2
    TAP_PERMISSION = 3
    TAP_BUSY = 4
    TAP = 5
    REFUSED = 6
    TLS = 7
    CONNECT = 8
    NO_SWITCH = 9
    JANITOR = 10


MEANINGS: Final = {
    Exit.STOPPED: "stopped by SIGINT or SIGTERM",
    Exit.UNEXPECTED: "a defect in this program: please report what it printed",
    Exit.USAGE: "a wrong option, URL, password file or certificate file",
    Exit.TAP_PERMISSION: "no permission to create or set up the TAP device",
    Exit.TAP_BUSY: "another process holds the TAP device",
    Exit.TAP: "the TAP device could not be set up, or went away",
    Exit.REFUSED: "the server refused the user, the station or its certificate (401, 403), or a"
    " proxy refused its user (407)",
    Exit.TLS: "TLS failed: the server's certificate is not accepted, ...",
    Exit.CONNECT: "no connection, or it was lost (only with --once)",
    Exit.NO_SWITCH: "what answers at the URL is no switch (HTTP 404, 400, 426, ...)",
    Exit.JANITOR: "the janitor, which undoes what was set up, is gone: see vpnws-client clean",
}

LOGIN_STATUSES: Final = frozenset((401, 403, 407, *CERTIFICATE_STATUSES.values()))
"""HTTP statuses with which a server turns a user or a station away, and a proxy its user: somebody
must act."""
PASSING_STATUSES: Final = frozenset((408, 425, 429))
"""Refusals by a 4xx that do pass: too slow, too early, too often (RFC 9110, 8470, 6585)."""
LASTING_5XX: Final = frozenset((501, 505))
"""Refusals by a 5xx that do not pass: what answers knows no such request (RFC 9110)."""

_BY_ERROR: Final[tuple[tuple[type[VpnwsError], Exit], ...]] = (
    (ConfigError, Exit.USAGE),
    (TapPermissionError, Exit.TAP_PERMISSION),
    (TapBusyError, Exit.TAP_BUSY),
    (TapError, Exit.TAP),
    (JanitorError, Exit.JANITOR),
    (TlsError, Exit.TLS),
    (ConnectError, Exit.CONNECT),
)


def exit_code(error: VpnwsError) -> Exit:
    """Return the exit code of a program that ends with `error`."""
    if is_login_refused(error):
        return Exit.REFUSED
    if is_no_switch(error):
        return Exit.NO_SWITCH
    for kind, code in _BY_ERROR:
        if isinstance(error, kind):
            return code
    return Exit.UNEXPECTED


def is_login_refused(error: VpnwsError) -> bool:
    """Return whether the server turned this user, station or certificate away."""
    return isinstance(error, RefusedError) and error.status in LOGIN_STATUSES


def is_no_switch(error: VpnwsError) -> bool:
    """Return whether what answered did so in a way that no switch at that URL would.

    It does not speak HTTP, or answers with a web page (2xx), a pointer elsewhere (3xx) or a 4xx:
    the URL or the web server has to be changed. A 5xx passes most often, and so it is asked again.
    """
    if isinstance(error, NotSwitchError):
        return True
    if not isinstance(error, RefusedError) or is_login_refused(error):
        return False
    lasts = error.status < 500 or error.status in LASTING_5XX
    return lasts and error.status not in PASSING_STATUSES


def ends_first_attempt(error: ConnectError) -> bool:
    """Return whether `error` ends a program that was never connected: a retry would not help."""
    return is_login_refused(error) or is_no_switch(error) or isinstance(error, TlsError)

"""The uwsgi vars that say who a station is and what it may do; finds those that are misspelt."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from vpnws.errors import RightsError
from vpnws.server.web.client_vars import CLIENT_VARS

if TYPE_CHECKING:
    from collections.abc import Iterable

NETWORK: Final = "VPNWS_NETWORK"
ROLE: Final = "VPNWS_ROLE"
ALLOW: Final = "VPNWS_ALLOW"
BRIDGE: Final = "VPNWS_BRIDGE"
ENDPOINT: Final = "VPNWS_ENDPOINT"
"""What a location is: the control location if it says so, else where stations join."""
KNOWN: Final = (NETWORK, ROLE, ALLOW, BRIDGE, ENDPOINT, *CLIENT_VARS)
_USER: Final = "REMOTE_USER"
"""Who a station is. A misspelt one would let it in as nobody, whose MACs are not protected."""
_READ: Final = (*KNOWN, _USER)
_PREFIX: Final = "VPNWS"
_WITHOUT_PREFIX: Final = {name.removeprefix(f"{_PREFIX}_"): name for name in KNOWN}
"""Names of rights without our prefix, such as NETWORK, which would grant nothing."""
_INITIALS: Final = "VvRrNnAaBb"
"""How the names that we read begin, with and without our prefix."""
_HEADER: Final = "HTTP_"
"""How uWSGI names a header of the request, which is the client's word and grants nothing."""
_CLOSE: Final = 0.85
"""How alike (0 to 1) a name without our prefix must be to one that we read to be a misspelling."""


def check_names(names: Iterable[str]) -> None:
    """See that each of a request's variables `names` that is meant for vpnws is one it knows.

    Raises RightsError with the name and the nearest known one: a station must not get more than
    it should because a right is misspelt.
    """
    for name in names:
        # The cheap tests first: a request has some 40 variables.
        if name in _READ or name.startswith(_HEADER) or name[:1] not in _INITIALS:
            continue
        spelt = name.upper().replace("-", "_")
        spelt = _WITHOUT_PREFIX.get(spelt, spelt)
        near = get_close_matches(spelt, _READ, n=1, cutoff=_CLOSE)
        if near or spelt.startswith(_PREFIX):
            meant = near[0] if near else f"one of {', '.join(KNOWN)}"
            raise RightsError(f"{name} is not known; perhaps {meant} is meant")

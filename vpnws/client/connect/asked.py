"""How the client asked for the upgrade, as far as it explains a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NOT_WEBSOCKET: Final = "check the URL's path, and that the web server in front passes upgrades on"
"""What to look at when something answers, and is no switch."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How the client asked, as far as it explains a refusal."""

    secure: bool
    """Whether it asked over TLS."""
    has_login: bool
    """Whether it sent a user and a password."""
    has_token: bool = False
    """Whether it sent another kind of login, such as a bearer token."""
    has_outer_space: bool = False
    """Whether user or password begins or ends with a space, which nobody sees in a file."""
    is_verified: bool = True
    """Whether the server's certificate was verified, if it asked over TLS."""
    host: str = ""
    """The server's name."""

"""What control knows of the server that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class About:
    """What control knows of the server that it belongs to."""

    version: str
    mode: str
    since_s: float
    """When the server started, in Unix time."""
    unix_s: Callable[[], float]
    """Returns the Unix time."""

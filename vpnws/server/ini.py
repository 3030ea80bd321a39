"""What uwsgi.ini tells the application in the variables `VPNWS_INI_*`: the values that it saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS: Final = ("socket", "http", "fdb-items", "tap", "exec")
"""Settings that uwsgi.ini itself uses: a value that is given after the file comes too late."""
_PREFIX: Final = "VPNWS_INI_"
_UNKNOWN: Final = "%("
"""How a placeholder begins that uWSGI does not know and therefore leaves as it is."""


def seen(environment: Mapping[str, str], name: str) -> str | None:
    """Return the value that uwsgi.ini saw of the setting or option `name`, empty if it was not set.

    None if the server was not started with our uwsgi.ini.
    """
    value = environment.get(_PREFIX + name.replace("-", "_").upper())
    return "" if value is not None and value.startswith(_UNKNOWN) else value

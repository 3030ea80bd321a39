"""What uwsgi.ini tells the application in the variables `VPNWS_INI_*`: the values that it saw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

SETTINGS: Final = ("socket", "http", "fdb-items", "tap", "exec", "log")
"""Settings that uwsgi.ini itself uses: a value that is given after the file comes too late."""
CHECK: Final = "VPNWS_CHECK"
"""Is set in the environment of a uWSGI that is only to check its settings."""
CHECKED: Final = "the settings can be used"
"""What such a uWSGI logs when they are right."""
RELOADS: Final = "UWSGI_RELOADS"
"""Where uWSGI counts its reloads; it is not set before the first start."""
STARTED: Final = "VPNWS_STARTED"
"""Where the application puts the number of reloads once it is loaded: uWSGI itself has no more
reason to give this start up."""
_PREFIX: Final = "VPNWS_INI_"
_UNKNOWN: Final = "%("
"""How a placeholder begins that uWSGI does not know and therefore leaves as it is."""


def seen(environment: Mapping[str, str], name: str) -> str | None:
    """Return the value that uwsgi.ini saw of the setting or option `name`, empty if it was not set.

    None if the server was not started with our uwsgi.ini.
    """
    value = environment.get(_PREFIX + name.replace("-", "_").upper())
    return "" if value is not None and value.startswith(_UNKNOWN) else value


def log_form(environment: Mapping[str, str], options: Mapping[str, str]) -> str:
    """Return the form that the log shall have before the settings are read.

    A check is read by the person who started it, or by our own program: that one is text.
    """
    if only_checks(environment):
        return "text"
    return options.get("vpnws-log") or seen(environment, "log") or "text"


def is_reload(environment: Mapping[str, str]) -> bool:
    """Tell whether uWSGI has started itself anew, so that it has its sockets and TAPs already."""
    return environment.get(RELOADS, "0") != "0"


def note_start(environment: MutableMapping[str, str]) -> None:
    """Note that this start has gone well, for programs that uWSGI runs later."""
    environment[STARTED] = environment.get(RELOADS, "0")


def has_started(environment: Mapping[str, str]) -> bool:
    """Tell whether the newest start, or reload, has gone well."""
    return environment.get(STARTED) == environment.get(RELOADS, "0")


def only_checks(environment: Mapping[str, str]) -> bool:
    """Tell whether this uWSGI only checks its settings, so that it must leave all as it is."""
    return bool(environment.get(CHECK))

"""The uWSGI options that end healthy workers, and so cut off their stations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

REFUSED: Final = {
    "idle": "stations send frames and no requests, so it takes the server for idle and ends every"
    " worker each time",
    "cheaper": "it ends workers that have no requests, and a worker full of stations has none",
    "max-requests": "it ends a worker after that many stations have joined",
    "max-worker-lifetime": "it ends every worker after that time",
    "exit-on-reload": "a reload ends the server",
    "python-worker-override": "workers run that program instead of the switch",
}
"""Options that cut stations off although nothing is wrong, and how."""
REFUSED_WITH_NATIVE: Final = {
    "harakiri": "with vpnws-receiver = native a station is a request, so it kills the worker when"
    " one has been there for that long",
}
"""Options that do so with one of the two receivers."""
_MEMORY: Final = (
    "a worker that takes that much memory is ended, and its stations have to connect again;"
    " thousands of stations may take that much"
)
WARNED: Final = {
    "reload-on-rss": _MEMORY,
    "reload-on-as": _MEMORY,
    "evil-reload-on-rss": _MEMORY,
    "evil-reload-on-as": _MEMORY,
    "reload-on-exception": "an error at one station ends its worker, and the other stations of that"
    " worker have to connect again",
}
"""Options that cut stations off for a reason that an admin may have, and what they do."""


def is_set(options: Mapping[str, str], name: str) -> bool:
    """Return whether option `name` is given and is not 0 or false, which turn it off."""
    return options.get(name, "0") not in ("0", "false")


def check_recycling(options: Mapping[str, str], receiver: str) -> None:
    """Refuse options that cut stations off although nothing is wrong.

    Raises ConfigError with the option, what it does and what to do.
    """
    native = REFUSED_WITH_NATIVE if receiver == "native" else {}
    for name, why in {**REFUSED, **native}.items():
        if is_set(options, name):
            raise ConfigError(f"{name} would cut stations off: {why}; remove it")


def warnings(options: Mapping[str, str]) -> list[str]:
    """Return a sentence for each option that cuts stations off for a reason."""
    return [f"{name} is set: {why}" for name, why in WARNED.items() if is_set(options, name)]

"""Reads the server's settings from uWSGI's placeholders; refuses what cannot be meant."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from vpnws.config import PREFIX, Settings, placeholder_names
from vpnws.declare import parse
from vpnws.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CLOSE: Final = 0.8
"""How alike (0 to 1) a placeholder without our prefix must be to a setting to be a misspelling."""
_NEEDS: Final = {
    "webhook_events": "webhook",
    "webhook_secret_file": "webhook",
    "webhook_ca": "webhook",
    "leases": "pool",
    "fixed": "pool",
}
"""Settings that mean nothing without another one."""


def read_settings(options: Mapping[str, str]) -> Settings:
    """Return the settings in `options`, which are uWSGI's options and placeholders.

    Raises ConfigError with the setting, its value and what is allowed. It also does so for a name
    that begins (nearly) with `vpnws-` and is not a setting, and for contradicting settings.
    """
    known = placeholder_names()
    by_name = {item.name: item for item in fields(Settings)}
    values: dict[str, Any] = {}
    for name, text in options.items():
        if name in known:
            values[known[name]] = parse(name, text.strip(), by_name[known[name]])
        else:
            _check_meant(name, text, known)
    settings = Settings(**values)
    _check_together(settings)
    return settings


def _check_meant(name: str, text: str, known: Iterable[str]) -> None:
    """Check that `name`, which is not a setting, was not meant to be one. Raises ConfigError."""
    spelt = "-".join(name.lower().replace("_", "-").split())
    if not spelt.startswith(PREFIX[0]):
        return
    is_ours = spelt.startswith(PREFIX)
    # Nothing of uWSGI's that begins with a v is that much like a setting of ours.
    near = get_close_matches(spelt, known, n=1, cutoff=_CLOSE)
    if is_ours and not near:
        near = get_close_matches(spelt, known, n=3, cutoff=0.5)
    if name.strip() in known:
        setting = name.strip()
        raise ConfigError(
            f"{name!r} is not a setting because of the blanks in it: leave none around the =, as in"
            f" set-placeholder = {setting}={text.strip()}"
        )
    if near or is_ours:
        raise ConfigError(
            f"{name} is not a setting; did you mean {' or '.join(near) or 'another'}?"
            " docs/settings.md has them all"
        )


def _check_together(settings: Settings) -> None:
    if settings.ping_every_s >= settings.dead_after_s:
        raise ConfigError(
            f"vpnws-ping-every = {settings.ping_every_s} must be less than vpnws-dead-after ="
            f" {settings.dead_after_s}, or a quiet station is closed before it is asked"
        )
    if len(settings.tap) > settings.max_networks:
        raise ConfigError(
            f"vpnws-tap names {len(settings.tap)} networks and vpnws-max-networks is"
            f" {settings.max_networks}"
        )
    networks = {network for network, _ in settings.tap}
    for network, mac in settings.pinned_macs:
        if network not in networks:
            raise ConfigError(
                f"vpnws-pinned-macs has {mac.hex(':')} in network {network}, which has no TAP: see"
                " vpnws-tap"
            )
    learned = settings.uplink_limit * len(settings.tap)
    if learned >= settings.fdb_items:
        raise ConfigError(
            f"vpnws-fdb-items = {settings.fdb_items} must be more than the {learned} MACs that"
            " vpnws-uplink-limit lets the TAPs bring, or stations find no room"
        )
    if (settings.mode == "switch") == bool(settings.tap):
        raise ConfigError(
            f"vpnws-mode = {settings.mode} goes {'without' if settings.tap else 'with'} a TAP, and"
            f" vpnws-tap is {'set' if settings.tap else 'not set'}: a switch has none, a bridge and"
            " a router need one"
        )
    _check_needs(settings)
    if settings.exec and not settings.tap:
        raise ConfigError(
            "vpnws-exec is set and vpnws-tap is not: it runs when a TAP is up, so it would never"
            " run; leave it out, or set vpnws-mode and vpnws-tap"
        )


def _check_needs(settings: Settings) -> None:
    if settings.dhcp != "off" and all(pool.version == 6 for pool in settings.pool):
        raise ConfigError(
            f"vpnws-dhcp is {settings.dhcp} and there are no addresses of IPv4 to give: set"
            " vpnws-pool, such as 10.8.0.0/24"
        )
    if settings.on_connect_may_refuse and not settings.on_connect:
        raise ConfigError(
            "vpnws-on-connect-may-refuse is on and vpnws-on-connect is not set: nothing would ever"
            " refuse; set it too"
        )
    for name, other in _NEEDS.items():
        if getattr(settings, name) and not getattr(settings, other):
            raise ConfigError(
                f"{PREFIX}{name.replace('_', '-')} is set and {PREFIX}{other} is not: set"
                f" {'the URL' if other == 'webhook' else 'it too'}"
            )

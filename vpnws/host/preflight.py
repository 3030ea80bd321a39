"""What must be true of uWSGI's configuration before the switch can run in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_USED_BY_INI: Final = ("vpnws-socket", "vpnws-http", "vpnws-fdb-items")
"""Settings that uwsgi.ini puts into an option of uWSGI's own, as it lists them in VPNWS_USED."""
_TLS_IN_WORKER: Final = ("https-socket", "https-socket-modifier1", "ssl-socket", "suwsgi-socket")


def check_options(options: Mapping[str, str], receiver: str, used: str) -> None:
    """Refuse uWSGI options that the switch cannot work with.

    `used` is what uwsgi.ini saw of the settings it uses itself (its variable VPNWS_USED).

    Raises ConfigError with the option, the reason and what to use instead.
    """
    for name in _TLS_IN_WORKER:
        if name in options:
            raise ConfigError(
                f"{name} puts TLS inside the worker, where the switch cannot write to a station"
                " directly; use uWSGI's https router (https = ... with http-websockets = true) or"
                " nginx in front (deploy/nginx.conf)"
            )
    if "gevent" not in options:
        raise ConfigError("gevent is not set: the switch needs it (gevent = 64, as in uwsgi.ini)")
    for name in ("lazy-apps", "lazy"):
        if options.get(name) not in (None, "false"):
            raise ConfigError(
                f"{name} is set: the workers' bus is made before they are forked; remove it"
            )
    if "master" not in options:
        raise ConfigError("master is not set: nobody would start a dead worker again; set it")
    if "name=fdb" not in options.get("cache2", ""):
        raise ConfigError(
            "there is no cache for the FDB: set cache2 = name=fdb,... (see uwsgi.ini)"
        )
    _check_late(options, used)
    if receiver == "native" and "websockets-pong-tolerance" not in options:
        raise ConfigError(
            "vpnws-receiver = native needs a large websockets-pong-tolerance, or stations that"
            " never answer a ping are closed; set it as uwsgi.ini does"
        )


def _check_late(options: Mapping[str, str], used: str) -> None:
    for name, value in zip(_USED_BY_INI, used.split(), strict=False):
        given = options[name]
        if given != value:
            raise ConfigError(
                f"{name} = {given} came after uwsgi.ini had used {value}: give it before the file"
                f" (uwsgi --set-placeholder {name}={given} --ini uwsgi.ini)"
            )

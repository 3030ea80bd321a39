"""What must be true of uWSGI's configuration before the switch can run in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.config import PREFIX, Settings
from vpnws.errors import ConfigError
from vpnws.server import ini
from vpnws.server.peers.shared_rules import MAX_RULE_BYTES, RULE_KEY_BYTES
from vpnws.server.recycling import check_recycling
from vpnws.server.uwsgi import FDB_CACHE, RULES_CACHE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from vpnws.server.uwsgi import Uwsgi

MIN_CORES: Final = 2
"""The smallest number of cores with which uWSGI runs gevent."""
MIN_KEY_BYTES: Final = 16
"""The shortest `keysize` of the FDB's cache."""
MIN_VALUE_BYTES: Final = 64
"""The shortest `blocksize` of the FDB's cache."""
MIN_REQUEST_BYTES: Final = 4096
"""The shortest `buffer-size`: uWSGI's own default."""
_CACHES: Final = (
    (FDB_CACHE, "the FDB", (MIN_KEY_BYTES, MIN_VALUE_BYTES)),
    (RULES_CACHE, "the operator's rules", (RULE_KEY_BYTES, MAX_RULE_BYTES)),
)
_TLS_IN_WORKER: Final = ("https-socket", "https-socket-modifier1", "ssl-socket", "suwsgi-socket")


def check_options(
    options: Mapping[str, str], settings: Settings, environment: Mapping[str, str]
) -> None:
    """Refuse uWSGI options that the switch cannot work with.

    `environment` has what uwsgi.ini saw of the settings it uses itself.

    Raises ConfigError with the option, the reason and what to use instead.
    """
    _check_tls(options)
    for name in ("lazy-apps", "lazy"):
        if options.get(name) not in (None, "false"):
            raise ConfigError(
                f"{name} is set: the workers' bus is made before they are forked; remove it"
            )
    if "master" not in options:
        raise ConfigError("master is not set: nobody would start a dead worker again; set it")
    _check_requests(options)
    check_recycling(options, settings.receiver)
    _check_late(options, environment)
    if settings.tap:
        _check_uplink(options, environment)
    if settings.receiver == "native" and "websockets-pong-tolerance" not in options:
        raise ConfigError(
            "vpnws-receiver = native needs a large websockets-pong-tolerance, or stations that"
            " never answer a ping are closed; set it as uwsgi.ini does"
        )


def check_engine(engine: str, cores: int, options: Mapping[str, str]) -> None:
    """Check that the workers run gevent, with as many cores as gevent assumes.

    `engine` and `cores` are what uWSGI has made of `options`. Raises ConfigError.
    """
    if not engine:
        raise ConfigError("gevent is not set: the switch needs it (gevent = 256, as in uwsgi.ini)")
    if engine != "gevent":
        raise ConfigError(
            f"uWSGI's loop engine is {engine} and the switch needs gevent: remove the option that"
            " sets another one (loop, or one named for that engine)"
        )
    # With threads uWSGI gives a worker one core per thread, and gevent writes past the last one.
    if options.get("threads", "1") not in ("0", "1") or str(cores) not in (
        options.get("gevent"),
        options.get("async"),
    ):
        raise ConfigError(
            f"each worker has {cores} cores and gevent assumes {options.get('gevent', 'more')}:"
            " workers would crash; remove threads, which cannot be used with gevent"
        )
    if cores < MIN_CORES:
        raise ConfigError(f"gevent = {cores} is less than the {MIN_CORES} that uWSGI needs for it")


def check_listeners(descriptors: Collection[int]) -> None:
    """Check that uWSGI listens at each of its addresses. Raises ConfigError.

    Of two that are the same it uses the first and says nothing; every worker would end at once.
    """
    if any(descriptor < 0 for descriptor in descriptors):
        raise ConfigError(
            "two of socket, http-socket, vpnws-socket and vpnws-http are the same address: leave"
            " one out (the project's ini opens vpnws-socket and vpnws-http by itself)"
        )


def check_caches(uwsgi: Uwsgi) -> None:
    """See that there is a cache for the FDB and one for rules, which take our keys and values.

    uWSGI drops in silence what does not fit. Raises ConfigError.
    """
    for cache, what, (key_bytes, value_bytes) in _CACHES:
        key, value = bytes(key_bytes), bytes(value_bytes)
        fits = uwsgi.cache_put(key, value, cache) and uwsgi.cache_get(key, cache) == value
        uwsgi.cache_delete(key, cache)
        if not fits:
            raise ConfigError(
                f"there is no cache {cache} that takes keys of {key_bytes} bytes and values of"
                f" {value_bytes}, for {what}: set cache2 as uwsgi.ini does"
            )


def _check_tls(options: Mapping[str, str]) -> None:
    for name in _TLS_IN_WORKER:
        if name in options:
            raise ConfigError(
                f"{name} puts TLS inside the worker, where the switch cannot write to a station"
                " directly; use uWSGI's https router (https = ... with http-websockets = true) or"
                " nginx in front (deploy/nginx.conf)"
            )


def _check_requests(options: Mapping[str, str]) -> None:
    """See that a handshake can be read: else uWSGI resets every connection."""
    size = options.get("buffer-size", "")
    if size.isdigit() and int(size) < MIN_REQUEST_BYTES:
        raise ConfigError(
            f"buffer-size = {size} is too short for the headers of a handshake: set"
            f" {MIN_REQUEST_BYTES} or more, as uwsgi.ini does"
        )
    if options.get("socket-timeout") == "0":
        raise ConfigError("socket-timeout = 0 leaves no time for a handshake: remove it")


def _check_late(options: Mapping[str, str], environment: Mapping[str, str]) -> None:
    for name in ini.SETTINGS:
        setting = PREFIX + name
        seen = ini.seen(environment, name)
        given = options.get(setting)
        if seen is not None and given is not None and given != seen:
            raise ConfigError(
                f"{setting} = {given} came after uwsgi.ini had used {seen!r}: give it before the"
                f" file (uwsgi --set-placeholder {setting}={given} --ini uwsgi.ini)"
            )


def _check_uplink(options: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """See that the mule is there, and that it may open what uwsgi.ini made before this."""
    if "mule" not in options:
        raise ConfigError("vpnws-tap is set and there is no mule for it: set mule = vpnws_app:mule")
    made_for = ini.seen(environment, "uid")
    uid = options.get("uid", "")
    if made_for is not None and uid != made_for:
        raise ConfigError(
            f"uid is {uid or 'not set'}, and uwsgi.ini made the TAPs for {made_for or 'root'}:"
            " give uid once, on the command line or in the site's ini"
        )

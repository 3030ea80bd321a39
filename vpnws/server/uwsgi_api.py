"""What vpnws asks of uWSGI: the one module that imports `uwsgi`."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

import uwsgi

if TYPE_CHECKING:
    from collections.abc import Callable

FDB_CACHE: Final = "fdb"
"""Name of the uWSGI cache that uwsgi.ini makes for the FDB."""


def options() -> dict[str, str]:
    """Return uWSGI's options and placeholders as text; of one given twice uWSGI tells the last."""
    return {name: _as_text(value) for name, value in uwsgi.opt.items()}


def workers() -> int:
    """Return how many worker processes there are."""
    return uwsgi.numproc


def worker_id() -> int:
    """Return this worker's number from 1; 0 in the master and in mules."""
    return uwsgi.worker_id()


def mule_id() -> int:
    """Return this mule's number from 1; 0 in the master and in workers."""
    return uwsgi.mule_id()


def stop_all() -> None:
    """Have the master stop everything, as Ctrl-C does."""
    os.kill(uwsgi.masterpid(), signal.SIGINT)


def on_fork(callback: Callable[[], None]) -> None:
    """Have `callback` called in every worker and mule, right after it is forked."""
    uwsgi.post_fork_hook = callback


def on_exit(callback: Callable[[], None]) -> None:
    """Have `callback` called when a process ends; under gevent it may be called twice."""
    uwsgi.atexit = callback


def handshake(subprotocol: str) -> int:
    """Answer the current request with 101; return its connection's descriptor, which uWSGI owns.

    An empty `subprotocol` is right only when the client offered none: uWSGI then echoes the offer.
    Raises OSError when the answer cannot be written.
    """
    uwsgi.websocket_handshake("", "", subprotocol)
    return connection()


def connection() -> int:
    """Return the descriptor of the current request's connection, which uWSGI owns."""
    return uwsgi.connection_fd()


def receive_message() -> bytes:
    """Return the current request's next message; b"" when there is none. Raises OSError at the end.

    It may write to the connection (pongs, close): never call it with a message half written.
    """
    return uwsgi.websocket_recv_nb()


def cache_get(key: bytes) -> bytes | None:
    """Read the FDB cache."""
    return uwsgi.cache_get(key, FDB_CACHE)


def cache_put(key: bytes, value: bytes, expires_s: int) -> bool:
    """Write the FDB cache; False when it is full."""
    return bool(uwsgi.cache_update(key, value, expires_s, FDB_CACHE))


def cache_delete(key: bytes) -> None:
    """Remove from the FDB cache."""
    uwsgi.cache_del(key, FDB_CACHE)


def cache_keys() -> list[bytes]:
    """Return every key of the FDB cache."""
    return uwsgi.cache_keys(FDB_CACHE)


def _as_text(value: bytes | bool) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value).lower()

"""The real uWSGI: the one module that imports `uwsgi`, which exists inside uWSGI only."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

try:
    import uwsgi
except ModuleNotFoundError:
    sys.exit("vpnws: this runs inside uWSGI only: .venv/bin/uwsgi --ini uwsgi.ini")

from vpnws.server.uwsgi import FDB_CACHE, options_as_text

if TYPE_CHECKING:
    from collections.abc import Callable


class UwsgiApi:
    """A `Uwsgi`: the process that this code runs in."""

    def options(self) -> dict[str, str]:
        """Return uWSGI's options and placeholders as text; of one given twice, the last."""
        return options_as_text(uwsgi.opt)

    def workers(self) -> int:
        """Return how many worker processes there are."""
        return uwsgi.numproc

    def engine(self) -> str:
        """Return the name of the loop engine that the workers run; empty for uWSGI's plain one."""
        return (uwsgi.loop or b"").decode()

    def cores(self) -> int:
        """Return how many requests each worker can hold at once."""
        return uwsgi.cores

    def listeners(self) -> list[int]:
        """Return the descriptors that uWSGI listens at, -1 for each address that it gave up."""
        return uwsgi.sockets

    def worker_id(self) -> int:
        """Return this worker's number from 1; 0 in the master and in mules."""
        return uwsgi.worker_id()

    def mule_id(self) -> int:
        """Return this mule's number from 1; 0 in the master and in workers."""
        return uwsgi.mule_id()

    def process_id(self) -> int:
        """Return the number that the operating system gave this process."""
        return os.getpid()

    def max_fds(self) -> int:
        """Return how many descriptors a process may have open (RLIMIT_NOFILE, getrlimit(2))."""
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return limit if limit != resource.RLIM_INFINITY else sys.maxsize

    def master_threads(self) -> int:
        """Return how many threads the master has, its first one included; 0 if that is hidden."""
        try:
            return len(os.listdir(f"/proc/{uwsgi.masterpid()}/task"))
        except OSError:
            return 0

    def stop_all(self) -> None:
        """Have the master stop everything, as Ctrl-C does."""
        os.kill(uwsgi.masterpid(), signal.SIGINT)

    def on_fork(self, callback: Callable[[], None]) -> None:
        """Have `callback` called in every worker and mule, right after it is forked."""
        uwsgi.post_fork_hook = callback

    def on_exit(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when a process ends; under gevent it may be called twice."""
        uwsgi.atexit = callback

    def end_process(self, status: int = 0) -> NoReturn:
        """End this process at once, with its log written out."""
        logging.shutdown()
        # Not by way of exit(): uWSGI would finalize the interpreter under gevent's hub and crash.
        os._exit(status)

    def connection(self) -> int:
        """Return the descriptor of the current request's connection, which uWSGI owns."""
        return uwsgi.connection_fd()

    def own_connection(self) -> socket.socket:
        """Return a socket of the caller's own for the current request's connection."""
        return socket.socket(fileno=os.dup(self.connection()))

    def receive_message(self) -> bytes:
        """Return the current request's next message; b"" when there is none."""
        return uwsgi.websocket_recv_nb()

    def cache_get(self, key: bytes, cache: str = FDB_CACHE) -> bytes | None:
        """Read a cache."""
        return uwsgi.cache_get(key, cache)

    def cache_put(self, key: bytes, value: bytes, cache: str = FDB_CACHE) -> bool:
        """Write a cache; False when it is full."""
        # uWSGI's own expiry would follow the wall clock, which an admin or NTP may step.
        never = 0
        return bool(uwsgi.cache_update(key, value, never, cache))

    def cache_delete(self, key: bytes, cache: str = FDB_CACHE) -> None:
        """Remove from a cache."""
        uwsgi.cache_del(key, cache)

    def cache_keys(self, cache: str = FDB_CACHE) -> list[bytes]:
        """Return every key of a cache."""
        return uwsgi.cache_keys(cache)

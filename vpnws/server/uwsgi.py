"""What the server asks of uWSGI, so that a test can pass in its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NoReturn, Protocol, TypeAlias

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

Option: TypeAlias = "bytes | Literal[True]"
"""An option or placeholder as uWSGI tells it; True stands for one without a value."""
FDB_CACHE: Final = "fdb"
"""Name of the uWSGI cache that uwsgi.ini makes for the FDB."""
RULES_CACHE: Final = "rules"
"""Name of the uWSGI cache that uwsgi.ini makes for the operator's rules."""


def options_as_text(options: Mapping[str, Option]) -> dict[str, str]:
    """Return uWSGI's options and placeholders as text; one without a value is "true"."""
    return {
        name: value.decode(errors="replace") if isinstance(value, bytes) else str(value).lower()
        for name, value in options.items()
    }


class Uwsgi(Protocol):
    """The uWSGI process that the code runs in."""

    def options(self) -> dict[str, str]:
        """Return uWSGI's options and placeholders as text; of one given twice, the last."""

    def workers(self) -> int:
        """Return how many worker processes there are."""

    def engine(self) -> str:
        """Return the name of the loop engine that the workers run; empty for uWSGI's plain one."""

    def cores(self) -> int:
        """Return how many requests each worker can hold at once."""

    def listeners(self) -> list[int]:
        """Return the descriptors that uWSGI listens at, -1 for each address that it gave up."""

    def worker_id(self) -> int:
        """Return this worker's number from 1; 0 in the master and in mules."""

    def mule_id(self) -> int:
        """Return this mule's number from 1; 0 in the master and in workers."""

    def process_id(self) -> int:
        """Return the number that the operating system gave this process."""

    def max_fds(self) -> int:
        """Return how many descriptors a process may have open (RLIMIT_NOFILE, getrlimit(2))."""

    def master_threads(self) -> int:
        """Return how many threads the master has, its first one included; 0 if that is hidden."""

    def stop_all(self) -> None:
        """Have the master stop everything, as Ctrl-C does."""

    def on_fork(self, callback: Callable[[], None]) -> None:
        """Have `callback` called in every worker and mule, right after it is forked."""

    def on_exit(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when a process ends; under gevent it may be called twice."""

    def end_process(self, status: int = 0) -> NoReturn:
        """End this process at once with an exit `status`, when its log is written out.

        Nothing that uWSGI does at the end is done. It may be called in a mule.
        """

    def connection(self) -> int:
        """Return the descriptor of the current request's connection.

        uWSGI owns it, and closes it when the request is over. Raises OSError when the connection
        is gone.
        """

    def own_connection(self) -> socket.socket:
        """Return a socket of the caller's own for the current request's connection.

        It outlives the request. Raises OSError when the connection is gone.
        """

    def receive_message(self) -> bytes:
        """Return the current request's next message; b"" when there is none.

        It may write to the connection (pongs, close): never call it with a message half written.
        Raises OSError at the connection's end.
        """

    def cache_get(self, key: bytes, cache: str = FDB_CACHE) -> bytes | None:
        """Return what a cache has under `key`, None if nothing."""

    def cache_put(self, key: bytes, value: bytes, cache: str = FDB_CACHE) -> bool:
        """Write a cache, for good; False when it is full."""

    def cache_delete(self, key: bytes, cache: str = FDB_CACHE) -> None:
        """Remove `key` from a cache, if it is there."""

    def cache_keys(self, cache: str = FDB_CACHE) -> list[bytes]:
        """Return every key of a cache."""

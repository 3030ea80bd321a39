"""What the server asks of uWSGI, so that a test can pass in its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

FDB_CACHE: Final = "fdb"
"""Name of the uWSGI cache that uwsgi.ini makes for the FDB."""


class Uwsgi(Protocol):
    """The uWSGI process that the code runs in."""

    def options(self) -> dict[str, str]:
        """Return uWSGI's options and placeholders as text; of one given twice, the last."""

    def workers(self) -> int:
        """Return how many worker processes there are."""

    def worker_id(self) -> int:
        """Return this worker's number from 1; 0 in the master and in mules."""

    def mule_id(self) -> int:
        """Return this mule's number from 1; 0 in the master and in workers."""

    def stop_all(self) -> None:
        """Have the master stop everything, as Ctrl-C does."""

    def on_fork(self, callback: Callable[[], None]) -> None:
        """Have `callback` called in every worker and mule, right after it is forked."""

    def on_exit(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when a process ends; under gevent it may be called twice."""

    def handshake(self, subprotocol: str) -> int:
        """Answer the current request with 101; return the descriptor of its connection.

        uWSGI owns that descriptor. An empty `subprotocol` is right only when the client offered
        none: uWSGI then echoes the offer. Raises OSError when the answer cannot be written.
        """

    def connection(self) -> int:
        """Return the descriptor of the current request's connection, which uWSGI owns."""

    def receive_message(self) -> bytes:
        """Return the current request's next message; b"" when there is none.

        It may write to the connection (pongs, close): never call it with a message half written.
        Raises OSError at the connection's end.
        """

    def cache_get(self, key: bytes) -> bytes | None:
        """Return what the FDB cache has under `key`, None if nothing or if that has expired."""

    def cache_put(self, key: bytes, value: bytes, expires_s: int) -> bool:
        """Write the FDB cache, for `expires_s` seconds; False when it is full."""

    def cache_delete(self, key: bytes) -> None:
        """Remove `key` from the FDB cache, if it is there."""

    def cache_keys(self) -> list[bytes]:
        """Return every key of the FDB cache."""

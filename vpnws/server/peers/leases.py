"""The table of leases that all workers share: an SQLite file, so that leases outlive the server.

A worker forwards frames in the same thread, so it must not wait for a disk. In WAL mode with
`synchronous = NORMAL` a commit writes to the kernel's memory and waits for nothing; only a
checkpoint waits for the disk. The process for hooks does that (`checkpoint`), which nobody waits
for. If the power fails, the newest leases may be lost, but the file is whole
(https://www.sqlite.org/pragma.html#pragma_synchronous).

Every process opens the file for itself, after the fork, and again if it was replaced.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from math import inf
from typing import TYPE_CHECKING, Any, Final

from vpnws.errors import LeaseError
from vpnws.server.peers.lease_file import BUSY_S, code_of, id_of, open_file, sentence_of
from vpnws.server.peers.lease_rows import COLUMNS, PUT, row_of, values_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vpnws.lease.pool import Address
    from vpnws.lease.table import Row

MAX_TRIES: Final = 100
"""A process tries this often, without a pause, to change the table while another one changes it:
that takes about 0.1 ms each time. Then it waits for BUSY_S. If that was in vain too, it tries once
only until a change has succeeded: who holds the table may be hanging."""
RETRY_S: Final = 5.0
"""A table of leases that cannot be opened is tried again after this time."""

_BEGIN: Final = "BEGIN IMMEDIATE"


class LeaseFile:
    """A Table in a file."""

    def __init__(
        self, path: str, token: str, now: Callable[[], float], on_begin: Callable[[], object]
    ) -> None:
        """Use the file `path`; nothing is opened before the first use.

        `token` is the server's, new at each start and reload. The first process of a server that
        opens the file calls `on_begin`, before anything else is done with it. `now` returns seconds
        on a clock that only goes forward.
        """
        self.path = path
        self._token = token
        self._now = now
        self._on_begin = on_begin
        self._connection: sqlite3.Connection | None = None
        self._file_id = (0, 0)
        self._is_changing = False
        self._is_patient = True
        self._failed_s: float | None = None
        self._failure = ""

    @contextmanager
    def change(self) -> Iterator[None]:
        """Return what makes all that is done within it one step that no other can come between.

        Raises LeaseError; then nothing has been done.
        """
        if self._is_changing:
            yield
            return
        self._run(_BEGIN)
        self._is_changing = True
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._is_changing = False

    def at(self, network: str, address: Address) -> Row | None:
        """Return the row of an address."""
        place = (network, address.version, address.packed)
        return next(iter(self._select("network = ? AND version = ? AND address = ?", place)), None)

    def of(self, network: str, version: int, key: bytes) -> list[Row]:
        """Return the rows that belong to `key`, by the order of addresses."""
        # The + keeps SQLite from going through a whole network instead of this key's few rows.
        where = "key = ? AND +network = ? AND +version = ? ORDER BY address"
        return self._select(where, (key, network, version))

    def held_by(self, slot: int, port: int) -> list[Row]:
        """Return the rows that a port holds, those it has had longest first."""
        # `port != 0` lets SQLite use the index, which has only such rows.
        where = "slot = ? AND port = ? AND port != 0 ORDER BY since_s"
        return self._select(where, (slot, port))

    def put(self, row: Row) -> None:
        """Write a row, in the place of the one of its address."""
        self._run(PUT, values_of(row))

    def remove(self, row: Row) -> None:
        """Remove the row of the address of `row`."""
        where = "network = ? AND version = ? AND address = ?"
        place = (row.network, row.address.version, row.address.packed)
        self._run(f"DELETE FROM leases WHERE {where}", place)  # noqa: S608

    def count(self) -> int:
        """Return how many rows there are."""
        found: int = self._run("SELECT leases FROM server")[0][0]
        return found

    def first_free(self, now_s: float, network: str = "", version: int = 0) -> Row | None:
        """Return the row that ended longest ago, of one network and version if they are given."""
        which, values = (
            ("network = ? AND version = ? AND", (network, version)) if network else ("", ())
        )
        where = f"{which} port = 0 AND until_s <= ? ORDER BY until_s LIMIT 1"
        return next(iter(self._select(where, (*values, now_s))), None)

    def taken(self, network: str, version: int) -> set[Address]:
        """Return the addresses that have rows."""
        where = "network = ? AND version = ?"
        return {row.address for row in self._select(where, (network, version))}

    def held(self, slot: int) -> list[Row]:
        """Return the rows that the ports of a process hold."""
        return self._select("slot = ? AND port != 0", (slot,))

    def rows(self, after: tuple[str, int, Address] | None, most: int) -> list[Row]:
        """Return up to `most` rows in the order of (network, version, address) behind `after`."""
        order = "ORDER BY network, version, address LIMIT ?"
        if after is None:
            return self._select(f"1 {order}", (most,))
        place = (after[0], after[1], after[2].packed)
        return self._select(f"(network, version, address) > (?, ?, ?) {order}", (*place, most))

    def see_that_it_is_there(self) -> bool:
        """Open the file if it is not open, or was removed or replaced; return False then.

        Raises LeaseError, also if another server has begun with the file.
        """
        if self._connection is not None and id_of(self.path) != self._file_id:
            self.close()
        if self._connection is None:
            self._open()
            return False
        if self._run("SELECT token FROM server") == [(self._token,)]:
            return True
        self.close()
        self._failed_s = inf
        self._failure = (
            f"no address can be leased: another server uses {self.path} too; give each its own in"
            " vpnws-leases, and restart them"
        )
        raise LeaseError(self._failure)

    def checkpoint(self) -> None:
        """Write the log of changes back into the file: waits for the disk. Raises LeaseError."""
        self._run("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._failed_s = None

    def _select(self, where: str, values: Sequence[Any]) -> list[Row]:
        columns = ", ".join(COLUMNS)
        found = self._run(f"SELECT {columns} FROM leases WHERE {where}", values)  # noqa: S608
        return [row_of(values) for values in found]

    def _run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement and return all its rows. Raises LeaseError."""
        connection = self._connection or self._open()
        try:
            found = self._execute(connection, statement, values)
        except sqlite3.Error as error:
            if code_of(error) == sqlite3.SQLITE_BUSY:
                self._is_patient = False
            raise LeaseError(sentence_of(self.path, error)) from error
        if statement == _BEGIN:
            self._is_patient = True
        return found

    def _execute(
        self, connection: sqlite3.Connection, statement: str, values: Sequence[Any]
    ) -> list[tuple[Any, ...]]:
        """Execute a statement, again and again while another process changes the table."""
        for _ in range(MAX_TRIES if self._is_patient else 1):
            try:
                return connection.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                if code_of(error) != sqlite3.SQLITE_BUSY or not self._is_patient:
                    raise
            os.sched_yield()
        # SQLite sleeps for milliseconds at a time, and frames wait with it.
        connection.execute(f"PRAGMA busy_timeout = {round(BUSY_S * 1000)}")
        try:
            return connection.execute(statement, values).fetchall()
        finally:
            connection.execute("PRAGMA busy_timeout = 0")

    def _roll_back(self) -> None:
        """Undo what was begun; SQLite may have done so already."""
        if self._connection is not None and self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _open(self) -> sqlite3.Connection:
        """Open the file, make its tables if it is new, and begin. Raises LeaseError."""
        if self._failed_s is not None and self._now() < self._failed_s + RETRY_S:
            raise LeaseError(self._failure)
        try:
            self._connection = open_file(self.path)
            self._connection.execute("PRAGMA busy_timeout = 0")
            self._is_patient = True
            self._file_id = id_of(self.path)
            self._begin()
        except (OSError, sqlite3.Error, LeaseError) as error:
            self.close()
            self._failed_s = self._now()
            self._failure = (
                str(error) if isinstance(error, LeaseError) else sentence_of(self.path, error)
            )
            raise LeaseError(self._failure) from error
        self._failed_s = None
        return self._connection

    def _begin(self) -> None:
        """See to it that this server has begun with the table."""
        with self.change():
            if self._run("SELECT token FROM server") == [(self._token,)]:
                return
            self._on_begin()
            self._run("UPDATE server SET token = ?", (self._token,))

"""The file of leases: opens it, says what is wrong with it, and moves a broken one aside."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from vpnws.errors import LeaseError
from vpnws.server.peers.lease_rows import APPLICATION, SCHEMA, VERSION

BUSY_S: Final = 0.1
"""A process waits at most this long for another one that changes or opens the table of leases."""
MAX_WAL_PAGES: Final = 4096
"""If the process for hooks does not write the log of changes back, the process that makes it this
long does, at 4,096 bytes a page."""
_MAGIC: Final = b"SQLite format 3\0"
_NO_FILE: Final = b"-"
_OPEN: Final = os.O_CLOEXEC | os.O_NONBLOCK
_APPLICATION_AT: Final = slice(68, 72)
"""Where that is in a file's header (https://www.sqlite.org/fileformat.html)."""
_PRIMARY: Final = 0xFF
"""The low byte of an extended error code is the error."""


def open_file(path: str) -> sqlite3.Connection:
    """Open a table of leases, and make it if it is not there.

    Raises LeaseError if the file is not one of ours or of another version, OSError and
    sqlite3.Error if it cannot be used.
    """
    # Only this user may read who leases what. SQLite gives its other files the same rights.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | _OPEN, 0o600))
    if _header_of(path) and not _is_database(path):
        raise LeaseError(_not_ours(path))
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
    try:
        if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise LeaseError(
                f"{path} is on a file system that processes cannot share memory on: name a file on"
                " a local disk in vpnws-leases"
            )
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {MAX_WAL_PAGES}")
        _make_tables(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def put_aside_if_broken(path: str) -> str:
    """Before a start, move a table of leases away that this vpnws cannot use.

    Returns the sentence that says so; empty if there was nothing to do. A file that is not ours is
    left alone. Raises OSError.
    """
    if not Path(path).exists() or not _is_database(path):
        return ""
    problem = _damage_of(path)
    if not problem:
        return ""
    aside = f"{path}.unusable"
    for end in ("-wal", "-shm"):
        Path(path + end).unlink(missing_ok=True)
    Path(path).replace(aside)
    return f"{problem}: it is {aside} now, and leases begin anew"


def _damage_of(path: str) -> str:
    """Return why the database `path`, which is ours, cannot be used; empty if it can."""
    try:
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            application, version = _about(connection)
            if application != APPLICATION:
                return ""
            if version != VERSION:
                return _other_version(path, version)
            (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            return "" if said == "ok" else f"{path} is damaged"
        finally:
            connection.close()
    except sqlite3.Error as error:
        is_ours = int.from_bytes(_header_of(path)[_APPLICATION_AT]) == APPLICATION
        is_damage = code_of(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        return f"{path} is damaged ({error})" if is_ours and is_damage else ""


def _make_tables(path: str, connection: sqlite3.Connection) -> None:
    """Make the tables in a new file. Raises LeaseError if it is not new, and not ours."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        is_new = _about(connection) == (0, 0) and not _has_tables(connection)
        for statement in SCHEMA if is_new else ():
            connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    if is_new:
        # What is in the header tells whose file it is, if the rest cannot be read one day.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    application, version = _about(connection)
    if application != APPLICATION:
        raise LeaseError(_not_ours(path))
    if version != VERSION:
        raise LeaseError(_other_version(path, version))


def _about(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return which program's database it is, and of which version."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is not None


def _not_ours(path: str) -> str:
    return (
        f"{path} is not a table of leases, and stays as it is: name another file in vpnws-leases,"
        " or remove it"
    )


def _other_version(path: str, version: int) -> str:
    return f"{path} is a table of leases of version {version}, and this vpnws has {VERSION}"


def _is_database(path: str) -> bool:
    return _header_of(path).startswith(_MAGIC)


def _header_of(path: str) -> bytes:
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _OPEN)) as file:
        # A pipe would keep whoever reads it waiting.
        return file.read(100) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else _NO_FILE


def id_of(path: str) -> tuple[int, int]:
    """Return what tells a file from another one of the same name."""
    try:
        about = Path(path).stat()
    except OSError:
        return 0, 0
    return about.st_dev, about.st_ino


def code_of(error: Exception) -> int:
    """Return SQLite's code of an error, such as SQLITE_FULL; 0 for other errors."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY


def sentence_of(path: str, error: Exception) -> str:
    """Return what `error` means for leases, and what to do."""
    folder, let = Path(path).parent, "let the server's user"
    known = {
        sqlite3.SQLITE_FULL: f"the disk with {path} is full: make room there",
        sqlite3.SQLITE_READONLY: f"{path} cannot be written: {let} write to it",
        sqlite3.SQLITE_CANTOPEN: f"{path} cannot be opened: {let} write to {folder}",
        sqlite3.SQLITE_BUSY: f"another process has held {path} for too long: see whether one hangs",
        sqlite3.SQLITE_CORRUPT: f"{path} is damaged: restart the server, which then begins anew",
        sqlite3.SQLITE_NOTADB: f"{path} is damaged: remove it, and leases begin anew",
    }
    why = known.get(code_of(error))
    if why is None and isinstance(error, OSError):
        why = f"{path} cannot be used ({error.strerror}): name another file in vpnws-leases"
    return f"no address can be leased: {why or f'{path}: {error}'}"

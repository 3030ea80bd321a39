"""The table of leases in a file and its twin in memory; what a file does that cannot be used."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pytest

from tests.fakes.lease_table import MemoryTable
from tests.support.table_contract import TableContract, row
from vpnws.errors import LeaseError
from vpnws.lease.answer import Holder, Lease
from vpnws.lease.leases import Leases
from vpnws.lease.plan import Plan
from vpnws.lease.pool import parse_pools
from vpnws.lease.table import LEFT
from vpnws.lease.who import Who
from vpnws.server.peers.lease_file import put_aside_if_broken
from vpnws.server.peers.leases import RETRY_S, LeaseFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vpnws.lease.table import Table


class Clock:
    """A clock that a test sets forward."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def open_table(path: Path, token: str = "server", clock: Clock | None = None) -> LeaseFile:
    return LeaseFile(str(path), token, clock or Clock(), lambda: None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "leases.db"


@pytest.fixture(params=["memory", "file"])
def table(request: pytest.FixtureRequest, path: Path) -> Iterator[Table]:
    if request.param == "memory":
        yield MemoryTable()
        return
    file = open_table(path)
    yield file
    file.close()


@pytest.mark.parametrize("check", TableContract.checks())
def test_keeps_the_contract(table: Table, check: str) -> None:
    getattr(TableContract(table), check)()


class TestFile:
    def test_is_for_its_user_alone_and_survives_its_process(self, path: Path) -> None:
        table = open_table(path)
        table.put(row("10.8.0.1"))
        files = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        assert files == dict.fromkeys(("leases.db", "leases.db-wal", "leases.db-shm"), 0o600)
        # As after SIGKILL: nothing was closed, and what was written is there.
        other = open_table(path)
        assert other.at("default", row("10.8.0.1").address) == row("10.8.0.1")
        table.close()
        other.close()

    def test_begins_once_for_each_server(self, path: Path) -> None:
        begun: list[int] = []
        for number, token in enumerate(["first", "first", "second", "second"]):
            table = LeaseFile(str(path), token, Clock(), partial(begun.append, number))
            table.count()
            table.close()
        assert begun == [0, 2]

    def test_undoes_a_change_that_fails(self, path: Path) -> None:
        table = open_table(path)

        def fail() -> None:
            with table.change():
                table.put(row("10.8.0.1"))
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert table.count() == 0
        table.put(row("10.8.0.1"))
        table.close()

    def test_that_another_holds_is_waited_for_once(self, path: Path) -> None:
        table = open_table(path)
        table.count()
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(LeaseError, match=r"another process has held .* see whether one hangs"):
            put_many(table, 1)
        assert table.count() == 0
        assert not table._is_patient
        holder.close()
        put_many(table, 1)
        assert table._is_patient
        table.close()

    def test_on_a_full_disk_says_so_and_works_again_once_there_is_room(self, path: Path) -> None:
        table = open_table(path)
        table.put(row("10.8.0.1"))
        table._run("PRAGMA max_page_count = 1")
        with pytest.raises(LeaseError, match=r"the disk with .* is full: make room there"):
            put_many(table, 250)
        assert table.count() == 1
        table._run("PRAGMA max_page_count = 1000000")
        table.put(row("10.8.1.1"))
        assert table.count() == 2
        table.close()

    def test_in_a_directory_that_is_not_there_is_tried_again_later(self, tmp_path: Path) -> None:
        clock = Clock()
        table = open_table(tmp_path / "new" / "leases.db", clock=clock)
        with pytest.raises(LeaseError, match=r"No such file or directory.*vpnws-leases"):
            table.count()
        (tmp_path / "new").mkdir()
        with pytest.raises(LeaseError, match="No such file"):
            table.count()
        clock.now_s += RETRY_S
        assert table.count() == 0
        table.close()

    def test_that_is_somebody_elses_stays_as_it_is(self, path: Path) -> None:
        others = [sqlite_file(path.parent / f"{number}.db", number) for number in (0, 7)]
        for content in (b"precious", *others):
            path.write_bytes(content)
            assert put_aside_if_broken(str(path)) == ""
            with pytest.raises(LeaseError, match="is not a table of leases, and stays as it is"):
                open_table(path).count()
            assert b"leases" not in path.read_bytes()

    def test_that_is_a_pipe_keeps_nobody_waiting(self, path: Path) -> None:
        os.mkfifo(path)
        assert put_aside_if_broken(str(path)) == ""
        with pytest.raises(LeaseError, match="is not a table of leases"):
            open_table(path).count()

    def test_that_is_a_link_is_not_followed(self, path: Path) -> None:
        (path.parent / "target").write_bytes(b"")
        path.symlink_to("target")
        with pytest.raises(LeaseError, match="vpnws-leases"):
            open_table(path).count()

    def test_of_another_version_is_put_aside_before_a_start(self, path: Path) -> None:
        make(path, "PRAGMA user_version = 9")
        with pytest.raises(LeaseError, match="of version 9, and this vpnws has 1"):
            open_table(path).count()
        said = put_aside_if_broken(str(path))
        assert said.endswith(
            f"of version 9, and this vpnws has 1: it is {path}.unusable now, and leases begin anew"
        )
        assert put_aside_if_broken(str(path)) == ""
        table = open_table(path)
        assert table.count() == 0
        table.close()

    def test_that_is_damaged_is_put_aside_before_a_start(self, path: Path) -> None:
        make(path)
        assert put_aside_if_broken(str(path)) == ""
        whole = path.read_bytes()
        path.write_bytes(whole[:4096] + os.urandom(len(whole) - 4096))
        with pytest.raises(LeaseError, match="is damaged: restart the server, which then begins"):
            open_table(path).rows(None, 100)
        assert "is damaged" in put_aside_if_broken(str(path))
        table = open_table(path)
        assert table.rows(None, 100) == []
        table.close()

    def test_that_is_replaced_while_it_is_used_is_opened_again(self, path: Path) -> None:
        table = open_table(path)
        assert not table.see_that_it_is_there()
        table.put(row("10.8.0.1"))
        assert table.see_that_it_is_there()
        path.unlink()
        assert not table.see_that_it_is_there()
        assert table.count() == 0
        assert table.see_that_it_is_there()
        table.close()

    def test_that_two_servers_use_serves_neither_twice(self, path: Path) -> None:
        first, second = open_table(path, "first"), open_table(path, "second")
        first.count()
        second.count()
        with pytest.raises(LeaseError, match="another server uses"):
            first.see_that_it_is_there()
        with pytest.raises(LeaseError, match="another server uses"):
            first.count()
        assert second.see_that_it_is_there()
        second.close()

    def test_is_written_back_by_a_checkpoint(self, path: Path) -> None:
        table = open_table(path)
        table.put(row("10.8.0.1"))
        before = path.stat().st_mtime_ns, path.read_bytes()
        table.checkpoint()
        assert path.read_bytes() != before[1]
        table.close()


def put_many(table: LeaseFile, count: int) -> None:
    """Put `count` rows in one change."""
    with table.change():
        for number in range(count):
            table.put(replace(row(f"10.8.0.{number}", port=LEFT), key=os.urandom(16)))


def sqlite_file(path: Path, application: int) -> bytes:
    """Return an SQLite database of another program."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE notes (text)")
    connection.execute(f"PRAGMA application_id = {application}")
    connection.close()
    return path.read_bytes()


def make(path: Path, *statements: str) -> None:
    """Make a table of leases with many rows, which no process has open, and change it."""
    table = open_table(path)
    put_many(table, 250)
    for statement in statements:
        table._run(statement)
    table.close()


def lease_many(path: str, slot: int, count: int) -> list[str]:
    """Lease `count` addresses as one process, each for a station of its own."""
    table = LeaseFile(path, "server", Clock(), lambda: None)
    leases = Leases(table, Plan(parse_pools("10.8.0.0/23")), 600)
    answers = []
    for number in range(1, count + 1):
        who = Who(mac=bytes((2, slot)) + number.to_bytes(4))
        answers.append(leases.lease("default", who, Holder(slot, number), 0.0))
    table.close()
    assert all(isinstance(answer, Lease) for answer in answers)
    return [str(answer) for answer in answers]


def test_processes_that_lease_at_once_never_give_one_twice(path: Path) -> None:
    """Two processes fill nearly all of a pool, so that they meet at the same addresses."""
    with get_context("spawn").Pool(2) as pool:
        jobs = [pool.apply_async(lease_many, (str(path), slot, 250)) for slot in range(2)]
        told = [address for job in jobs for address in job.get(timeout=60)]
    assert len(told) == 500
    assert len(set(told)) == 500

"""The log: a line for each record, and no writer that waits for a reader."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
from typing import TYPE_CHECKING

import pytest

from vpnws.server.log import LineHandler, log_as, never_wait, tell_dropped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINE = "x" * 100


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Yield the ends of a pipe that holds one page: what reads, and what writes."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("vpnws", logging.INFO, "", 0, text, (), None)


def is_blocking(fd: int) -> bool:
    return not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK


def test_the_log_names_the_process_and_leaves_others_alone(
    capfd: pytest.CaptureFixture[str],
) -> None:
    before = list(logging.getLogger().handlers)
    log_as("worker 1")
    log_as("worker 2")
    logging.getLogger("vpnws").info("hello")
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].endswith(" vpnws[worker 2] INFO hello")
    assert logging.getLogger().handlers == before


def test_lines_that_nobody_reads_are_dropped_and_counted(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    never_wait(writing)
    handler = LineHandler(writing, "worker 1")
    for number in range(100):
        handler.emit(record(f"{number} {LINE}"))
    told = os.read(reading, 65536).decode().splitlines()
    assert all(line.endswith(LINE) for line in told), "no line is cut"
    handler.emit(record("it is read again"))
    handler.emit(record("as before"))
    lost, again, before = os.read(reading, 65536).decode().splitlines()
    dropped = f"{100 - len(told)} lines of this log were dropped, because nobody read it"
    assert lost.endswith(f" vpnws[worker 1] WARNING {dropped}")
    assert again.endswith(" INFO it is read again")
    assert before.endswith(" INFO as before")


def test_they_are_told_without_another_line(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = pipe
    never_wait(writing)
    handler = LineHandler(writing, "worker 1")
    monkeypatch.setattr(logging.getLogger("vpnws"), "handlers", [handler])
    for number in range(100):
        handler.emit(record(f"{number} {LINE}"))
    tell_dropped()
    told = os.read(reading, 65536).decode().splitlines()
    assert all(line.endswith(LINE) for line in told), "there was no room"
    tell_dropped()
    tell_dropped()
    (lost,) = os.read(reading, 65536).decode().splitlines()
    assert f" {100 - len(told)} lines of this log were dropped" in lost


def test_a_log_whose_reader_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    handler = LineHandler(writing, "worker 1")
    handler.emit(record("hello"))
    os.close(writing)


class TestNeverWait:
    def test_on_a_pipe_others_go_on_as_before(self, pipe: tuple[int, int]) -> None:
        _, writing = pipe
        shells = os.dup(writing)
        never_wait(writing)
        assert not is_blocking(writing)
        assert is_blocking(shells)
        os.close(shells)

    def test_on_a_pipe_that_may_not_be_opened(
        self, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object) -> int:
            raise PermissionError

        monkeypatch.setattr(os, "open", refuse)
        never_wait(pipe[1])
        assert not is_blocking(pipe[1])

    def test_on_a_socket(self) -> None:
        near, far = socket.socketpair()
        with near, far:
            never_wait(near.fileno())
            assert not is_blocking(near.fileno())

    def test_on_a_terminal_the_shell_goes_on_as_before(self) -> None:
        master, terminal = os.openpty()
        shells = os.dup(terminal)
        never_wait(terminal)
        assert not is_blocking(terminal)
        assert is_blocking(shells)
        for fd in (master, terminal, shells):
            os.close(fd)

    def test_a_file_is_left_alone(self, tmp_path: Path) -> None:
        with (tmp_path / "log").open("w") as file:
            never_wait(file.fileno())
            assert is_blocking(file.fileno())

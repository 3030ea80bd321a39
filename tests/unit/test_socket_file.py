"""The socket's path is watched: it may be removed, or lead to another server's socket."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from vpnws.server.ini import RELOADS
from vpnws.server.socket_file import SocketFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Listeners:
    """Servers that listen at one path, each of which replaces the file of the one before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts = ExitStack()

    def listen(self) -> None:
        self.path.unlink(missing_ok=True)
        listener = self.parts.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(self.path))
        listener.listen()


@pytest.fixture
def listeners(tmp_path: Path) -> Iterator[Listeners]:
    made = Listeners(tmp_path / "vpnws.sock")
    with made.parts:
        made.listen()
        yield made


def test_a_socket_in_its_place_is_no_trouble(listeners: Listeners) -> None:
    file = SocketFile(str(listeners.path), {})
    listeners.path.chmod(0o600)
    assert file.trouble() == ""


def test_one_that_is_removed_is_told_with_the_remedy(listeners: Listeners) -> None:
    file = SocketFile(str(listeners.path), {})
    listeners.path.unlink()
    assert file.trouble().startswith(f"the socket {listeners.path} has been removed: ")
    assert "Restart the server" in file.trouble()


def test_one_that_another_server_replaced_is_told(listeners: Listeners) -> None:
    file = SocketFile(str(listeners.path), {})
    listeners.listen()
    assert "now leads to another server's" in file.trouble()


def test_a_reload_knows_the_socket_of_its_start(listeners: Listeners) -> None:
    environment: dict[str, str] = {}
    SocketFile(str(listeners.path), environment)
    environment[RELOADS] = "1"
    assert SocketFile(str(listeners.path), environment).trouble() == ""
    listeners.listen()
    assert SocketFile(str(listeners.path), environment).trouble() != ""


def test_another_start_forgets_what_an_earlier_one_left(listeners: Listeners) -> None:
    environment: dict[str, str] = {}
    SocketFile(str(listeners.path), environment)
    listeners.listen()
    assert SocketFile(str(listeners.path), environment).trouble() == ""


@pytest.mark.parametrize("path", ["", "@name", "127.0.0.1:3031"])
def test_what_is_no_file_is_never_missed(path: str) -> None:
    assert SocketFile(path, {}).trouble() == ""


def test_what_cannot_be_seen_is_not_judged(listeners: Listeners) -> None:
    file = SocketFile(str(listeners.path), {})
    directory = listeners.path.parent
    directory.rename(directory.with_name("moved"))
    directory.write_text("a file, so the path has a part that is no directory")
    assert file.trouble() == ""

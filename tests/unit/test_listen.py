"""Whether uWSGI will be able to listen: each address that it cannot have is named with a remedy."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from vpnws.errors import ConfigError
from vpnws.server.ini import CHECK, RELOADS
from vpnws.server.listen import check_addresses, check_socket, check_tcp, check_unix

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOPBACK = "127.0.0.1"


@pytest.fixture
def taken() -> Iterator[str]:
    """Yield an address that another program listens at."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield f"{LOOPBACK}:{server.getsockname()[1]}"


class TestUnix:
    def test_a_new_path_is_fine_and_nothing_is_made(self, tmp_path: Path) -> None:
        check_unix(tmp_path / "x.sock", is_running=False)
        assert list(tmp_path.iterdir()) == []

    def test_a_directory_that_is_missing(self, tmp_path: Path) -> None:
        path = tmp_path / "run" / "x.sock"
        with pytest.raises(ConfigError, match=rf"{path} .*: there is no directory {path.parent};"):
            check_unix(path, is_running=False)

    def test_a_directory_that_may_not_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # root may write everywhere.
        monkeypatch.setattr(os, "access", lambda *_, **__: False)
        with pytest.raises(ConfigError, match=rf"may not write in {tmp_path}; .*vpnws-socket="):
            check_unix(tmp_path / "x.sock", is_running=False)

    def test_a_file_that_uwsgi_would_delete(self, tmp_path: Path) -> None:
        (tmp_path / "precious").touch()
        with pytest.raises(ConfigError, match="a file that is no socket"):
            check_unix(tmp_path / "precious", is_running=True)

    def test_a_path_that_uwsgi_does_not_take(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="at most 102 bytes"):
            check_unix(tmp_path / ("x" * 102), is_running=False)

    def test_a_socket_of_another_server(self, live: Path) -> None:
        with pytest.raises(ConfigError, match=rf"process {os.getpid()} .* listens there already"):
            check_unix(live, is_running=False)
        check_unix(live, is_running=True)

    def test_a_socket_that_a_crash_left_is_replaced(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "dead.sock"))
        check_unix(tmp_path / "dead.sock", is_running=False)

    def test_a_socket_of_another_user_in_a_shared_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "dead.sock"))
        tmp_path.chmod(0o1777)
        monkeypatch.setattr(os, "geteuid", lambda: 65_000)
        with pytest.raises(ConfigError, match="a socket of another user's"):
            check_unix(tmp_path / "dead.sock", is_running=False)


class TestTcp:
    @pytest.mark.parametrize("address", ["", f"{LOOPBACK}:0", ":0"])
    def test_a_free_one_is_fine(self, address: str) -> None:
        check_tcp("vpnws-http", address, is_running=False)

    def test_one_in_use(self, taken: str) -> None:
        with pytest.raises(ConfigError, match=f"{taken} cannot .*: another program listens there"):
            check_tcp("vpnws-http", taken, is_running=False)
        check_tcp("vpnws-http", taken, is_running=True)

    @pytest.mark.parametrize("is_running", [False, True])
    def test_one_of_another_machine(self, is_running: bool) -> None:
        with pytest.raises(ConfigError, match="this machine does not have that address"):
            check_tcp("vpnws-http", "192.0.2.1:8080", is_running=is_running)


class TestBoth:
    def environment(self, live: Path, taken: str) -> dict[str, str]:
        return {"VPNWS_INI_SOCKET": str(live), "VPNWS_INI_HTTP": taken}

    def test_at_the_start_nobody_else_may_listen(self, live: Path, taken: str) -> None:
        with pytest.raises(ConfigError, match="vpnws-socket"):
            check_addresses(self.environment(live, taken))

    @pytest.mark.parametrize("besides", [{CHECK: "1"}, {RELOADS: "1"}])
    def test_in_a_reload_and_in_a_check_the_server_itself_does(
        self, live: Path, taken: str, besides: dict[str, str]
    ) -> None:
        check_addresses(self.environment(live, taken) | besides)

    @pytest.mark.parametrize("name", ["fd://3", "unix:/x", ""])
    def test_a_name_of_another_form_is_left_to_uwsgi(self, name: str) -> None:
        check_addresses({"VPNWS_INI_SOCKET": name, "VPNWS_INI_HTTP": ""})


class TestOtherForms:
    def test_a_path_may_be_relative(self, live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(live.parent)
        with pytest.raises(ConfigError, match=r"vpnws-socket = live\.sock cannot be made"):
            check_socket("live.sock", is_running=False)

    def test_tcp(self, taken: str) -> None:
        with pytest.raises(ConfigError, match=rf"vpnws-socket = {taken} .*vpnws-socket=ADDRESS"):
            check_socket(taken, is_running=False)
        check_socket(taken, is_running=True)

    def test_a_name_without_a_file(self) -> None:
        with socket.socket(socket.AF_UNIX) as other:
            name = f"@vpnws-{os.getpid()}"
            other.bind(f"\0{name[1:]}\0")
            with pytest.raises(ConfigError, match=f"vpnws-socket = {name} cannot be made: Address"):
                check_socket(name, is_running=False)
            check_socket(name, is_running=True)
        check_socket(name, is_running=False)

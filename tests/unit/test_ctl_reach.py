"""vpnws-ctl's ways to a server, and what it says when one does not lead there."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.fakes.control_server import Reply, at_socket, at_url
from tests.support.ca import CertificateAuthority
from tests.support.ctl_bed import Bed, Result, canned
from vpnws.ctl.exits import Exit
from vpnws.ctl.program import cli
from vpnws.ctl.reach import places, request, unix
from vpnws.ctl.reach.api import Api
from vpnws.ctl.reach.unix import UnixWay, encode
from vpnws.ctl.reach.url import parse_url
from vpnws.errors import ConfigError, ConnectError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HTML = "text/html"


def status_of(path: Path, answer_s: float = 5.0) -> str:
    """Return what is said when `path` cannot be used."""
    with pytest.raises(ConnectError) as caught:
        UnixWay(path, "me", answer_s=answer_s).ask(request.Request("api/v1/status"))
    return str(caught.value)


@contextmanager
def answering(path: Path, data: bytes | None) -> Iterator[None]:
    """Listen at `path`, and answer a request with `data` and the end; with None not at all."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(data or b"")

        if data is not None:
            threading.Thread(target=serve, daemon=True).start()
        yield


class TestSocket:
    def test_nothing_there(self, tmp_path: Path) -> None:
        said = status_of(tmp_path / "no.sock")
        assert said.startswith(f"there is no socket at {tmp_path}/no.sock: is the switch running")
        assert "--socket" in said

    def test_an_ordinary_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert "is not a socket" in status_of(tmp_path / "file")

    def test_a_socket_whose_switch_has_ended(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(tmp_path / "old.sock"))
        assert "nobody listens" in status_of(tmp_path / "old.sock")

    def test_a_socket_that_others_may_use_names_the_group(
        self, live: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(unix, "local_user", lambda: "carol")
        live.chmod(0)
        said = status_of(live)
        assert f"{live} may not be used by carol: its group is " in said
        assert "sudo usermod -aG " in said
        live.parent.chmod(0)
        try:
            assert "may not be used by carol" in status_of(live)
        finally:
            live.parent.chmod(0o755)

    def test_a_server_that_hangs(self, tmp_path: Path) -> None:
        with answering(tmp_path / "s", None):
            said = status_of(tmp_path / "s", answer_s=0.05)
        assert "said nothing for 0 s: it hangs or is overloaded" in said

    @pytest.mark.parametrize("data", [b"", b"SSH-2.0-OpenSSH\r\n", b"\x00\x01\x02"])
    def test_a_server_of_something_else(self, tmp_path: Path, data: bytes) -> None:
        with answering(tmp_path / "s", data):
            assert "does not speak the uwsgi protocol" in status_of(tmp_path / "s")

    def test_a_request_that_is_too_long(self) -> None:
        with pytest.raises(ConfigError, match="too long"):
            encode({"QUERY_STRING": "x" * unix.MAX_VARS_BYTES})
        with pytest.raises(ConfigError, match="too long"):
            encode({"QUERY_STRING": "x" * 100_000})

    def test_an_answer_that_stops_in_the_middle(self, ctl: Bed) -> None:
        head = (("Content-Length", "1000"),)
        ctl.server.answers["GET status"] = Reply(b"{", headers=head)
        result = ctl("status")
        assert (result.code, "is not understood" in result.err) == (Exit.UNREACHABLE, True)

    @pytest.mark.parametrize(
        ("reply", "code", "sentence"),
        [
            (
                Reply(b"426\n\nThis is a vpnws switch: ...", "426 Upgrade Required", "text/plain"),
                Exit.UNREACHABLE,
                "older than this program (upgrade it and restart it), or the web server's location"
                " lacks `uwsgi_param VPNWS_ENDPOINT control`",
            ),
            (Reply(b"<h1>Hi", kind=HTML), Exit.UNREACHABLE, "is not the control interface"),
            (Reply(b"[1]"), Exit.UNREACHABLE, "much older or newer"),
            (Reply(b"", "404 Not Found", HTML), Exit.UNREACHABLE, "must be that of the location"),
            (Reply(b"", "403 Forbidden", HTML), Exit.REFUSED, "see `allow`, `deny`"),
            (Reply(b"", "401 Unauthorized", HTML), Exit.REFUSED, "this user and password"),
            (Reply(b"", "502 Bad Gateway", HTML), Exit.UNREACHABLE, "is uWSGI running"),
            (Reply(b"", "504 Gateway Timeout", HTML), Exit.UNREACHABLE, "does not answer in time"),
            (Reply(b"", "418 Teapot", HTML), Exit.UNREACHABLE, "HTTP 418: the web server's log"),
            (
                Reply(b"", "301 Moved", HTML, (("Location", "https://x/\x1b2J"),)),
                Exit.UNREACHABLE,
                "points to https://x/?2J: give the final URL",
            ),
            (
                Reply(b"The plain HTTP request was sent to HTTPS port", "400 Bad Request", HTML),
                Exit.UNREACHABLE,
                "use https:// instead",
            ),
            (
                Reply(b"No required SSL certificate was sent", "400 Bad Request", HTML),
                Exit.UNREACHABLE,
                "see --crt and --key",
            ),
        ],
        ids=lambda each: each.status if isinstance(each, Reply) else "",
    )
    def test_what_is_no_control_interface(
        self, ctl: Bed, reply: Reply, code: Exit, sentence: str
    ) -> None:
        ctl.server.answers["GET status"] = reply
        result = ctl("status")
        assert (result.code, result.out) == (code, "")
        assert sentence in result.err

    def test_an_answer_without_an_end(self, ctl: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("vpnws.ctl.reach.answers.MAX_ANSWER_BYTES", 1000)
        ctl.server.answers["GET status"] = Reply(bytes(2000))
        result = ctl("status")
        assert (result.code, "ask for less" in result.err) == (Exit.FAILED, True)


class TestPlaces:
    def test_the_one_socket_in_the_usual_places(self, live: Path, tmp_path: Path) -> None:
        empty = tmp_path / "empty"
        empty.mkdir()
        assert places.find_socket(live.parent, empty) == live
        assert places.find_socket(empty, live.parent) == live

    def test_none_and_several(self, live: Path, tmp_path: Path) -> None:
        with pytest.raises(ConnectError, match="no switch found: there is no socket in"):
            places.find_socket(tmp_path / "a", tmp_path / "b")
        with pytest.raises(ConfigError, match=r"choose one, --socket .* or --socket "):
            places.find_socket(live.parent, live.parent)

    def test_a_directory_that_may_not_be_listed(self, tmp_path: Path) -> None:
        closed = tmp_path / "closed"
        closed.mkdir(0)
        assert places.find_socket(closed, tmp_path) == closed / "vpnws.sock"
        assert "its group is" in status_of(closed / "vpnws.sock")

    def test_the_environment_names_a_socket_or_a_url(self) -> None:
        assert places.told_place({}) == ("", "")
        assert places.told_place({"VPNWS_CTL": "/run/x.sock"}) == ("/run/x.sock", "")
        assert places.told_place({"VPNWS_CTL": "https://x/y"}) == ("", "https://x/y")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("s3cret: ä\n")
    return file


class TestUrl:
    @pytest.fixture(autouse=True)
    def _plan(
        self,
        authority: CertificateAuthority,
        password: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.delenv("VPNWS_CTL", raising=False)
        self.authority, self.password, self.capsys = authority, password, capsys
        self.server = canned()

    def run(self, *words: str) -> Result:
        self.capsys.readouterr()
        code = cli.main(words)
        said = self.capsys.readouterr()
        return Result(code, said.out, said.err)

    @contextmanager
    def https(self, *names: str) -> Iterator[str]:
        context = self.authority.server_context(*names or ("127.0.0.1",))
        with at_url(self.server, context, ("admin", "s3cret: ä")) as port:
            yield f"https://127.0.0.1:{port}/vpn_admin/"

    def test_a_user_and_a_private_authority(self, monkeypatch: pytest.MonkeyPatch) -> None:
        login = ("--user", "admin", "--password-file", str(self.password))
        with self.https() as url:
            trusting = ("--ca", str(self.authority.crt), *login)
            result = self.run("--json", "--url", url, *trusting, "ports")
            assert (result.code, result.err) == (Exit.DONE, "")
            assert len(json.loads(result.out)["items"]) == 5
            monkeypatch.setenv("VPNWS_CTL", url)
            assert self.run("kick", "1.2", *trusting).code == Exit.DONE
        assert self.server.environs[0]["PATH_INFO"] == "/vpn_admin/api/v1/ports"
        assert self.server.changes() == [("POST ports/1.2/kick", {"reason": ""})]

    def test_what_stands_between(self) -> None:
        trusting = ("--ca", str(self.authority.crt))
        wrong = self.password.with_name("wrong")
        wrong.write_text("guess\n")
        login = ("--user", "admin", "--password-file")
        with self.https() as url:
            result = self.run("--url", url, *trusting, *login, str(wrong), "status")
            assert (result.code, "does not accept this user" in result.err) == (Exit.REFUSED, True)
            result = self.run("--url", url, *trusting, "status")
            assert (result.code, "see --user" in result.err) == (Exit.REFUSED, True)
            result = self.run("--url", url, *login, str(self.password), "status")
            assert result.code == Exit.UNREACHABLE
            assert "use --ca FILE for a private authority" in result.err
            result = self.run("--url", url.replace("https", "http"), "status")
            assert (result.code, "https://" in result.err) == (Exit.UNREACHABLE, True)
        assert "s3cret" not in result.err
        result = self.run("--url", url, *trusting, "status")
        assert (result.code, "nobody listens there" in result.err) == (Exit.UNREACHABLE, True)

    def test_a_certificate_of_another_name(self) -> None:
        with self.https("vpn.example") as url:
            result = self.run("--url", url, "--ca", str(self.authority.crt), "status")
        assert result.code == Exit.UNREACHABLE
        assert "use a name that is in the certificate" in result.err

    def test_the_password_is_asked_for_at_a_terminal_only(self) -> None:
        result = self.run("--url", "https://127.0.0.1:1/x", "--user", "admin", "status")
        assert (result.code, "use --password-file" in result.err) == (Exit.USAGE, True)

    def test_plain_http_for_a_tunnel(self) -> None:
        with at_url(self.server) as port:
            assert self.run("--url", f"http://127.0.0.1:{port}", "status").code == Exit.DONE

    def test_a_server_that_takes_the_request_and_is_silent(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vpnws.ctl.reach.url.ANSWER_S", 0.05)
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
            result = self.run("--url", url, "status")
        assert (result.code, "said nothing" in result.err) == (Exit.UNREACHABLE, True)

    def test_the_clock_of_the_server_counts(self) -> None:
        self.server.answers["GET ports"] = Reply(
            b'{"items":[{"id":"1.1","kind":"tap","process":"mule","since_s":946684800}]}',
            headers=(("Date", "Sat, 01 Jan 2000 02:00:00 GMT"),),
        )
        with at_url(self.server) as port:
            assert "2 h" in self.run("--url", f"http://127.0.0.1:{port}", "ports").out

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (("--ca", "/none"), "--ca /none cannot be read"),
            (("--key", "/none"), "--key needs --crt"),
            (("--password-file", "/none"), "--password-file needs --user"),
            (("--user", "a:b"), "':'"),
            (("--user", "a", "--password-file", "/none"), "cannot be read"),
        ],
    )
    def test_options_that_do_not_fit(self, words: tuple[str, ...], sentence: str) -> None:
        result = self.run("--url", "https://127.0.0.1:1/x", *words, "status")
        assert (result.code, sentence in result.err) == (Exit.USAGE, True)

    @pytest.mark.parametrize(
        ("url", "what"),
        [
            ("wss://x/y", "does not begin with https://"),
            ("x.example/y", "does not begin with https://"),
            ("https://", "names no host"),
            ("https://me:pw@x/y", "could read the password"),
            ("https://x/y?z", "without '?'"),
            ("https://x/y z", "a space"),
            ("https://x:99999/", "host or port"),
        ],
    )
    def test_a_url_that_cannot_be_used(self, url: str, what: str) -> None:
        with pytest.raises(ConfigError, match="write it like https://") as caught:
            parse_url(url)
        assert what in str(caught.value)
        assert "pw" not in str(caught.value)

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("https://x.example/a/", "https://x.example/a"),
            ("https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443/a"),
            ("http://x:80/ä", "http://x/%C3%A4"),
        ],
    )
    def test_a_url_is_shown_as_people_write_it(self, url: str, shown: str) -> None:
        assert parse_url(url).shown == shown


def test_a_token_is_asked_for_once(tmp_path: Path) -> None:
    server = canned()
    with at_socket(tmp_path / "s", server):
        api = Api(UnixWay(tmp_path / "s", "me"))
        api.change("POST", "ports/1.2/kick", {})
        api.change("POST", "ports/2.7/kick", {})
        with pytest.raises(NotFoundError):
            api.change("POST", "ports/9.9/kick", {})
    assert [key for key, _, _ in server.asked].count("GET token") == 1

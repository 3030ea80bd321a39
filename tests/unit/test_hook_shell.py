"""The shell that runs hooks, and the webhook's poster, with real programs and a real server."""

from __future__ import annotations

import hmac
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from vpnws.config import Settings
from vpnws.errors import ConfigError
from vpnws.server import shell
from vpnws.server.hooks.facts import environment
from vpnws.server.hooks.webhook import SIGNATURE, HttpPoster, make_poster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE = "$(touch hacked)`touch hacked`;touch hacked\\\n'\"|touch hacked"


class TestShell:
    def test_a_fact_is_never_a_command(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        facts = environment({"VPNWS_USER": HOSTILE})
        ended = shell.run('echo "$VPNWS_USER"; echo $VPNWS_USER', facts, 10.0)
        assert ended.is_good
        assert HOSTILE.split("\n")[0].encode()[:10] in ended.output
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("commands", "status", "cause"),
        [("exit 1", 1, "status 1"), ("kill -9 $$", -9, "killed by signal 9")],
    )
    def test_a_status_is_told(self, commands: str, status: int, cause: str) -> None:
        ended = shell.run(commands, {}, 10.0)
        assert (ended.status, ended.cause, ended.is_good) == (status, cause, False)

    def test_what_prints_without_end_is_killed(self) -> None:
        ended = shell.run("while :; do echo yes yes yes yes yes yes; done", {}, 60.0)
        assert ended.killed_for == f"killed: it printed more than {shell.MAX_OUTPUT_BYTES} bytes"
        assert len(ended.output) == shell.KEPT_BYTES

    def test_all_can_be_killed(self) -> None:
        found: list[shell.Ended] = []
        thread = threading.Thread(target=lambda: found.append(shell.run("sleep 60", {}, 60.0)))
        thread.start()
        while not shell._running:
            thread.join(0.01)
        shell.kill_all()
        thread.join(30.0)
        assert [ended.status for ended in found] == [-9]


class Handler(BaseHTTPRequestHandler):
    """Notes what is posted, and answers as the test says."""

    protocol_version = "HTTP/1.1"
    posts: ClassVar[list[tuple[Any, bytes, str]]] = []
    status: ClassVar[int] = 204
    hangs_up: ClassVar[bool] = False

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.posts.append((self.client_address, body, self.headers.get(SIGNATURE, "")))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        # Without a word of it in the answer, as a server does that has grown tired of waiting.
        self.close_connection = self.hangs_up

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Handler, "posts", [])
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook?x=1"
        server.shutdown()


class TestPoster:
    def test_one_connection_is_kept(self, url: str) -> None:
        poster = HttpPoster(url)
        assert [poster.post(b"1").trouble, poster.post(b"2").trouble] == ["", ""]
        (first, one, unsigned), (second, two, _) = Handler.posts
        assert (one, two, unsigned) == (b"1", b"2", "")
        assert first == second
        poster._connection.close()

    def test_a_connection_that_was_closed_is_opened_anew(
        self, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Handler, "hangs_up", True)
        poster = HttpPoster(url)
        assert [poster.post(b"1").trouble, poster.post(b"2").trouble] == ["", ""]
        assert [body for _, body, _ in Handler.posts] == [b"1", b"2"]
        poster._connection.close()

    def test_a_body_is_signed(self, url: str, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("s3cret\n")
        poster = make_poster(Settings(webhook=url, webhook_secret_file=str(tmp_path / "secret")))
        poster.post(b"body")
        ((_, _, signature),) = Handler.posts
        assert signature == "sha256=" + hmac.digest(b"s3cret", b"body", "sha256").hex()
        poster._connection.close()

    @pytest.mark.parametrize(
        ("status", "is_final"), [(404, True), (302, True), (503, False), (429, False)]
    )
    def test_what_is_worth_another_try(
        self, url: str, monkeypatch: pytest.MonkeyPatch, status: int, is_final: bool
    ) -> None:
        monkeypatch.setattr(Handler, "status", status)
        poster = HttpPoster(url)
        posted = poster.post(b"1")
        assert posted.trouble.startswith(f"status {status} ")
        assert posted.is_final == is_final
        poster._connection.close()

    def test_nobody_there_is_worth_another_try(self) -> None:
        posted = HttpPoster("http://127.0.0.1:1/").post(b"1")
        assert posted.trouble.startswith("ConnectionRefusedError")
        assert not posted.is_final

    @pytest.mark.parametrize(
        ("settings", "name"),
        [
            (
                Settings(webhook="https://x", webhook_secret_file="/no"),
                "vpnws-webhook-secret-file",
            ),
            (Settings(webhook="https://x", webhook_ca="/no"), "vpnws-webhook-ca"),
        ],
    )
    def test_a_file_that_is_missing_is_named(self, settings: Settings, name: str) -> None:
        with pytest.raises(ConfigError, match=f"{name} = /no"):
            make_poster(settings)

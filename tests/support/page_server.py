"""Serves the live page and a fake API over HTTP: a World's views, and a stream that it is told of.

It answers as the control location does, below a prefix of its own, checks the token of changes,
and keeps what it was asked to change.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import msgspec

from vpnws.control.page.files import PageFiles
from vpnws.control.views import BanView

if TYPE_CHECKING:
    from types import TracebackType

    from .page_world import World

PREFIX: Final = "/any/where/"
TOKEN: Final = "token-of-the-test"
CAPTURE: Final = b"\x0a\x0d\x0d\x0a" + bytes(252)
CALM_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Change:
    """A change that the page asked for."""

    method: str
    path: str
    body: dict[str, object]


@dataclass(slots=True)
class Script:
    """How the server behaves beyond its World."""

    refusal: tuple[int, str] | None = None
    """What changes are answered: status and sentence."""
    stream_status: int = 200
    token: str = TOKEN
    capture_lasts: threading.Event = field(default_factory=threading.Event)
    """Until it is set, a capture goes on."""


class PageServer:
    """The page and its API at `url`, for as long as the `with` block lasts."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.files = PageFiles()
        self.changes: list[Change] = []
        self.requests: list[str] = []
        self.script = Script()
        self._streams: list[queue.SimpleQueue[bytes | None]] = []
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}{PREFIX}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.script.capture_lasts.set()
        self.cut()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    def tick(self, seconds: int = 1) -> None:
        """Let seconds pass, and tell each to the streams."""
        for _ in range(seconds):
            self.world.advance()
            self.tell()

    def tell(self) -> None:
        """Send the state as it is to the streams."""
        self._send("state", self.world.state())

    def tell_event(self, name: str, text: str, level: str = "info", **fields: str) -> None:
        """Let something happen, and tell it."""
        self._send("event", self.world.note(name, text, level, **fields))

    def cut(self) -> None:
        """End all streams, as a web server does that restarts."""
        with self._lock:
            streams, self._streams = self._streams, []
        for stream in streams:
            stream.put(None)

    def streams(self) -> int:
        """Return how many streams are open."""
        return len(self._streams)

    def open_stream(self) -> queue.SimpleQueue[bytes | None]:
        """Return a new stream, which begins with the state as it is."""
        stream: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        stream.put(_message("state", self.world.state()))
        with self._lock:
            self._streams.append(stream)
        return stream

    def _send(self, name: str, data: object) -> None:
        with self._lock:
            for stream in self._streams:
                stream.put(_message(name, data))

    def change(self, change: Change) -> object:
        """Make a change and return its answer."""
        self.changes.append(change)
        match change.path.split("/"):
            case ["ports", port, "kick"]:
                del self.world.ports[port], self.world.rates[port]
            case ["ports", port, "block"]:
                reason = str(change.body["reason"])
                self.world.change(port, is_blocked=True, block_reason=reason)
            case ["ports", port, "unblock"]:
                self.world.change(port, is_blocked=False, block_reason="")
            case ["bans"]:
                wanted = {key: value for key, value in change.body.items() if key != "for_s"}
                until_s = self.world.now_s + msgspec.convert(change.body["for_s"], float)
                ban = msgspec.convert({**wanted, "id": "1", "until_s": until_s}, BanView)
                self.world.bans[ban.id] = ban
                return ban
            case ["bans", ban_id]:
                del self.world.bans[ban_id]
        return {}


def _message(name: str, data: object) -> bytes:
    return f"event: {name}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, server: PageServer, *arguments: object) -> None:
        self.page = server
        super().__init__(*arguments)  # type: ignore[arg-type]

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
        """Keep the requests instead of printing them."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.page.requests.append(self.path)
        if not path.startswith(PREFIX):
            self.refuse(404, "There is nothing here.")
        elif path.startswith(f"{PREFIX}api/v1/"):
            self.view(path.removeprefix(f"{PREFIX}api/v1/"))
        else:
            self.file(path.removeprefix(PREFIX))

    def file(self, path: str) -> None:
        files = self.page.files
        found = files.index() if path == "" else files.find(path.removeprefix("page/"))
        if found is None:
            self.refuse(404, "The page has no such file.")
        else:
            self.answer(
                200, found.body, {"Content-Type": found.content_type, **dict(found.headers())}
            )

    def view(self, name: str) -> None:
        world = self.page.world
        lists = {
            "addresses": world.addresses,
            "drops": world.drops(),
            "events": world.events,
            "bans": list(world.bans.values()),
        }
        if name in lists:
            self.json({"items": lists[name], "next": "", "missing": world.missing})
        elif name == "stream":
            self.stream()
        elif name == "token":
            self.json({"token": self.page.script.token})
        elif name == "status":
            self.status()
        elif name == "capture":
            self.capture()
        else:
            self.refuse(404, f"There is no {name}.")

    def status(self) -> None:
        if self.page.script.stream_status != 200:
            self.refuse(self.page.script.stream_status, "A process did not answer: try again.")
        else:
            self.json(self.page.world.status())

    def stream(self) -> None:
        if self.page.script.stream_status != 200:
            self.refuse(self.page.script.stream_status, "A process did not answer: try again.")
            return
        self.begin("text/event-stream")
        self.write(b"retry: 50\n\n")
        stream = self.page.open_stream()
        while message := stream.get():
            self.write(message)

    def capture(self) -> None:
        if refusal := self.page.script.refusal:
            self.refuse(*refusal)
            return
        self.begin("application/x-pcapng")
        self.write(CAPTURE)
        while not self.page.script.capture_lasts.wait(CALM_S):
            self.write(CAPTURE)

    def begin(self, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def write(self, data: bytes) -> None:
        try:
            self.wfile.write(data)
            self.wfile.flush()
        except OSError:
            self.page.script.capture_lasts.set()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = msgspec.json.decode(self.rfile.read(length) or b"{}")
        path = urlsplit(self.path).path.removeprefix(f"{PREFIX}api/v1/")
        if self.headers.get("X-vpnws-token") != self.page.script.token:
            self.refuse(403, "The change lacks its token: get it from api/v1/token.")
        elif refusal := self.page.script.refusal:
            self.refuse(*refusal)
        else:
            self.json(self.page.change(Change(self.command, path, body)))

    do_DELETE = do_POST  # noqa: N815

    def json(self, data: object) -> None:
        self.answer(200, msgspec.json.encode(data), {"Content-Type": "application/json"})

    def refuse(self, status: int, sentence: str) -> None:
        body = msgspec.json.encode({"error": sentence})
        self.answer(status, body, {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

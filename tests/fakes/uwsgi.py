"""A uWSGI without uWSGI: its cache, its options, its hooks and the requests it serves."""

from __future__ import annotations

import errno
import itertools
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NoReturn

from greenlet import getcurrent

from tests.fakes.frames import take_frame
from tests.support.raw_frames import BINARY, CLOSE, CONTINUATION, PING, PONG, encode_frame
from vpnws.server.peers.shared_rules import MAX_RULE_BYTES, MAX_RULES
from vpnws.server.uwsgi import FDB_CACHE, options_as_text

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Mapping

    from greenlet import greenlet

    from tests.fakes.manual_loop import ManualLoop
    from tests.fakes.wire import WireEnd
    from vpnws.server.uwsgi import Option

CACHE_ITEMS: Final = 16384
GOOD_OPTIONS: Final[Mapping[str, Option]] = {
    "master": True,
    "gevent": b"256",
    "cache2": b"name=fdb,items=16384,keysize=16,blocksize=64,no_expire=1",
    "mule": b"vpnws_app:mule",
    "websockets-pong-tolerance": b"2147483647",
}
"""What the switch needs of uWSGI, as uwsgi.ini sets it."""


class ProcessEnded(BaseException):
    """The process has ended itself; nothing in it runs any more."""


@dataclass
class FakeCache:
    """A uWSGI cache, as the processes of one server share it."""

    items: int = CACHE_ITEMS
    key_bytes: int = 40
    value_bytes: int = 64
    _entries: dict[bytes, bytes] = field(default_factory=dict)

    def get(self, key: bytes) -> bytes | None:
        """Return what is under `key`; None when nothing is."""
        return self._entries.get(key)

    def put(self, key: bytes, value: bytes) -> bool:
        """Write an entry; False when it is full or too long.

        One of its items is never used.
        """
        is_full = key not in self._entries and len(self._entries) >= self.items - 1
        if is_full or len(key) > self.key_bytes or len(value) > self.value_bytes:
            return False
        self._entries[key] = value
        return True

    def delete(self, key: bytes) -> None:
        """Remove `key` if it is there."""
        self._entries.pop(key, None)

    def keys(self) -> list[bytes]:
        """Return all keys."""
        return list(self._entries)


class FakeMaster:
    """What all processes of one uWSGI have in common."""

    def __init__(
        self,
        loop: ManualLoop,
        *,
        workers: int = 2,
        options: Mapping[str, Option] = GOOD_OPTIONS,
        cache_items: int = CACHE_ITEMS,
    ) -> None:
        self.workers = workers
        self.threads = 1
        self.max_fds = 65536
        self.engine = "gevent"
        self.cores = 256
        self.listeners = [4, 5]
        self.options = dict(options)
        self._cache_items = cache_items
        self.empty_caches()
        self.is_stopped = False
        self.process_ids = itertools.count(1000)

    def empty_caches(self) -> None:
        """Make the caches anew, as a master does that begins."""
        self.cache = FakeCache(self._cache_items)
        self.rules = FakeCache(MAX_RULES + 1, value_bytes=MAX_RULE_BYTES)

    def named(self, cache: str) -> FakeCache:
        """Return the cache of that name."""
        return self.cache if cache == FDB_CACHE else self.rules


@dataclass(eq=False)
class Request:
    """One request that a worker serves, with the bytes it has not cut yet (`native`)."""

    loop: ManualLoop
    environ: dict[str, Any]
    connection: WireEnd
    status: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    is_answered: bool = False
    greenlet: greenlet | None = None
    uncut: bytearray = field(default_factory=bytearray)

    @property
    def is_over(self) -> bool:
        """Whether the application has returned."""
        return self.greenlet is not None and self.greenlet.dead

    def start_response(
        self, status: str, headers: list[tuple[str, str]]
    ) -> Callable[[bytes], object]:
        """Note the answer's head (PEP 3333); return a function that writes it, then body data."""
        self.status, self.headers = status, headers
        return self.write

    def write(self, data: bytes) -> None:
        """Write the head of the answer, if that has not been done, and `data`."""
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {text}" for name, text in self.headers)]
        head = "" if self.is_answered else "\r\n".join([*lines, "", ""])
        self.is_answered = True
        self.body += data
        self.send_all(head.encode() + data)

    def try_write(self, data: bytes) -> bool:
        """Write as `write` does; return False if the other side has gone."""
        try:
            self.write(data)
        except OSError:
            return False
        return True

    def send_all(self, data: bytes) -> None:
        """Write all of `data`; wait when there is no room, as uWSGI does."""
        while data:
            try:
                data = data[self.connection.send(data) :]
            except BlockingIOError:
                self.loop.wait_writable(self.connection.fileno(), 60.0)


class FakeUwsgi:
    """The uWSGI of one process: its master's if it has neither number."""

    def __init__(
        self, master: FakeMaster, loop: ManualLoop, *, worker: int = 0, mule: int = 0
    ) -> None:
        self.master = master
        self.requests: list[Request] = []
        self.fork_hook: Callable[[], None] = lambda: None
        self.exit_hook: Callable[[], None] = lambda: None
        self._loop = loop
        self._worker = worker
        self._mule = mule
        self._process_id = next(master.process_ids)
        self._owned: list[WireEnd] = []

    # What the code under test calls.

    def options(self) -> dict[str, str]:
        """Return the options and placeholders as text."""
        return options_as_text(self.master.options)

    def workers(self) -> int:
        """Return how many worker processes there are."""
        return self.master.workers

    def engine(self) -> str:
        """Return the name of the loop engine that the workers run."""
        return self.master.engine

    def cores(self) -> int:
        """Return how many requests each worker can hold at once."""
        return self.master.cores

    def listeners(self) -> list[int]:
        """Return the descriptors that uWSGI listens at, -1 for each address that it gave up."""
        return self.master.listeners

    def worker_id(self) -> int:
        """Return this worker's number from 1; 0 in the master and in mules."""
        return self._worker

    def mule_id(self) -> int:
        """Return this mule's number from 1; 0 in the master and in workers."""
        return self._mule

    def process_id(self) -> int:
        """Return a number that no other process has had."""
        return self._process_id

    def max_fds(self) -> int:
        """Return how many descriptors a process may have open."""
        return self.master.max_fds

    def master_threads(self) -> int:
        """Return how many threads the master has."""
        return self.master.threads

    def stop_all(self) -> None:
        """Note that everything was to stop."""
        self.master.is_stopped = True

    def on_fork(self, callback: Callable[[], None]) -> None:
        """Keep `callback` for the test that starts this process."""
        self.fork_hook = callback

    def on_exit(self, callback: Callable[[], None]) -> None:
        """Keep `callback` for the test that ends this process."""
        self.exit_hook = callback

    def end_process(self, status: int = 0) -> NoReturn:
        """End what runs now, with an exception that nothing catches."""
        raise ProcessEnded(status)

    def connection(self) -> int:
        """Return the descriptor of the current request's connection."""
        return self._current().connection.fileno()

    def own_connection(self) -> socket.socket:
        """Return another descriptor of the current request's connection."""
        own = self._current().connection.dup()
        self._owned.append(own)
        return own.as_socket()

    def receive_message(self) -> bytes:
        """Return the current request's next message, b"" when there is none.

        It answers pings and close frames itself. Raises OSError at the end.
        """
        request = self._current()
        while True:
            while (frame := take_frame(request.uncut)) is not None:
                if frame.opcode == CLOSE:
                    request.send_all(encode_frame(CLOSE, frame.payload, mask=None))
                    raise OSError(errno.ECONNRESET, "the station closed")
                if frame.opcode == PING:
                    request.send_all(encode_frame(PONG, frame.payload, mask=None))
                if frame.opcode in (BINARY, CONTINUATION):
                    return frame.payload if frame.fin else b"\0"
            try:
                data = request.connection.recv(8192)
            except BlockingIOError:
                return b""
            if not data:
                raise OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
            request.uncut += data

    def cache_get(self, key: bytes, cache: str = FDB_CACHE) -> bytes | None:
        """Read the cache."""
        return self.master.named(cache).get(key)

    def cache_put(self, key: bytes, value: bytes, cache: str = FDB_CACHE) -> bool:
        """Write the cache."""
        return self.master.named(cache).put(key, value)

    def cache_delete(self, key: bytes, cache: str = FDB_CACHE) -> None:
        """Remove from the cache."""
        self.master.named(cache).delete(key)

    def cache_keys(self, cache: str = FDB_CACHE) -> list[bytes]:
        """Return every key of the cache."""
        return self.master.named(cache).keys()

    # What the test calls.

    def serve(
        self,
        application: Callable[[dict[str, Any], Any], Iterable[bytes]],
        environ: dict[str, Any],
        connection: WireEnd,
    ) -> Request:
        """Serve one request, up to its first wait; uWSGI closes `connection` when it is over."""
        request = Request(self._loop, environ, connection)

        def run() -> None:
            request.greenlet = getcurrent()
            answer: Iterable[bytes] = ()
            try:
                answer = application(environ, request.start_response)
                for part in answer:
                    if not request.try_write(part):
                        break
            finally:
                getattr(answer, "close", lambda: None)()
                self.requests.remove(request)
                connection.close()

        self.requests.append(request)
        self._loop.spawn(run)
        return request

    def close_all(self) -> None:
        """Close every connection of this process, as the kernel does when it dies."""
        for end in [*self._owned, *(request.connection for request in self.requests)]:
            end.close()

    def _current(self) -> Request:
        current = getcurrent()
        return next(request for request in self.requests if request.greenlet is current)

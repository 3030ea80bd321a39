"""A whole server and its stations in one process: the master, the workers, the mule and the LAN.

Everything of vpnws/server runs as it ships, from the WSGI entry to the trunks. What is not vpnws is
a fake: the loop with its clock, uWSGI, the stations' connections, the machine's TAPs. The seed
decides in which order the processes and stations do what they could do at the same time.
"""

from __future__ import annotations

import copy
import gc
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.fakes.devices import FakeDevices
from tests.fakes.frames import take_frame
from tests.fakes.manual_loop import ManualLoop, World
from tests.fakes.uwsgi import GOOD_OPTIONS, FakeMaster, FakeUwsgi, ProcessEnded
from tests.fakes.wire import Wire
from tests.support.raw_frames import BINARY, CLOSE, PING, PONG, Frame, encode_frame
from vpnws.server.start import Server, start
from vpnws.server.uplink.mule import Mule
from vpnws.server.web.app import Application
from vpnws.wire.records import LENGTH_BYTES, NOTHING_TO_DO, PREFIX_BYTES, SUBPROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from tests.fakes.manual_loop import ManualWatcher
    from tests.fakes.uwsgi import Request
    from vpnws.server.node import Node

MULE: Final = 0
"""The mule's place among the processes; workers are counted from 1."""
KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="


@dataclass
class Process:
    """One process of the server after its fork: its own copy of what the master made."""

    loop: ManualLoop
    uwsgi: FakeUwsgi
    server: Server
    application: Application

    @property
    def node(self) -> Node:
        """The worker's node."""
        node = self.application._node
        assert node is not None
        return node


class Station:
    """A station at the other end of a connection: it answers, keeps what it gets, and sends."""

    def __init__(self, house: House, wire: Wire, request: Request, worker: int) -> None:
        self.wire = wire
        self.request = request
        self.worker = worker
        self.answers = True
        """Whether it answers pings and close frames."""
        self.head = ""
        self.controls: list[Frame] = []
        self.is_hung_up = False
        """Whether the connection has ended, one way or the other."""
        self._house = house
        self._end = wire.far
        self._messages: list[bytes] = []
        self._data = bytearray()
        self._unsent = bytearray()
        self._loop = house.loop.fork()
        self._reader: ManualWatcher | None = None
        self._writer: ManualWatcher | None = None
        self.read_again()

    @property
    def status(self) -> str:
        """The first line of the answer to its request, without the version."""
        return self.head.partition("\r\n")[0].partition(" ")[2]

    @property
    def has_records(self) -> bool:
        """Whether the server chose records (vpnws.offload.1)."""
        return f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n" in self.head

    @property
    def close_code(self) -> int | None:
        """The code of the close frame that came, if one has."""
        codes = [frame.close_code for frame in self.controls if frame.opcode == CLOSE]
        return codes[0] if codes else None

    def send(self, *frames: bytes) -> None:
        """Send frames, each a message or all of them records of one message."""
        if self.has_records:
            self.send_messages(b"".join(record_of(frame) for frame in frames))
        else:
            self.send_messages(*frames)

    def send_messages(self, *messages: bytes) -> None:
        """Send binary messages; they leave as far as there is room, the rest later."""
        self.send_bytes(b"".join(encode_frame(BINARY, message) for message in messages))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._unsent += data
        self._write()
        self._house.loop.settle()

    def received(self) -> list[bytes]:
        """Take the frames that have come, each of which had nothing left to do."""
        messages, self._messages = self._messages, []
        return [frame for message in messages for frame in self._frames_of(message)]

    def stop_reading(self) -> None:
        """Read nothing until `read_again`."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def read_again(self) -> None:
        """Read whatever comes."""
        self._reader = self._loop.on_readable(self._end.fileno(), self._read)

    def leave(self, code: int = 1000) -> None:
        """Close politely (RFC 6455 7.1.2)."""
        self.send_bytes(encode_frame(CLOSE, code.to_bytes(2, "big")))

    def hang_up(self) -> None:
        """Close the connection without a word."""
        self._loop.kill()
        self._reader = self._writer = None
        self._end.close()
        self.is_hung_up = True
        self._house.loop.settle()

    def _frames_of(self, message: bytes) -> Iterator[bytes]:
        if not self.has_records:
            yield message
            return
        while message:
            size = PREFIX_BYTES + int.from_bytes(message[:LENGTH_BYTES])
            record, message = message[:size], message[size:]
            assert record[LENGTH_BYTES:PREFIX_BYTES] == NOTHING_TO_DO
            yield record[PREFIX_BYTES:]

    def _read(self) -> None:
        try:
            data = self._end.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.stop_reading()
            self.is_hung_up = True
        self._data += data
        if not self.head and b"\r\n\r\n" in self._data:
            head, _, rest = bytes(self._data).partition(b"\r\n\r\n")
            self.head, self._data = head.decode() + "\r\n", bytearray(rest)
        while self.status.startswith("101") and (frame := take_frame(self._data)) is not None:
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        assert not frame.masked
        if frame.opcode == BINARY:
            self._messages.append(frame.payload)
            return
        self.controls.append(frame)
        answer = {PING: PONG, CLOSE: CLOSE}.get(frame.opcode)
        if answer is not None and self.answers:
            self._unsent += encode_frame(answer, frame.payload)
            self._write()

    def _write(self) -> None:
        try:
            while self._unsent:
                count = self._end.send(self._unsent)
                del self._unsent[:count]
        except BlockingIOError:
            if self._writer is None:
                self._writer = self._loop.on_writable(self._end.fileno(), self._write)
            return
        except OSError:
            self._unsent.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None


@dataclass
class House:
    """A server of `workers` workers, and of a mule if `tap` names a TAP (see vpnws-tap)."""

    seed: int = 0
    workers: int = 2
    tap: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    """Other placeholders without their prefix, such as {"age": "60"}."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.loop = ManualLoop(World(shuffler=self.random))
        self.devices = FakeDevices()
        mode = "bridge" if self.tap else "switch"
        placeholders = {"mode": mode, "tap": self.tap, **self.settings}
        options = {f"vpnws-{name}": text.encode() for name, text in placeholders.items() if text}
        self.master = FakeMaster(
            self.loop,
            workers=self.workers,
            options={**GOOD_OPTIONS, **options},
            cache_items=int(self.settings.get("fdb-items", "16384")),
        )
        for network, device in (word.rpartition(":")[::2] for word in self.tap.split()):
            self.devices.make(
                device, mac=b"\x02\x0a" + (network or "default").encode()[:4].ljust(4)
            )
        self.server = start(self.loop, FakeUwsgi(self.master, self.loop), self.devices, {})
        self.processes: dict[int, Process] = {}
        self.stations: list[Station] = []
        for worker in range(1, self.workers + 1):
            self.start(worker)
        if self.tap:
            self.start(MULE)
        self.loop.settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number in list(self.processes):
            self.kill(number)
        for station in self.stations:
            station.stop_reading()
            station.hang_up()
        for end in self.server._bus._ends.values():
            end.close()

    def start(self, number: int) -> Process:
        """Fork a worker, or the mule, from the master."""
        loop = self.loop.fork()
        is_mule = number == MULE
        uwsgi = FakeUwsgi(self.master, loop, worker=number, mule=1 if is_mule else 0)
        # A fork has copies of all descriptors, so that closing some closes nobody else's.
        bus = copy.copy(self.server._bus)
        bus._ends = {pair: end.dup() for pair, end in self.server._bus._ends.items()}
        server = copy.copy(self.server)
        server.loop, server.uwsgi, server._bus = loop, uwsgi, bus
        process = self.processes[number] = Process(loop, uwsgi, server, Application(server))
        uwsgi.fork_hook()
        gc.unfreeze()
        if is_mule:
            loop.spawn(Mule(server))
        return process

    def kill(self, number: int) -> None:
        """Let a process die at once, as by SIGKILL: the kernel closes its descriptors."""
        process = self.processes.pop(number)
        process.loop.kill()
        for end in process.server._bus._ends.values():
            end.close()
        process.uwsgi.close_all()
        for device in list(self.devices.devices.values()) if number == MULE else []:
            if device.opened is not None:
                device.opened.close()
        self.loop.settle()

    def signal_mule(self, number: int) -> None:
        """Send the mule a signal that ends it, and see that it ends itself."""
        try:
            self.processes[MULE].loop.send_signal(number)
        except ProcessEnded:
            return
        raise AssertionError("the mule goes on")

    def reload(self) -> None:
        """Ask every worker to end for a reload."""
        for number, process in self.processes.items():
            if number != MULE:
                process.loop.reload()
        self.loop.settle()

    def connect(
        self,
        worker: int = 1,
        *,
        network: str = "",
        offload: bool = False,
        wire: Wire | None = None,
        **variables: str,
    ) -> Station:
        """Connect a station to `worker`; `variables` are what the web server says besides."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "HTTP_UPGRADE": "websocket",
            "HTTP_SEC_WEBSOCKET_KEY": KEY,
            "HTTP_SEC_WEBSOCKET_VERSION": "13",
            **variables,
        }
        if network:
            environ["VPNWS_NETWORK"] = network
        if offload:
            environ["HTTP_SEC_WEBSOCKET_PROTOCOL"] = SUBPROTOCOL
        wire = wire or Wire(self.loop)
        process = self.processes[worker]
        request = process.uwsgi.serve(process.application, environ, wire.near)
        station = Station(self, wire, request, worker)
        self.stations.append(station)
        self.loop.settle()
        return station


def record_of(frame: bytes) -> bytes:
    """Return a frame as a record that has nothing left to do."""
    return len(frame).to_bytes(LENGTH_BYTES) + NOTHING_TO_DO + frame

"""One process of a server, alone on its bus: its node, and stations and TAPs to attach to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakes.devices import FakeDevices
from tests.fakes.frames import take_frame
from tests.fakes.manual_loop import ManualLoop
from tests.fakes.uwsgi import FakeMaster, FakeUwsgi
from tests.fakes.wire import Wire
from tests.support.raw_frames import BINARY, Frame
from vpnws.config import Settings
from vpnws.server.journal import Journal
from vpnws.server.node import Node
from vpnws.server.peers.bus import Bus
from vpnws.server.peers.shared_page import SharedPage
from vpnws.server.port.receiver import receive_stream
from vpnws.server.port.session import Session

if TYPE_CHECKING:
    from vpnws.server.port.link import Link


class NodeBed:
    """A node that has slot 0 and no peers."""

    def __init__(self, **settings: Any) -> None:
        self.loop = ManualLoop()
        self.master = FakeMaster(self.loop)
        self.uwsgi = FakeUwsgi(self.master, self.loop, worker=1)
        self.devices = FakeDevices()
        self.page = SharedPage(1)
        self.settings = Settings(**settings)
        self.node = self.make_node()

    def make_node(self) -> Node:
        """Return the node of a process that takes the slot now."""
        journal = Journal("worker 1", self.loop.unix_s)
        return Node(self.loop, self.uwsgi, self.settings, self.page, Bus(1), 0, journal)

    def join(self, session: Session | None = None, *, has_spoken: bool = True) -> NodeStation:
        """Attach a station with the receiver `stream`.

        With `has_spoken` it hears floods like a station that has sent a frame.
        """
        return self.join_over(Wire(self.loop), session, has_spoken=has_spoken)

    def join_over(
        self, wire: Wire, session: Session | None = None, *, has_spoken: bool = True
    ) -> NodeStation:
        """Attach a station whose connection is `wire`."""
        link = self.node.attach(wire.near.as_socket(), session or Session())
        if has_spoken:
            self.node.switch.networks.hear(link.port)
        receive_stream(self.loop, link, self.node.switch)
        return NodeStation(self.loop, wire, link)


class NodeStation:
    """A station's end of the connection, which does nothing by itself."""

    def __init__(self, loop: ManualLoop, wire: Wire, link: Link) -> None:
        self.wire = wire
        self.link = link
        self._loop = loop
        self._data = bytearray()

    def send(self, data: bytes) -> None:
        """Send bytes as they are, and let the server act."""
        self.wire.far.send(data)
        self._loop.settle()

    def frames(self) -> list[Frame]:
        """Return the WebSocket frames that have come."""
        self._loop.settle()
        try:
            while data := self.wire.far.recv(1 << 20):
                self._data += data
                self._loop.settle()
        except BlockingIOError:
            pass
        frames = []
        while (frame := take_frame(self._data)) is not None:
            frames.append(frame)
        return frames

    def messages(self) -> list[bytes]:
        """Return the binary messages that have come."""
        return [frame.payload for frame in self.frames() if frame.opcode == BINARY]

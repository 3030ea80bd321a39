"""A slow port and who shares it, as events in simulated time: senders, pings, a line.

A line of a given rate empties a socket's buffer; the port's queue stands behind it, and what the
queue does is the code that runs in the server. Bulk flows are CUBIC-like senders (RFC 9438), which
slow down for losses and, if they take marks, for marks. Nothing is random.
"""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vpnws.config import Settings
from vpnws.server.port.link import BITE_BYTES
from vpnws.sizes import MAX_WRITE_BUFFERS
from vpnws.switch.queue.codel import DEFAULT, UNLIMITED, Control
from vpnws.switch.queue.queue import EgressQueue
from vpnws.wire.headers import flow_key

if TYPE_CHECKING:
    from collections.abc import Callable

MSS_BYTES: Final = 1448
SUPER_BYTES: Final = 65_000
"""What a sender with segmentation offload gives away at once."""
PING_EVERY_S: Final = 0.0103
RTO_S: Final = 0.2
"""The least time after which a sender that hears nothing begins anew."""
_BETA: Final = 0.7
_CUBIC: Final = 0.4


@dataclass(frozen=True, slots=True)
class Case:
    """One port, its rate, and who shares it."""

    mbit_s: float
    flows: int
    item_bytes: int
    policy: str
    rtt_s: float = 0.02
    socket_bytes: int = 16_384
    bite_bytes: int = BITE_BYTES
    limit_bytes: int = Settings().egress_limit_bytes
    seconds: float = 10.0
    control: Control = DEFAULT


class Simulation:
    """Time, and what happens at which."""

    def __init__(self) -> None:
        """Begin at 0 s."""
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, time_s: float, what: Callable[[], None]) -> None:
        """Have `what` happen at `time_s`; of two at the same time, the first one told first."""
        heapq.heappush(self._events, (time_s, next(self._numbers), what))

    def run(self, until_s: float) -> None:
        """Let everything happen up to `until_s`."""
        while self._events and self._events[0][0] <= until_s:
            self.now, _, what = heapq.heappop(self._events)
            what()


class Bottleneck:
    """A port: its queue, its socket's buffer, and the line behind that."""

    def __init__(self, sim: Simulation, case: Case) -> None:
        """The line is idle."""
        control = case.control if "codel" in case.policy else UNLIMITED
        self.queue = EgressQueue(case.limit_bytes, control=control)
        self._fair = case.policy != "fifo"
        self._sim = sim
        self._bytes_s = case.mbit_s * 1e6 / 8
        self._socket_bytes = case.socket_bytes
        self._bite_bytes = case.bite_bytes
        self._idle_s = 0.0
        """When the line will have sent all that is in the socket."""
        self._waiting = False
        self._ends: list[bytes] = []
        """The items whose bytes are in the rest, the begun one first."""
        self.receivers: dict[bytes, Callable[[bytes], None]] = {}
        """Who is given the items of a flow."""

    def send(self, item: bytes) -> None:
        """Let an item come in."""
        self.queue.push([item], 1, len(item), self._sim.now)
        if not self._waiting:
            self._write()

    def _write(self) -> None:
        queue, sim = self.queue, self._sim
        self._waiting = False
        while queue.waiting:
            if not queue.begun:
                self._ends = queue.take(self._bite_bytes, MAX_WRITE_BUFFERS, sim.now)
            buffers = queue.rest or list(self._ends)
            room = self._room()
            rest: list[bytes | memoryview] = []
            for item, buffer in zip(list(self._ends), buffers, strict=True):
                sent = min(room, len(buffer))
                room -= sent
                self._idle_s = max(self._idle_s, sim.now) + sent / self._bytes_s
                if sent == len(buffer):
                    self._ends.pop(0)
                    self._deliver(item, self._idle_s)
                else:
                    rest.append(memoryview(buffer)[sent:])
            queue.keep(rest)
            if rest:
                self._wait()
                return

    def _room(self) -> int:
        held = max(0.0, self._idle_s - self._sim.now) * self._bytes_s
        return max(0, int(self._socket_bytes - held + 0.5))

    def _wait(self) -> None:
        """Wait, as the kernel has it, until a third of the buffer is free."""
        self._waiting = True
        if self._fair:
            self.queue.backed_up = True
        two_thirds_s = self._socket_bytes * 2 / 3 / self._bytes_s
        self._sim.at(max(self._sim.now, self._idle_s - two_thirds_s), self._write)

    def _deliver(self, item: bytes, time_s: float) -> None:
        receiver = self.receivers[flow_key(item, 0)]
        self._sim.at(time_s, lambda: receiver(item))


class Bulk:
    """A sender with always more to send, and its receiver."""

    def __init__(self, sim: Simulation, port: Bottleneck, case: Case, header: bytes) -> None:
        """`header` is what stands before the sequence number."""
        self._sim, self._port, self._case = sim, port, case
        self._header = header
        self.received_bytes = 0
        self._window = 10.0 * MSS_BYTES
        self._threshold = float("inf")
        self._window_before_loss = 0.0
        self._reduced_s = 0.0
        self._in_flight: dict[int, tuple[int, float]] = {}
        """Bytes and time of what was sent and not heard of yet."""
        self._flying = 0
        self.waits_s: list[float] = []
        self._round_s = case.rtt_s
        self._next = self._expected = self._recover = 0
        self._heard_s = 0.0
        port.receivers[flow_key(header, 0)] = self._receive

    def start(self) -> None:
        """Send a first window."""
        self._heard_s = self._sim.now
        self._send()
        self._sim.at(self._sim.now + RTO_S, self._check)

    def _send(self) -> None:
        while True:
            size = int(min(self._case.item_bytes, max(MSS_BYTES, self._window / 4)))
            if self._flying + size > self._window:
                return
            self._flying += size
            self._in_flight[self._next] = size, self._sim.now
            number = self._next.to_bytes(8, "big")
            self._next += 1
            self._port.send(self._header + number + bytes(size - 8))

    def _receive(self, item: bytes) -> None:
        at = len(self._header)
        number = int.from_bytes(item[at : at + 8], "big")
        marked = item[15] & 3 == 3
        lost, self._expected = number > self._expected, number + 1
        size = len(item) - at
        self.received_bytes += size
        self._sim.at(
            self._sim.now + self._case.rtt_s, lambda: self._hear(number, size, lost, marked)
        )

    def _hear(self, number: int, size: int, lost: bool, marked: bool) -> None:
        """An acknowledgement: what came before it and was not acknowledged is lost."""
        now = self._heard_s = self._sim.now
        if number in self._in_flight:
            round_s = now - self._in_flight[number][1]
            self._round_s += (round_s - self._round_s) / 8
            self.waits_s.append(round_s - self._case.rtt_s)
        for one in list(itertools.takewhile(lambda one: one <= number, self._in_flight)):
            self._flying -= self._in_flight.pop(one)[0]
        if (lost or marked) and number >= self._recover:
            self._recover = self._next
            self._reduce()
        elif self._window < self._threshold:
            self._window += size
        else:
            self._window += max(self._cubic() - self._window, 0.0) * size / self._window
        self._send()

    def _reduce(self) -> None:
        self._window_before_loss = self._window
        self._window = self._threshold = max(2.0 * MSS_BYTES, self._window * _BETA)
        self._reduced_s = self._sim.now

    def _cubic(self) -> float:
        """Return the window of RFC 9438 for now: its own growth, or Reno's where that is faster."""
        since_s = self._sim.now - self._reduced_s
        before_loss = self._window_before_loss / MSS_BYTES
        turn_s: float = (before_loss * (1 - _BETA) / _CUBIC) ** (1 / 3)
        reno = before_loss * _BETA + 3 * (1 - _BETA) / (1 + _BETA) * since_s / self._case.rtt_s
        grown = max(_CUBIC * (since_s - turn_s) ** 3 + before_loss, reno) * MSS_BYTES
        return min(grown, 1.5 * self._window)

    def _check(self) -> None:
        """After a silence all that was sent counts as lost."""
        if self._sim.now - self._heard_s > RTO_S + 2 * self._round_s:
            self._in_flight.clear()
            self._flying = 0
            self._reduce()
            self._window = 2.0 * MSS_BYTES
            self._heard_s = self._sim.now
            self._send()
        self._sim.at(self._sim.now + RTO_S, self._check)


class Pings:
    """A sparse flow: one small frame now and then."""

    def __init__(self, sim: Simulation, port: Bottleneck, header: bytes) -> None:
        """Each ping has its time in it."""
        self._sim, self._port, self._header = sim, port, header
        self.sent = 0
        self.waits_s: list[float] = []
        self._times: dict[int, float] = {}
        port.receivers[flow_key(header, 0)] = self._receive

    def send(self) -> None:
        """Send one, and the next one in a while."""
        self._times[self.sent] = self._sim.now
        number = self.sent.to_bytes(8, "big")
        self.sent += 1
        self._sim.at(self._sim.now + PING_EVERY_S, self.send)
        self._port.send(self._header + number + bytes(36))

    def _receive(self, item: bytes) -> None:
        at = len(self._header)
        self.waits_s.append(
            self._sim.now - self._times.pop(int.from_bytes(item[at : at + 8], "big"))
        )

"""The namespaces that a contestant runs in: a LAN of a server and two stations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.compare.line import DelayLine
from tests.support.netns import Lan

if TYPE_CHECKING:
    from tests.support.netns import Namespace

_QUEUE_FRAMES: Final = 1000
"""What the kernel may hold for the delay line: it has to survive 1/2 ms and a burst."""


class Bed(Lan):
    """A LAN with one congestion control for all TCP in it: inside a VPN and under it.

    With `is_long` station 0's cable is a delay line, `line`.
    """

    line: DelayLine

    def __init__(self, congestion: str = "", *, is_long: bool = False) -> None:
        """Plan it; the default congestion control is the machine's."""
        super().__init__(2)
        self._congestion = congestion
        self._is_long = is_long

    def build(self) -> None:
        """Make the LAN, then set each namespace up."""
        super().build()
        for namespace in (self.server, *self.stations):
            self._set_up(namespace)

    def _set_up(self, namespace: Namespace) -> None:
        if self._congestion:
            setting = f"net.ipv4.tcp_congestion_control={self._congestion}"
            namespace.run(["sysctl", "-q", "-w", setting])

    def _join(self, index: int, station: Namespace) -> None:
        if not self._is_long or index:
            super()._join(index, station)
            return
        self.line = self.parts.enter_context(DelayLine(((station, "eth0"), (self.server, "lan1"))))
        for namespace, device in ((station, "eth0"), (self.server, "lan1")):
            namespace.ip(f"link set {device} txqueuelen {_QUEUE_FRAMES}")
        self.server.ip("link set lan1 master lan0 up")
        station.ip(f"address add {self.address(0)}/24 dev eth0")
        station.ip("link set eth0 up")

"""Our own DHCP client at work: its state machine, a packet socket, and alarms aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from vpnws.dhcp.client import Client
from vpnws.wire.dhcp_frame import unwrap
from vpnws.wire.discovery import read_arp
from vpnws.wire.headers import TYPE_ARP, Headers

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.client.aside import Alarm
    from vpnws.client.dhcp.follower import Changed
    from vpnws.client.waiting import Waiter
    from vpnws.dhcp.client import Step

MIN_ALARM_S: Final = 0.05
"""The state machine is not called more often than this, whatever it says."""


class Packets(Protocol):
    """Frames to and from one device."""

    fd: int

    def send(self, frame: bytes) -> None:
        """Send a frame."""

    def receive(self) -> list[bytes]:
        """Return what has come in, without waiting."""

    def close(self) -> None:
        """Close it."""


class OwnClient:
    """A DHCP client for the life of a station, over any number of connections."""

    def __init__(
        self,
        packets: Packets,
        waiter: Waiter,
        random: Callable[[], float],
        host_name: str,
        changed: Changed,
    ) -> None:
        """`changed` is told what has become of the address, and what is granted now.

        It owns `packets`. `random` returns floats from 0 to 1.
        """
        self._packets = packets
        self._waiter = waiter
        self._random = random
        self._host_name = host_name
        self._changed = changed
        self._client: Client | None = None
        self._mac = b""
        self._alarm: Alarm | None = None
        self._due_s = 0.0
        """What the alarm is for, as the state machine says it."""
        waiter.aside.watch(packets.fd, self._serve)

    def connected(self, mac: bytes) -> None:
        """Ask for an address, or whether the one from before still holds."""
        if self._client is None or mac != self._mac:
            self._client, self._mac = Client(mac, self._random, self._host_name), mac
        self._take(self._client.start(self._waiter.now()))

    def leaving(self) -> list[bytes]:
        """Give the address up; return the frames that tell the server."""
        return [] if self._client is None else self._client.stop().frames

    def close(self) -> None:
        """End."""
        self._waiter.aside.unwatch(self._packets.fd)
        if self._alarm is not None:
            self._alarm.cancel()
        self._packets.close()

    def _serve(self) -> None:
        frames = self._packets.receive()
        if self._client is not None:
            for frame in frames:
                self._hear(self._client, frame)

    def _hear(self, client: Client, frame: bytes) -> None:
        now = self._waiter.now()
        headers = Headers(frame, 0, len(frame))
        if headers.ethertype == TYPE_ARP:
            arp = read_arp(headers)
            if arp is not None:
                self._take(client.hear(arp, now))
            return
        received = unwrap(frame)
        if received is not None:
            self._take(client.receive(received, now))

    def _ring(self, now: float) -> None:
        self._alarm = None
        if self._client is not None:
            self._take(self._client.tick(now))

    def _take(self, step: Step) -> None:
        client = self._client
        if client is None:
            return
        for frame in step.frames:
            self._packets.send(frame)
        self._set_alarm(client.due_s)
        if step.change is not None:
            self._changed(step.change, client.grant if client.has_address else None)

    def _set_alarm(self, due_s: float) -> None:
        """Have the state machine called at `due_s`; other frames do not put that off."""
        if self._alarm is not None:
            if due_s == self._due_s:
                return
            self._alarm.cancel()
        self._due_s = due_s
        at_s = max(due_s, self._waiter.now() + MIN_ALARM_S)
        self._alarm = self._waiter.aside.alarm(at_s, self._ring)

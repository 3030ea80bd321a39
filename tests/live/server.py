"""A server of two workers, each with an HTTP socket of its own, and stations joined to them."""

from __future__ import annotations

import itertools
import os
import time
from typing import TYPE_CHECKING

from tests.support.frames import frame, mac
from tests.support.raw_client import RawClient
from tests.support.raw_frames import PING, PONG, Frame
from tests.support.uwsgi import Uwsgi, free_port
from tests.support.uwsgi_client import UwsgiClient
from vpnws.wire.ethernet import BROADCAST, format_mac
from vpnws.wire.records import SUBPROTOCOL

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_numbers = itertools.count(1)


class TwoWorkers(Uwsgi):
    """uWSGI with two workers; `station(1)` joins the first one, `station(2)` the second."""

    def __init__(
        self, placeholders: Mapping[str, str], *arguments: str, socket_path: Path | None = None
    ) -> None:
        """`placeholders` are settings, `arguments` more options of uWSGI.

        `socket_path` is the unix socket, by default one in a directory of its own.
        """
        self.second = free_port()
        self.receiver = placeholders.get("vpnws-receiver", "stream")
        # Socket 1 is the unix socket, which both workers serve.
        super().__init__(
            f"--http-socket=127.0.0.1:{self.second}",
            "--map-socket=0:1",
            "--map-socket=2:2",
            *arguments,
            placeholders=placeholders,
            workers=2,
            socket_path=socket_path,
        )

    def connect(self, worker: int = 1) -> RawClient:
        """Return a connection to `worker`'s HTTP socket, without a request."""
        port = self.http_address[1] if worker == 1 else self.second
        return RawClient("127.0.0.1", port)

    def station(self, worker: int = 1, *, number: int | None = None) -> Station:
        """Join a station with a MAC of its own to `worker`."""
        client = self.connect(worker)
        station = Station(client, mac(number or next(_numbers)))
        assert client.upgrade(headers=[station.header]).status == 101
        return station.joined()

    def offload_station(self, worker: int = 1) -> Station:
        """Join a station that speaks `vpnws.offload.1`."""
        client = self.connect(worker)
        station = Station(client, mac(next(_numbers)))
        answer = client.upgrade(headers=[station.header], subprotocols=SUBPROTOCOL)
        assert (answer.status, answer.headers["Sec-WebSocket-Protocol"]) == (101, SUBPROTOCOL)
        return station.joined()

    def named_station(self, variables: Mapping[str, str], *, number: int | None = None) -> Station:
        """Join a station as through nginx, with uwsgi `variables`, to any worker."""
        client = UwsgiClient(self.socket_path)
        station = Station(client, mac(number or next(_numbers)))
        assert client.ask({"HTTP_X_VPN_WS_MAC": format_mac(station.mac), **variables}).status == 101
        return station.joined()

    def memory_bytes(self) -> int:
        """Return what the workers have in memory together."""
        return sum(_resident_bytes(pid) for pid in self.worker_pids())

    def descriptors(self) -> int:
        """Return how many descriptors the workers have open together."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.worker_pids())


class Station:
    """A joined station: a connection and a MAC."""

    def __init__(self, client: RawClient, address: bytes) -> None:
        self.client = client
        self.mac = address
        self.header = ("X-vpn-ws-MAC", format_mac(address))

    def __enter__(self) -> Station:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def joined(self) -> Station:
        """Wait until the port is there, which is a moment after the 101; return the station."""
        self.client.send_frame(b"", PING)
        self.pong()
        return self

    def send(self, destination: bytes = BROADCAST, size: int = 60, mark: bytes = b"") -> bytes:
        """Send a frame of `size` bytes that ends in `mark`; return it."""
        sent = frame(destination, self.mac, size - len(mark)) + mark
        self.client.send_frame(sent)
        return sent

    def expect(self, sent: bytes, timeout_s: float = 5.0) -> None:
        """Read messages until `sent` comes; TimeoutError when it does not."""
        deadline = time.monotonic() + timeout_s
        while self.client.read_message(max(0.01, deadline - time.monotonic())) != sent:
            pass

    def is_quiet(self, time_s: float = 0.1) -> bool:
        """Return whether no frame comes for `time_s`; pings do not count."""
        try:
            self.client.read_message(time_s)
        except TimeoutError:
            return True
        return False

    def pong(self) -> Frame:
        """Return the next pong."""
        while (answer := self.client.read_frame()).opcode != PONG:
            pass
        return answer

    def hears(self, sent: bytes, timeout_s: float = 0.3) -> bool:
        """Return whether `sent` comes within `timeout_s`."""
        try:
            self.expect(sent, timeout_s)
        except TimeoutError:
            return False
        return True


def reach(one: Station, other: Station) -> None:
    """Check that frames pass both ways between two stations."""
    other.expect(one.send(other.mac, mark=b"there"))
    one.expect(other.send(one.mac, mark=b"and back"))


def _resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

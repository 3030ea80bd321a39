"""A DHCP server's book in memory, and a link for a client and a server, with time on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.dhcp.server import Given, Server, Told
from vpnws.wire.dhcp_frame import unwrap
from vpnws.wire.discovery import read_arp
from vpnws.wire.headers import Headers

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.dhcp.client import Change, Client, Step
    from vpnws.dhcp.server import Book
    from vpnws.wire.dhcp_frame import Received

SERVER_IP: Final = bytes((10, 8, 0, 1))


class MemoryBook:
    """Leases 10.8.0.2 and on, as many as it has, and writes down what happens."""

    def __init__(self, size: int = 4, lease_s: int = 3600, told: Told | None = None) -> None:
        self.size = size
        self.lease_s = lease_s
        self.said = told or Told()
        self.leases: dict[bytes, bytes] = {}
        """IP -> MAC."""
        self.declined: set[bytes] = set()

    def offer(self, mac: bytes, wanted: bytes) -> Given | None:
        """Give what the client has, else what it wants, else any."""
        had = [ip for ip, owner in self.leases.items() if owner == mac]
        free = [ip for ip in self._all() if ip not in self.leases and ip not in self.declined]
        for ip in (*had, *([wanted] if wanted in free else []), *free):
            self.leases[ip] = mac
            return Given(ip, 24, self.lease_s, self.said)
        return None

    def keep(self, mac: bytes, ip: bytes) -> Given | None:
        """Give just this one."""
        if ip not in self._all() or ip in self.declined or self.leases.get(ip, mac) != mac:
            return None
        self.leases[ip] = mac
        return Given(ip, 24, self.lease_s, self.said)

    def release(self, mac: bytes, ip: bytes) -> None:
        """Take it back from whoever has it."""
        if self.leases.get(ip) == mac:
            del self.leases[ip]

    def decline(self, mac: bytes, ip: bytes) -> None:
        """Never give it again."""
        self.release(mac, ip)
        self.declined.add(ip)

    def told(self) -> Told:
        """Return what it was made with."""
        return self.said

    def _all(self) -> list[bytes]:
        return [SERVER_IP[:3] + bytes((2 + number,)) for number in range(self.size)]


def ask(server: Server, frame: bytes, book: Book, now: float) -> bytes | None:
    """Return what a server answers to a frame, whether or not that is for it."""
    question = server.read(frame, now)
    return None if question is None else server.answer(question, book)


class DhcpLink:
    """One client and one server; `passes` says of each frame whether it arrives."""

    def __init__(self, client: Client, book: MemoryBook, server: Server | None = None) -> None:
        self.client = client
        self.book = book
        self.server: Server | None = server or Server(SERVER_IP, answers_arp=True)
        """None while it is away."""
        self.passes: Callable[[bytes], bool] = lambda _frame: True
        self.now = 1000.0
        self.sent: list[bytes] = []
        """Every frame of the client."""
        self.changes: list[Change] = []

    def start(self) -> None:
        """Have the client begin, or begin again."""
        self.take(self.client.start(self.now))

    def run(self, seconds: float) -> None:
        """Let time pass; the client does what is due."""
        end = self.now + seconds
        while self.client.due_s <= end:
            self.now = max(self.now, self.client.due_s)
            self.take(self.client.tick(self.now))
        self.now = end

    def take(self, step: Step) -> None:
        """Write a change down, carry the frames to the server, and its answers back."""
        if step.change is not None:
            self.changes.append(step.change)
        for frame in step.frames:
            self.sent.append(frame)
            if self.server is None or not self.passes(frame):
                continue
            reply = ask(self.server, frame, self.book, self.now)
            if reply is not None and self.passes(reply):
                self.deliver(reply)

    def deliver(self, frame: bytes) -> None:
        """Have a frame come in at the client."""
        arp = read_arp(Headers(frame, 0, len(frame)))
        if arp is not None:
            self.take(self.client.hear(arp, self.now))
        received = unwrap(frame)
        if received is not None:
            self.take(self.client.receive(received, self.now))

    def asked(self) -> list[Received]:
        """Return the client's messages of DHCP."""
        return [received for received in map(unwrap, self.sent) if received is not None]

    def kinds(self) -> list[int]:
        """Return what the client's messages were."""
        return [received.message.kind for received in self.asked()]

    @property
    def address(self) -> str:
        """The address that the client may use; empty for none."""
        grant = self.client.grant
        return str(grant.interface) if grant is not None and self.client.has_address else ""

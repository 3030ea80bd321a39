"""What a DHCP server answers to each message (RFC 2131 4.3), from addresses that others keep.

It also answers ARP for its own address, so that a client can ask it alone to renew a lease. That
address is nobody's who can be heard: from a host that has it the server stays away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Final, NamedTuple, Protocol

from vpnws.wire.announce import reply
from vpnws.wire.dhcp import (
    BOOTREPLY,
    BOOTREQUEST,
    DEFAULT_MAX_BYTES,
    FOREVER,
    MAX_MESSAGE_BYTES,
    NO_IP,
    REBIND_PART,
    RENEW_PART,
    Kind,
    Message,
    Option,
    Way,
)
from vpnws.wire.dhcp_frame import ALL, Ends, Received, tagged, unwrap, wrap
from vpnws.wire.dhcp_routes import Route, encode_routes
from vpnws.wire.discovery import Arp, read_arp
from vpnws.wire.ethernet import ADDRESSES_BYTES
from vpnws.wire.headers import TYPE_ARP, Headers

YIELD_S: Final = 3600.0
"""Once a host was heard to have the server's address, the server does not answer ARP for it for so
long."""
MAC: Final = bytes.fromhex("0276706e7773")
"""The server's MAC on every network: locally administered, and the letters vpnws."""
_REQUEST: Final = 1


class Told(NamedTuple):
    """What a client is told besides its address."""

    mtu_bytes: int = 0
    """0 tells nothing of it."""
    routers: tuple[bytes, ...] = ()
    dns: tuple[bytes, ...] = ()
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """An address for one client."""

    ip: bytes
    prefix: int
    lease_s: int
    told: Told = field(default_factory=Told)


class Book(Protocol):
    """Who has which address: what one port's clients may lease. An answer of None is a refusal."""

    def offer(self, mac: bytes, wanted: bytes) -> Given | None:
        """Choose an address for the client `mac`, if possible `wanted` (NO_IP for none)."""

    def keep(self, mac: bytes, ip: bytes) -> Given | None:
        """Give the client just the address `ip`."""

    def release(self, mac: bytes, ip: bytes) -> None:
        """Take back an address that the client gives up."""

    def decline(self, mac: bytes, ip: bytes) -> None:
        """Note that somebody else uses the address that the client was given."""

    def told(self) -> Told:
        """Return what a client is told that has an address already."""


class Question(NamedTuple):
    """What a station asks of the server: by DHCP, or by ARP where its address is."""

    asked: Received | Arp
    tags: bytes
    """The frame's 802.1Q tags, which the answer has too."""


class Server:
    """The server of one network."""

    def __init__(self, ip: bytes, *, answers_arp: bool) -> None:
        """`ip` is its identifier; `answers_arp` says whether nobody else may have that address."""
        self.ip = ip
        self._answers_arp = answers_arp
        self._yields_until_s = -YIELD_S

    def read(self, frame: bytes, now: float) -> Question | None:
        """Return what a frame asks of the server; None if it is not the server's.

        Whatever a client asks of all DHCP servers is this one's, also if it has no answer.
        """
        headers = Headers(frame, 0, len(frame))
        if headers.ethertype == TYPE_ARP:
            return self._read_arp(headers, now)
        received = unwrap(frame)
        if received is None or received.way is not Way.TO_SERVER:
            return None
        is_for_us = received.ends.ip in (ALL, self.ip)
        return Question(received, received.tags) if is_for_us else None

    def answer(self, question: Question, book: Book) -> bytes | None:
        """Return the frame that answers; None if a message is wrong or needs no answer."""
        asked = question.asked
        if isinstance(asked, Received):
            frame = self._answer(asked, book)
        else:
            frame = reply(MAC, self.ip, asked.sender_mac, asked.sender_ip)
        return None if frame is None else tagged(frame, question.tags)

    def _read_arp(self, headers: Headers, now: float) -> Question | None:
        arp = read_arp(headers)
        if arp is None:
            return None
        if arp.sender_ip == self.ip and arp.sender_mac != MAC:
            self._yields_until_s = now + YIELD_S
        is_asked = arp.operation == _REQUEST and arp.target_ip == self.ip != arp.sender_ip
        if not is_asked or not self._answers_arp or now < self._yields_until_s:
            return None
        return Question(arp, bytes(headers.buffer[ADDRESSES_BYTES : headers.network_at - 2]))

    def _answer(self, received: Received, book: Book) -> bytes | None:
        message = received.message
        is_own = message.mac == received.ends.source_mac and message.giaddr == NO_IP
        if message.op != BOOTREQUEST or not is_own:
            return None
        said = self._say(message, book)
        if said is None:
            return None
        return wrap(said, Way.TO_CLIENT, _ends(self.ip, said), _takes(message))

    def _say(self, message: Message, book: Book) -> Message | None:
        mac, wanted = message.mac, message.ip(Option.REQUESTED_IP)
        if message.kind == Kind.DISCOVER:
            given = book.offer(mac, wanted)
            return None if given is None else self._grant(Kind.OFFER, message, given)
        if message.kind == Kind.INFORM:
            return self._inform(message, book.told())
        server = message.ip(Option.SERVER_ID)
        if server not in (NO_IP, self.ip):
            # It takes what another server has offered, or speaks to another one.
            return None
        if message.kind == Kind.REQUEST:
            given = book.keep(mac, wanted if any(wanted) else message.ciaddr)
            if given is None:
                return self._refuse(message)
            return self._grant(Kind.ACK, message, given)
        if message.kind == Kind.RELEASE:
            book.release(mac, message.ciaddr)
        elif message.kind == Kind.DECLINE:
            book.decline(mac, wanted)
        return None

    def _grant(self, kind: Kind, asked: Message, given: Given) -> Message:
        lease_s = min(given.lease_s, FOREVER - 1)
        options = {
            Option.SERVER_ID: self.ip,
            Option.LEASE_S: lease_s.to_bytes(4),
            Option.SUBNET_MASK: IPv4Network((0, given.prefix)).netmask.packed,
            Option.RENEWAL_S: int(lease_s * RENEW_PART).to_bytes(4),
            Option.REBINDING_S: int(lease_s * REBIND_PART).to_bytes(4),
            **_options(given.told),
        }
        return self._reply(kind, asked, given.ip, options)

    def _inform(self, asked: Message, told: Told) -> Message:
        """Answer a client that has an address: neither one nor a time (RFC 2131 4.3.5)."""
        options = {Option.SERVER_ID: self.ip, **_options(told)}
        return self._reply(Kind.ACK, asked, NO_IP, options)

    def _refuse(self, asked: Message) -> Message:
        return self._reply(Kind.NAK, asked, NO_IP, {Option.SERVER_ID: self.ip})

    def _reply(
        self, kind: Kind, asked: Message, ip: bytes, options: dict[Option, bytes]
    ) -> Message:
        ciaddr = NO_IP if kind == Kind.NAK else asked.ciaddr
        if Option.CLIENT_ID in asked.options:
            # RFC 6842: the client's own id goes back to it.
            options[Option.CLIENT_ID] = asked.options[Option.CLIENT_ID]
        return Message(
            BOOTREPLY,
            kind,
            asked.xid,
            asked.mac,
            is_broadcast=asked.is_broadcast,
            ciaddr=ciaddr,
            yiaddr=ip,
            options={int(code): value for code, value in options.items()},
        )


def _ends(ip: bytes, said: Message) -> Ends:
    """Return where an answer of the server `ip` goes (RFC 2131 4.1)."""
    if said.kind == Kind.NAK:
        return Ends(MAC, ip)
    if any(said.ciaddr):
        return Ends(MAC, ip, said.mac, said.ciaddr)
    if said.is_broadcast or not any(said.yiaddr):
        return Ends(MAC, ip)
    return Ends(MAC, ip, said.mac, said.yiaddr)


def _takes(message: Message) -> int:
    """Return the longest message that a client takes, its UDP payload (RFC 2132 9.10)."""
    most_bytes = message.short(Option.MAX_BYTES) or 0
    return min(max(most_bytes - 28, DEFAULT_MAX_BYTES), MAX_MESSAGE_BYTES)


def _options(told: Told) -> dict[Option, bytes]:
    options: dict[Option, bytes] = {}
    if told.mtu_bytes:
        options[Option.MTU] = told.mtu_bytes.to_bytes(2)
    if told.routes:
        options[Option.CLASSLESS_ROUTES] = encode_routes(told.routes)
    if told.routers:
        options[Option.ROUTERS] = b"".join(told.routers)
    if told.dns:
        options[Option.DNS] = b"".join(told.dns)
    return options

"""Which IP addresses the stations of one network were heard to have, on this process's ports.

Frames are only looked at, never held back or dropped for what they tell. A station tells its own
addresses by ARP and ND. A DHCP server tells those of others, but what a station has told of itself
counts more. An address that another MAC or another port is heard to have *moves*: then its process
notes who had it and who has it now.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from vpnws.switch.guard.bucket import TokenBucket
from vpnws.switch.port import AccessPort
from vpnws.wire.told import By, Told, may_tell, read_told

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from vpnws.switch.fdb import Fdb
    from vpnws.switch.guard.roles import Role
    from vpnws.switch.port import Port
    from vpnws.wire.train import Train

MAX_ADDRESSES: Final = 16_384
"""Addresses that one process keeps of one network; for a further one the oldest is forgotten."""
MAX_ADDRESSES_PER_MAC: Final = 16
"""Addresses that a port may have, for each MAC that it may have; for a further one the port's
oldest is forgotten."""
ADDRESS_AGE_S: Final = 14_400.0
"""An address that was not heard for four hours is forgotten, or at the end of its DHCP lease if
that is later."""
MAX_LOOKS_PER_S: Final = 1000
"""Frames of one port that are read for what they tell of addresses, in a second; further ones are
forwarded unread."""
MAX_NEWS: Final = 256
"""Addresses that are new or have moved, and wait to be reported; a further one is only counted."""
TOLD_AGAIN_S: Final = 60.0
"""Of one address, it is reported at most this often that it is new, and that it has moved. So two
hosts that want the same one fill no log."""
MAX_TOLD: Final = 1024
"""Addresses whose last report is remembered. A full table is emptied, and their next news are
reported."""

Key: TypeAlias = "tuple[tuple[int, ...], bytes]"
"""An address, 4 or 16 bytes, in the VLANs of its tags."""


@dataclass(slots=True, eq=False)
class Address:
    """An address that one of this process's ports was heard to have."""

    key: Key
    mac: bytes
    port: AccessPort
    by: By
    is_own_word: bool
    """Whether a host has told it of itself, not only a DHCP server."""
    heard_s: float
    until_s: float

    @property
    def ip(self) -> bytes:
        """The address: 4 or 16 bytes."""
        return self.key[1]


class Had(NamedTuple):
    """Who had an address before."""

    mac: bytes
    port_id: int


class News(NamedTuple):
    """An address that is new, or that another MAC or another port has now."""

    network: str
    key: Key
    mac: bytes
    by: By
    before: Had | None = None
    """None if it is new."""


class AddressNews:
    """The news of addresses in one process that wait to be reported."""

    __slots__ = ("_told_s", "_waiting", "lost")

    def __init__(self) -> None:
        """There are no news yet."""
        self._waiting: deque[News] = deque()
        self._told_s: dict[tuple[str, Key, bool], float] = {}
        self.lost = 0
        """News that found MAX_NEWS others waiting."""

    def note(self, news: News, now: float) -> None:
        """Note news, unless there were the same of that address a moment ago."""
        which = news.network, news.key, news.before is None
        if now - self._told_s.get(which, -TOLD_AGAIN_S) < TOLD_AGAIN_S:
            return
        if len(self._waiting) >= MAX_NEWS:
            self.lost += 1
            return
        if len(self._told_s) >= MAX_TOLD:
            self._told_s.clear()
        self._told_s[which] = now
        self._waiting.append(news)

    def take(self) -> list[News]:
        """Take the news that wait, in order."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting


@dataclass(slots=True, eq=False)
class _Speaker:
    """A port that frames with addresses come in at, and the addresses that it has."""

    looks: TokenBucket
    keys: dict[Key, None] = field(default_factory=dict)
    """The one that was heard last is the last."""


class HeardAddresses:
    """The addresses heard in one network, by IP address and by port. Both are bounded."""

    __slots__ = ("_by_key", "_fdb", "_network", "_news", "_speakers")

    def __init__(self, network: str, fdb: Fdb, news: AddressNews) -> None:
        """`fdb` is that of `network` in this process; `news` gets what is new or has moved."""
        self._network = network
        self._fdb = fdb
        self._news = news
        self._by_key: dict[Key, Address] = {}
        """The one that was heard last is the last."""
        self._speakers: dict[Port, _Speaker] = {}

    def __iter__(self) -> Iterator[Address]:
        """Go through the addresses of MACs that are where they were heard, the oldest one first."""
        return (each for each in self._by_key.values() if self._is_in_place(each))

    def hear(self, ingress: Port, role: Role, train: Train, now: float) -> None:
        """Take what the frames of a train tell. The train has at most MAX_TOLD_BYTES.

        `role` is that of the port where it first came in, which may be at another process.
        """
        for frame in train.frames():
            if may_tell(frame):
                if not self._speaker(ingress, now).looks.take(1, 1, now):
                    return
                told = read_told(frame)
                if told is not None:
                    self._hear(ingress, role, told, now)

    def hear_own(self, port: Port, frame: bytes, now: float) -> None:
        """Take what the network's own DHCP server tells a host at `port`."""
        told = read_told(frame)
        if told is not None and told.by is By.DHCP:
            self._note(port, told, self._by_key.get((told.vlans, told.ip)), now)

    def forget_port(self, port: Port) -> None:
        """Forget the addresses of a port, which has gone."""
        speaker = self._speakers.pop(port, None)
        for key in speaker.keys if speaker is not None else ():
            del self._by_key[key]

    def forget_macs(self, macs: Collection[bytes]) -> None:
        """Forget the addresses of `macs`, in one look at all addresses."""
        for address in [each for each in self._by_key.values() if each.mac in macs]:
            self._forget(address)

    def age(self, now: float) -> None:
        """Forget addresses that are over, and those of MACs that are not where they were heard."""
        for address in list(self._by_key.values()):
            if now >= address.until_s or not self._is_in_place(address):
                self._forget(address)

    def _is_in_place(self, address: Address) -> bool:
        return self._fdb.known.port_here(address.mac) is address.port

    def _hear(self, ingress: Port, role: Role, told: Told, now: float) -> None:
        known = self._by_key.get((told.vlans, told.ip))
        if told.lease_s == 0:
            if known is not None and (known.mac, known.port) == (told.mac, ingress):
                self._forget(known)
            return
        is_given = told.by is By.DHCP
        port = self._given_to(told, known, role, ingress) if is_given else ingress
        if port is not None:
            self._note(port, told, known, now)

    def _note(self, port: Port, told: Told, known: Address | None, now: float) -> None:
        moved = known is not None and (known.mac, known.port) != (told.mac, port)
        if known is not None and moved:
            before = Had(known.mac, known.port.id)
            self._news.note(News(self._network, known.key, told.mac, told.by, before), now)
            self._forget(known)
            known = None
        # What is at another process, that one knows.
        if isinstance(port, AccessPort):
            if known is None and not moved:
                key = told.vlans, told.ip
                self._news.note(News(self._network, key, told.mac, told.by), now)
            self._keep(port, told, known, now)

    def _given_to(
        self, told: Told, known: Address | None, role: Role, ingress: Port
    ) -> AccessPort | None:
        """Return the port whose host gets an address from a DHCP server; None if none here does."""
        port = self._fdb.known.port_here(told.mac)
        if port is None or not port.accepts(role, ingress):
            return None
        is_taken = known is not None and known.mac != told.mac and known.is_own_word
        return None if is_taken else port

    def _keep(self, port: AccessPort, told: Told, known: Address | None, now: float) -> None:
        """Note an address as the one heard last; make room if there is none."""
        until_s = now + (ADDRESS_AGE_S if told.lease_s is None else told.lease_s)
        is_own_word = told.by is not By.DHCP
        if known is not None:
            until_s = max(until_s, known.until_s)
            is_own_word = is_own_word or known.is_own_word
            self._forget(known)
        keys = self._speaker(port, now).keys
        if len(keys) >= MAX_ADDRESSES_PER_MAC * port.station_limit:
            self._forget(self._by_key[next(iter(keys))])
        if len(self._by_key) >= MAX_ADDRESSES:
            self._forget(next(iter(self._by_key.values())))
        key = told.vlans, told.ip
        keys[key] = None
        self._by_key[key] = Address(key, told.mac, port, told.by, is_own_word, now, until_s)

    def _forget(self, address: Address) -> None:
        del self._by_key[address.key]
        del self._speakers[address.port].keys[address.key]

    def _speaker(self, port: Port, now: float) -> _Speaker:
        speaker = self._speakers.get(port)
        if speaker is None:
            speaker = self._speakers[port] = _Speaker(TokenBucket(MAX_LOOKS_PER_S, now))
        return speaker

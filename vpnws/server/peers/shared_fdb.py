"""The FDB that all processes share, kept in a uWSGI cache."""

from __future__ import annotations

import struct
from collections import Counter
from hashlib import blake2b
from math import inf
from typing import TYPE_CHECKING, Final

from vpnws.server.peers.kept_claims import KEY_BYTES, Claim
from vpnws.server.peers.reserved import Reserved, ReservedMac
from vpnws.switch.guard.claims import ANONYMOUS, OWN, RESERVED_S
from vpnws.switch.location import NOWHERE, Location

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.server.loop import Loop, Watcher
    from vpnws.server.peers.shared_page import SharedPage
    from vpnws.server.uwsgi import Uwsgi

_VALUE: Final = struct.Struct("!BQ8sdBQd?")
BUMP_EVERY_S: Final = 0.05
"""The epoch moves at most this often, because each move makes every process read its busy MACs
again. A later change waits for the end of the period."""
COUNTED_PER_S: Final = 16384
"""The keys of the cache are counted at most this fast, because counting holds the cache's lock. A
large cache is counted less often."""
SWEEP_PER_S: Final = 1024
"""Each process looks at this many entries a second for those whose time is over. Until one is
found it takes up room, but counts as absent."""
SWEEP_EVERY_S: Final = 30.0
"""A process begins to look through the whole table this often, not all processes in the same
second: each look takes the lock that all share."""
SPARE_PART: Final = 16
"""One part in this many of the cache stays free for what other processes add between two counts."""
NAME_PART: Final = 8
"""All processes together reserve one part in this many of the cache for the stations of one name
within RESERVED_S; further MACs of that name are deleted. Else one user who comes with ever new MACs
could use up what is reserved for all."""


class SharedFdb:
    """The `SharedTable` of the switch: the location of each MAC in each network."""

    def __init__(
        self, loop: Loop, uwsgi: Uwsgi, page: SharedPage, slot: int, *, items: int
    ) -> None:
        """`items` is the cache's size as configured; uWSGI keeps one of them free."""
        self._loop = loop
        self._uwsgi = uwsgi
        self._page = page
        # Read with every batch of frames, so without another call around it.
        self.epoch = page.epochs
        self._slot = slot
        # Other processes add entries between two counts, and uWSGI logs each that finds no room.
        self._max_entries = items - 1 - max(4, items // SPARE_PART)
        self._max_of_a_name = max(1, self._max_entries // NAME_PART // page.slots)
        self.reserved = Reserved()
        self._reserved: Counter[bytes] = Counter()
        self._reserved_since_s = 0.0
        # uWSGI's own count of a cache's items is always 0, and counting the keys takes time.
        self._count_every_s = max(1.0, items / COUNTED_PER_S)
        self._counted_s = -self._count_every_s
        self._count = 0
        self._bumped_s = 0.0
        self._pending: Watcher | None = None
        self._unswept: list[bytes] = []
        self._sweep_s = loop.now() + slot % SWEEP_EVERY_S

    def get(self, network: str, mac: bytes) -> Location | None:
        """Return where `mac` is; None if no process knows."""
        return self._read(self._key(network, mac))

    def put(self, network: str, mac: bytes, location: Location) -> bool:
        """Write an entry; False when the table is full."""
        key = self._key(network, mac)
        # uWSGI logs every write that finds no room, so a full table is not written to.
        is_new = self._uwsgi.cache_get(key) is None
        if is_new and self._entries() >= self._max_entries:
            return False
        self._count += is_new
        if self._write(key, location):
            return True
        self._count = self._max_entries
        return False

    def delete(self, network: str, mac: bytes) -> None:
        """Remove an entry."""
        self._uwsgi.cache_delete(self._key(network, mac))

    def reserve(self, network: str, mac: bytes, claim: bytes, *, is_pinned: bool = False) -> None:
        """Keep `mac` for the station that has `claim`, for RESERVED_S.

        The server's own is kept for good, and so is what is pinned.

        At most half of the table is kept for stations that are away, and one part in NAME_PART for
        those of one claim; past that `mac` is deleted.
        """
        is_bounded = claim not in (ANONYMOUS, OWN) and not is_pinned
        kept = ANONYMOUS if is_bounded and not self._may_reserve(claim) else claim
        until_s = self._loop.now() + RESERVED_S
        self._reserve(self._key(network, mac), kept, until_s, is_pinned=is_pinned)
        if is_bounded:
            self.reserved.note(ReservedMac(network, mac, until_s))

    def _may_reserve(self, claim: bytes) -> bool:
        """Count one more MAC of a name; return whether it is within the name's part."""
        now = self._loop.now()
        if now - self._reserved_since_s >= RESERVED_S:
            self._reserved_since_s = now
            self._reserved.clear()
        self._reserved[claim] += 1
        return self._reserved[claim] <= self._max_of_a_name

    def _reserve(
        self, key: bytes, claim: bytes, until_s: float, *, is_pinned: bool = False
    ) -> None:
        """Keep an entry for its owner; delete it if it has none, or no room is left."""
        if claim == OWN or is_pinned:
            self._write(key, Location(NOWHERE, 0, claim, inf, is_pinned=is_pinned))
        elif claim != ANONYMOUS and self._entries() < self._max_entries // 2:
            self._write(key, Location(NOWHERE, 0, claim, until_s))
        else:
            self._uwsgi.cache_delete(key)

    def claims(self) -> Iterable[Claim]:
        """Return every named station's claim; of one that is here, as if it had just left."""
        until_s = self._loop.now() + RESERVED_S
        for key in self._uwsgi.cache_keys():
            there = self._read(key)
            if there is not None and there.claim not in (ANONYMOUS, OWN):
                yield Claim(key, there.claim, until_s if there.is_somewhere else there.until_s)

    def reserve_claims(self, claims: Iterable[Claim]) -> None:
        """Reserve MACs for named stations of the server before a reload, for RESERVED_S at most."""
        latest_s = self._loop.now() + RESERVED_S
        for claim in claims:
            self._count += 1
            self._reserve(claim.key, claim.claim, min(claim.until_s, latest_s))

    def _key(self, network: str, mac: bytes) -> bytes:
        """Return the key of an entry.

        uWSGI's hash has no secret, so a station could choose MACs that fall into one chain of its
        table. Our key has a secret, so nobody can.
        """
        name = mac + network.encode()
        return blake2b(name, digest_size=KEY_BYTES, key=self._page.secret).digest()

    def _entries(self) -> int:
        """Return how many entries there were at the last count, and our own ones since then."""
        if self._loop.now() - self._counted_s >= self._count_every_s:
            self._counted_s = self._loop.now()
            self._count = len(self._uwsgi.cache_keys())
        return self._count

    def bump(self) -> None:
        """Tell every process to look again, now or within BUMP_EVERY_S."""
        if self._pending is not None:
            return
        wait_s = self._bumped_s + BUMP_EVERY_S - self._loop.now()
        if wait_s <= 0:
            self._bump_now()
        else:
            self._pending = self._loop.after(wait_s, self._bump_now)

    def purge_own(self) -> int:
        """Remove what this slot's previous process left; return how many entries that was."""
        purged = 0
        for key in self._uwsgi.cache_keys():
            self._page.beat(self._slot)
            there = self._read(key)
            if there is None or there.slot != self._slot:
                continue
            purged += 1
            until_s = self._loop.now() + RESERVED_S
            self._reserve(key, there.claim, until_s, is_pinned=there.is_pinned)
        self._bump_now()
        return purged

    def sweep(self) -> None:
        """Remove entries whose time is over, from a part of the table; call it every second."""
        if not self._unswept and self._loop.now() >= self._sweep_s:
            self._sweep_s = self._loop.now() + SWEEP_EVERY_S
            self._unswept = self._uwsgi.cache_keys()
        for key in self._unswept[-SWEEP_PER_S:]:
            value = self._uwsgi.cache_get(key)
            if value is not None and self._is_over(value):
                self._uwsgi.cache_delete(key)
        del self._unswept[-SWEEP_PER_S:]

    def _read(self, key: bytes) -> Location | None:
        value = self._uwsgi.cache_get(key)
        if value is None or self._is_over(value):
            return None
        return Location(*_VALUE.unpack(value))

    def _write(self, key: bytes, location: Location) -> bool:
        # All processes of a machine have the same monotonic clock. Nobody can set it.
        value = _VALUE.pack(
            location.slot,
            location.port_id,
            location.claim,
            location.until_s,
            location.rival_slot,
            location.rival_id,
            location.rival_s,
            location.is_pinned,
        )
        return self._uwsgi.cache_put(key, value)

    def _is_over(self, value: bytes) -> bool:
        until_s: float = _VALUE.unpack(value)[3]
        return until_s <= self._loop.now()

    def _bump_now(self) -> None:
        if self._pending is not None:
            self._pending.close()
            self._pending = None
        self._bumped_s = self._loop.now()
        self._page.bump_epoch(self._slot)

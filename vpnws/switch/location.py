"""Where a MAC is, and the table in which processes tell each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Final, Protocol

NOWHERE: Final = 255
"""The slot of a MAC that is reserved for its owner while the owner is away; and of no rival."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where the shared table says a MAC is, whose it is, and who challenges that."""

    slot: int
    port_id: int
    claim: bytes
    until_s: float = inf
    """When the entry ends, in seconds on the machine's monotonic clock."""
    rival_slot: int = NOWHERE
    rival_id: int = 0
    """The port that has challenged the holder, which has not answered."""
    rival_s: float = -inf
    """When a rival challenged the holder; if there is none, when the holder last answered one."""
    is_pinned: bool = False
    """Whether an operator has given the MAC to the claim's name until it is unpinned."""

    def is_at(self, slot: int, port_id: int) -> bool:
        """Return whether this is the port `port_id` of the process at `slot`."""
        return self.slot == slot and self.port_id == port_id

    @property
    def is_somewhere(self) -> bool:
        """Whether frames can be sent there; not so if the MAC is only reserved for its owner."""
        return self.slot != NOWHERE

    @property
    def is_contested(self) -> bool:
        """Whether a rival waits for the holder's answer, or for the end of its silence."""
        return self.rival_slot != NOWHERE

    def challenged(self, slot: int, port_id: int, now: float) -> Location:
        """Return the same with the port `port_id` of the process at `slot` as rival."""
        return replace(self, rival_slot=slot, rival_id=port_id, rival_s=now)


class SharedTable(Protocol):
    """The table that all processes share, and its epoch."""

    def get(self, network: str, mac: bytes) -> Location | None:
        """Return where `mac` is; None if nobody knows, or if the entry has ended."""

    def put(self, network: str, mac: bytes, location: Location) -> bool:
        """Write an entry; False when the table is full."""

    def delete(self, network: str, mac: bytes) -> None:
        """Remove an entry."""

    def reserve(self, network: str, mac: bytes, claim: bytes, *, is_pinned: bool = False) -> None:
        """Keep `mac` at NOWHERE for the owner of `claim`; for good if it is pinned.

        If it is nobody's, or to save room, delete the entry.
        """

    def bump(self) -> None:
        """Move the epoch, so that every process reads the table again."""

    def epoch(self) -> bytes:
        """Return the epoch. Once any process has moved it, it differs from every earlier one."""


class SharedView:
    """The shared table as one process uses it: with its own slot, and the epoch it read last."""

    __slots__ = ("epoch", "slot", "table")

    def __init__(self, slot: int, table: SharedTable) -> None:
        """`slot` is this process's place on the bus."""
        self.slot = slot
        self.table = table
        self.epoch = table.epoch()
        """Compare it by identity: it stays the same object until some process moves it."""

    def refresh(self) -> None:
        """Read the epoch again: once for each batch of frames."""
        epoch = self.table.epoch()
        if epoch != self.epoch:
            self.epoch = epoch

"""Where a MAC is, and the table in which processes tell each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

NOWHERE: Final = 255
"""The slot of a MAC that is reserved for its owner while the owner is away."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where the shared table says a MAC is, and whose it is."""

    slot: int
    port_id: int
    claim: bytes

    def is_at(self, other: Location) -> bool:
        """Return whether both are the same port."""
        return self.slot == other.slot and self.port_id == other.port_id

    @property
    def is_somewhere(self) -> bool:
        """Whether frames can be sent there; not so if the MAC is only reserved for its owner."""
        return self.slot != NOWHERE


class SharedTable(Protocol):
    """The table that all processes share, and its epoch."""

    def get(self, network: str, mac: bytes) -> Location | None:
        """Return where `mac` is, if anywhere."""

    def put(self, network: str, mac: bytes, location: Location) -> bool:
        """Write an entry for another age; False when the table is full."""

    def delete(self, network: str, mac: bytes) -> None:
        """Remove an entry."""

    def reserve(self, network: str, mac: bytes, claim: bytes) -> None:
        """Keep `mac` at NOWHERE for the owner of `claim`, or delete the entry to save room."""

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

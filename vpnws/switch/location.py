"""What processes tell each other of a MAC: where it is, in the table that they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

NOWHERE: Final = 255
"""The slot of a MAC that is kept for its owner while it is away."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where the shared table says a MAC is, and whose it is."""

    slot: int
    port_id: int
    claim: bytes

    def is_at(self, other: Location) -> bool:
        """Tell whether both are the same port."""
        return self.slot == other.slot and self.port_id == other.port_id

    @property
    def is_somewhere(self) -> bool:
        """Whether frames can be sent there: a named station's MAC is kept for it when it leaves."""
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
        """Replace an entry by one NOWHERE, for whoever has `claim`; or delete it, to save room."""

    def bump(self) -> None:
        """Tell every process to look again: move the epoch."""

    def epoch(self) -> bytes:
        """Return the epoch; it differs from every earlier one once anybody has moved it."""


class SharedView:
    """The shared table as one process uses it: its own slot, and the epoch as it read it last."""

    __slots__ = ("epoch", "slot", "table")

    def __init__(self, slot: int, table: SharedTable) -> None:
        """`slot` is this process's place on the bus."""
        self.slot = slot
        self.table = table
        self.epoch = table.epoch()
        """Compared by identity: it stays the same object for as long as nobody moves it."""

    def refresh(self) -> None:
        """Read the epoch again: once for each batch of frames."""
        epoch = self.table.epoch()
        if epoch != self.epoch:
            self.epoch = epoch

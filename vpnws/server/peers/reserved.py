"""What one process has reserved in the shared FDB, by name: the table itself has digests only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_RESERVED_SHOWN: Final = 1024
"""Reserved MACs that one process remembers; for a further one the oldest is forgotten: it stays
reserved, and is in no list."""


class ReservedMac(NamedTuple):
    """A MAC that was reserved for a station that had left."""

    network: str
    mac: bytes
    until_s: float
    """When that ends, on the machine's monotonic clock."""


class Reserved:
    """The MACs that one process has reserved lately."""

    def __init__(self) -> None:
        """Nothing is reserved yet."""
        self._macs: dict[tuple[str, bytes], ReservedMac] = {}

    def __iter__(self) -> Iterator[ReservedMac]:
        """Go through what was reserved; some may have ended or be in use again."""
        return iter(list(self._macs.values()))

    def note(self, reserved: ReservedMac) -> None:
        """Note that a MAC is reserved."""
        key = reserved.network, reserved.mac
        self._macs.pop(key, None)
        if len(self._macs) >= MAX_RESERVED_SHOWN:
            del self._macs[next(iter(self._macs))]
        self._macs[key] = reserved

    def forget(self, reserved: ReservedMac) -> None:
        """Forget a MAC that is not reserved any more."""
        self._macs.pop((reserved.network, reserved.mac), None)

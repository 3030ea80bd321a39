"""What a queue must know about its items: how they hold frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


class ItemFormat(Protocol):
    """How the items of a queue hold frames; a port's `Format` is one."""

    def frame_at(self, item: bytes) -> int:
        """Return where the first Ethernet frame of an item begins."""

    def split(self, item: bytes) -> Iterable[bytes]:
        """Split an item of several frames into items of one frame each."""


class BareFrames:
    """An item is one frame and nothing else."""

    def frame_at(self, _item: bytes) -> int:
        """Return 0."""
        return 0

    def split(self, item: bytes) -> Iterable[bytes]:
        """Return the item."""
        return (item,)


BARE_FRAMES: Final = BareFrames()

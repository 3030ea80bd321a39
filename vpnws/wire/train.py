"""Trains: frames that came in together, one after the other, and go the same way.

Every frame travels through the switch in a train, alone or with others. All its frames have the
same addresses, and nothing else in common: what a sender alternates makes no train shorter. A train
is read from what one port received, and written as what another port takes: packets as they are on
a wire, or records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vpnws.wire.buffer import Buffer

T = TypeVar("T")
Judge: TypeAlias = "Callable[[bytes, Buffer, int, int], T]"
"""judge(virtio header, buffer, at, size): judges the frame of `size` bytes at `at` in `buffer`."""


class Train(Protocol):
    """What the forwarding process asks of a train."""

    addresses: bytes
    """Destination and source, 6 bytes each; shorter if a frame is too short to have them."""
    count: int
    """How many frames it has."""
    size_bytes: int
    """The bytes of its frames, without the prefixes of records."""
    is_plain: bool
    """Whether it is known that no virtio header leaves anything to do: its frames are complete."""
    label: bytes
    """Where a train from another process came in; empty for every other train."""

    def is_sound(self, max_frame_bytes: int) -> bool:
        """Return whether every frame is sound, and none of its packets is longer than that."""

    def frames(self) -> list[bytes]:
        """Return the frames as they came in, each without its virtio header."""

    def may_tell(self) -> bool:
        """Return at a glance whether a frame may tell an IP address; its length may (see told)."""

    def packets(self) -> list[bytes]:
        """Return the frames as they are on a wire: cut, with complete checksums."""

    def packet_count(self) -> int:
        """Return how many packets there are, or a few too many."""

    def records(self) -> list[bytes]:
        """Return the train as pieces: records, MAX_PIECE_BYTES together or one that is longer."""

    def pieces(self) -> list[Piece]:
        """Return the same pieces, each as parts that are not joined yet."""

    def split(self) -> Iterator[Train]:
        """Yield each frame as a train of its own."""

    def detached(self) -> Train:
        """Return the train without what else came in its messages: it may wait."""

    def sift(self, judge: Judge[T]) -> Iterator[tuple[Train, T]]:
        """Yield (part, what `judge` says of its frames): frames in a row judged alike are a part.

        So one bad frame does not cost as much as if the others had come one by one.
        """


Piece: TypeAlias = "tuple[Sequence[bytes], int, int]"
"""(parts, size_bytes, count): the parts, joined, are `count` records of `size_bytes` together."""

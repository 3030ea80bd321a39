"""The first guard: a frame has a header, and is not too long; a virtio header is true of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.switch.drop import Drop
from vpnws.wire.ethernet import HEADER_BYTES
from vpnws.wire.offload import is_sound
from vpnws.wire.records import NOTHING_TO_DO

if TYPE_CHECKING:
    from vpnws.wire.buffer import Buffer


def length_refusal(
    max_frame_bytes: int, vnet: bytes, buffer: Buffer, at: int, size: int
) -> Drop | None:
    """Return why a frame of `size` bytes at `at` is refused, or None.

    `vnet` is its virtio header; none of its packets may be longer than `max_frame_bytes`.
    """
    if vnet == NOTHING_TO_DO:
        return None if HEADER_BYTES <= size <= max_frame_bytes else Drop.LENGTH
    return None if is_sound(vnet, buffer, at, size, max_frame_bytes) else Drop.OFFLOAD

"""Masks what a client sends (RFC 6455 5.3), with keys that cannot be predicted."""

from __future__ import annotations

import os
from typing import Final

from vpnws.wire.websocket import BINARY, apply_mask, encode_header

KEYS_PER_BLOCK: Final = 1024
KEY_BYTES: Final = 4
HEAD_ROOM_BYTES: Final = 14
"""The longest header of a message, its mask key included."""

_COPIED_BYTES: Final = 8192
"""Up to this length, copying the payload costs less than masking the header with it."""


class MaskKeys:
    """Unpredictable mask keys (RFC 6455 5.3 and 10.3), drawn from the kernel in blocks."""

    def __init__(self) -> None:
        self._block = b""
        self._at = 0

    def take(self) -> bytes:
        """Return the next key: 4 random bytes."""
        at = self._at
        if at == len(self._block):
            self._block = os.urandom(KEYS_PER_BLOCK * KEY_BYTES)
            at = 0
        self._at = at + KEY_BYTES
        return self._block[at : self._at]


def encode_masked_room(room: memoryview, key: bytes) -> bytes:
    """Return a payload as a final binary frame, masked with the 4-byte `key`.

    `room` is HEAD_ROOM_BYTES that may be overwritten, then the payload. Masking copies. So a long
    payload gets a masked header in front, and masking both together makes the header plain again.
    """
    header = encode_header(BINARY, len(room) - HEAD_ROOM_BYTES, masked=True) + key
    if len(room) <= _COPIED_BYTES:
        return header + apply_mask(room[HEAD_ROOM_BYTES:], key)
    # The payload's first byte must meet the key's first, though the mask begins at the header.
    turn = len(header) % KEY_BYTES
    turned = key[-turn:] + key[:-turn] if turn else key
    whole = room[HEAD_ROOM_BYTES - len(header) :]
    whole[: len(header)] = apply_mask(header, turned)
    return apply_mask(whole, turned)

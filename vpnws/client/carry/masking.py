"""Masks what a client sends (RFC 6455 5.3): unpredictable keys, and a message without a copy."""

from __future__ import annotations

import os
from typing import Any, Final, cast

from websockets.speedups import apply_mask

from vpnws.wire.websocket import BINARY, encode_header

KEYS_PER_BLOCK: Final = 1024
KEY_BYTES: Final = 4
HEAD_ROOM_BYTES: Final = 14
"""The longest header of a message, its mask key included."""

# Its stub allows no memoryview, its C code takes one and spares us a copy.
_mask: Final = cast("Any", apply_mask)


class MaskKeys:
    """Unpredictable mask keys (RFC 6455 5.3 and 10.3), drawn from the kernel in blocks."""

    def __init__(self) -> None:
        self._block = b""
        self._at = 0

    def take(self) -> bytes:
        """Return 4 bytes that were never returned before."""
        at = self._at
        if at == len(self._block):
            self._block = os.urandom(KEYS_PER_BLOCK * KEY_BYTES)
            at = 0
        self._at = at + KEY_BYTES
        return self._block[at : self._at]


def encode_masked_room(room: memoryview, key: bytes) -> bytes:
    """Return a final binary frame masked with the 4-byte `key`.

    `room` is HEAD_ROOM_BYTES to be written to, then the payload. The header is put there masked as
    well, so that masking the whole is all the copying there is, and gives the header itself.
    """
    header = encode_header(BINARY, len(room) - HEAD_ROOM_BYTES, masked=True) + key
    # The key's first byte has to meet the payload's first, after the header.
    turn = len(header) % KEY_BYTES
    turned = key[-turn:] + key[:-turn] if turn else key
    whole = room[HEAD_ROOM_BYTES - len(header) :]
    whole[: len(header)] = apply_mask(header, turned)
    masked: bytes = _mask(whole, turned)
    return masked

"""Encodes and holds single WebSocket frames (RFC 6455 5.2), legal or not.

It shares no code with vpnws, so that both cannot be wrong in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASK = bytes.fromhex("a55a17e8")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it came (RFC 6455 5.2); `payload` is unmasked."""

    fin: bool
    rsv: int
    opcode: int
    payload: bytes
    masked: bool = False

    @property
    def close_code(self) -> int | None:
        """The code of a close frame; None when it has none."""
        return int.from_bytes(self.payload[:2]) if len(self.payload) >= 2 else None

    @property
    def close_reason(self) -> str:
        """The reason in a close frame. Raises `UnicodeDecodeError` if it is not UTF-8."""
        return self.payload[2:].decode()


def encode_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    length_bytes: int | None = None,
    claimed_length: int | None = None,
) -> bytes:
    """Return the bytes of a frame, legal or not.

    `mask` is the key, None for an unmasked frame. `length_bytes` (0, 2 or 8) asks for a form of
    the length that may not be the shortest; `claimed_length` for one that is not the payload's.
    """
    length = len(payload) if claimed_length is None else claimed_length
    if length_bytes is None:
        length_bytes = 0 if length < 126 else 2 if length < 65536 else 8
    short = {0: length, 2: 126, 8: 127}[length_bytes]
    head = bytes((fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short))
    extended = length.to_bytes(length_bytes) if length_bytes else b""
    key = mask or b""
    return head + extended + key + apply_key(key, payload)


def apply_key(key: bytes, payload: bytes) -> bytes:
    """Mask or unmask (RFC 6455 5.3); an empty key changes nothing."""
    if not key:
        return payload
    count = len(payload)
    stream = (key * (count // len(key) + 1))[:count]
    return (int.from_bytes(payload) ^ int.from_bytes(stream)).to_bytes(count)

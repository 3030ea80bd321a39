"""RFC 6455's numbers, encoders of frames, and the payload of a close frame.

`wire/decoder` reads what these write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from websockets import speedups

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.wire.buffer import Buffer

apply_mask: Final = cast("Callable[[Buffer, Buffer], bytes]", speedups.apply_mask)
"""apply_mask(data, key): return `data` masked, or unmasked, with the 4-byte `key` (RFC 6455 5.3).
Its stub does not allow a memoryview as the key. Its C code does, which saves a copy."""

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA
FIN: Final = 0x80
MASKED: Final = 0x80
MAX_CONTROL_BYTES: Final = 125
"""A control frame with a longer payload ends the port with 1002 (RFC 6455 5.5)."""
MAX_FRAGMENTS: Final = 1024
"""A message of more fragments ends the port with 1009: empty ones never reach the bound on its
size."""

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
NO_STATUS: Final = 1005
ABNORMAL: Final = 1006
INVALID_DATA: Final = 1007
MESSAGE_TOO_BIG: Final = 1009
PONG_HEADER: Final = "X-vpn-ws-pong"
"""With the value `on` in a 101, our server says that it answers pings. The C vpn-ws server, which
answers none, does not send it."""
SERVICE_RESTART: Final = 1012
KICKED: Final = 4001
"""Ours (4000 to 4999 are private, RFC 6455 7.4.2): the operator has ended the port."""
BANNED: Final = 4003
"""Ours: the operator does not let this station in for a time."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a stream of messages is over: a close code, a reason, and which side ended it."""

    code: int
    reason: str
    by_peer: bool


def encode_header(opcode: int, length: int, *, masked: bool = False) -> bytes:
    """Return the header of a final frame with `length` bytes of payload, without its mask key."""
    mask_bit = MASKED if masked else 0
    if length < 126:
        return bytes((FIN | opcode, mask_bit | length))
    if length < 65536:
        return bytes((FIN | opcode, mask_bit | 126, length >> 8, length & 0xFF))
    return bytes((FIN | opcode, mask_bit | 127)) + length.to_bytes(8, "big")


def encode(opcode: int, payload: bytes) -> bytes:
    """Return a final, unmasked frame: what a server sends."""
    return encode_header(opcode, len(payload)) + payload


_SHORT_HEADERS: Final = tuple(encode_header(BINARY, length) for length in range(2048))


def encode_binary(payload: bytes) -> bytes:
    """Return `payload` as one unmasked binary message; plain ports call it for every frame."""
    length = len(payload)
    if length < 2048:
        return _SHORT_HEADERS[length] + payload
    return encode_header(BINARY, length) + payload


def encode_masked(opcode: int, payload: bytes, key: bytes) -> bytes:
    """Return a final frame masked with the 4-byte `key`: what a client sends (RFC 6455 5.3)."""
    return encode_header(opcode, len(payload), masked=True) + key + apply_mask(payload, key)


def close_payload(code: int, reason: str) -> bytes:
    """Return the payload of a close frame; a long reason is cut off (RFC 6455 5.5.1).

    It is empty for a code that must not be sent, such as 1005 and 1006 (7.4.1).
    """
    if not _may_be_sent(code):
        return b""
    text = reason.encode(errors="replace")[: MAX_CONTROL_BYTES - 2].decode(errors="ignore").encode()
    return code.to_bytes(2, "big") + text


def read_close(content: bytes) -> Ending:
    """Read the payload of a close frame (RFC 6455 5.5.1, 7.4).

    Our answer has the same code as the returned ending. A payload that breaks a rule gives an
    ending of our own.
    """
    if not content:
        return Ending(NO_STATUS, "", by_peer=True)
    code = int.from_bytes(content[:2], "big")
    if len(content) == 1 or not _may_be_sent(code):
        return Ending(PROTOCOL_ERROR, "a close frame has no valid code", by_peer=False)
    try:
        return Ending(code, content[2:].decode(), by_peer=True)
    except UnicodeDecodeError:
        return Ending(INVALID_DATA, "a close reason is not UTF-8", by_peer=False)


def _may_be_sent(code: int) -> bool:
    """Return whether `code` may be in a close frame (RFC 6455 7.4.1 and the IANA registry)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999

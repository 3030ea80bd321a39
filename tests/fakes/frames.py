"""Takes WebSocket frames off bytes that came in, without any code of vpnws."""

from __future__ import annotations

from tests.support.raw_frames import Frame, apply_key


def take_frame(buffer: bytearray) -> Frame | None:
    """Remove the first whole frame from `buffer` and return it; None while it is not complete."""
    if len(buffer) < 2:
        return None
    fin, rsv, opcode = buffer[0] >> 7 == 1, buffer[0] >> 4 & 7, buffer[0] & 15
    is_masked, short = buffer[1] >> 7 == 1, buffer[1] & 127
    length_bytes = {126: 2, 127: 8}.get(short, 0)
    key_at = 2 + length_bytes
    payload_at = key_at + 4 * is_masked
    if len(buffer) < payload_at:
        return None
    length = int.from_bytes(buffer[2:key_at]) if length_bytes else short
    end = payload_at + length
    if len(buffer) < end:
        return None
    payload = apply_key(bytes(buffer[key_at:payload_at]), bytes(buffer[payload_at:end]))
    del buffer[:end]
    return Frame(fin, rsv, opcode, payload, is_masked)

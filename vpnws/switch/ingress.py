"""Cuts what an offload port sent into runs: records of one path that stand next to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.switch.drop import Drop
from vpnws.wire.ethernet import HEADER_BYTES
from vpnws.wire.offload import NOTHING_TO_DO, PREFIX, PREFIX_BYTES, is_sound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.switch.port import AccessPort

MAX_TRAIN_BYTES: Final = 16384
"""A longer train is cut in two: a queue that is nearly full should not lose all of it."""


def cut_runs(ingress: AccessPort, message: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Yield (addresses, records, frames) for the runs of `message` that came in at `ingress`.

    Records whose header is not true of their frame, and those that the port's policy does not
    permit, are dropped and counted there. Behind a record that has no end in the message nothing
    can be found: the rest counts as one such record.
    """
    end = len(message)
    start = begun = frames = count = 0
    path = b""
    while start < end:
        count += 1
        at = start + PREFIX_BYTES
        if at + HEADER_BYTES > end:
            break
        size, vnet, addresses = PREFIX.unpack_from(message, start)
        stop = at + size
        if stop > end or size < HEADER_BYTES:
            break
        refused = None
        if vnet != NOTHING_TO_DO or size > ingress.max_frame_bytes or ingress.policy is not None:
            refused = _judge(ingress, vnet, message, at, size)
        if frames and (refused or addresses != path or stop - begun > MAX_TRAIN_BYTES):
            yield path, message[begun:start], frames
            frames = 0
        if refused:
            ingress.drops[refused] += 1
        else:
            if not frames:
                begun, path = start, addresses
            frames += 1
        start = stop
    if frames:
        yield path, message[begun:start] if begun or start < end else message, frames
    if start < end:
        ingress.drops[Drop.OFFLOAD] += 1
    ingress.rx_frames += count
    ingress.rx_bytes += max(0, end - PREFIX_BYTES * count)


def _judge(ingress: AccessPort, vnet: bytes, message: bytes, at: int, size: int) -> Drop | None:
    """Return why the frame at `at` may not come in, if it may not."""
    if not is_sound(vnet, message, at, size, ingress.max_frame_bytes):
        return Drop.LENGTH if vnet == NOTHING_TO_DO else Drop.OFFLOAD
    if ingress.policy is not None and not ingress.policy.permits(message[at : at + size]):
        return Drop.NOT_ALLOWED
    return None

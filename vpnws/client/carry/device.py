"""Drops stale frames of the TAP, and explains its failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.client.carry.counters import ClientDrop
from vpnws.errors import TapError
from vpnws.tap.contract import DELETED_ERROR

if TYPE_CHECKING:
    from vpnws.client.carry.counters import Counters
    from vpnws.tap.contract import Tap

DRAIN_FRAMES: Final = 1024
"""Stale frames that are dropped after an outage: several times what the device's queue holds."""


def drop_stale(tap: Tap, counters: Counters) -> None:
    """Drop the frames that the TAP queued during an outage: they are too old to be of use.

    Raises TapError when the device failed.
    """
    for _ in range(DRAIN_FRAMES):
        try:
            tap.read()
        except BlockingIOError:
            break
        except OSError as error:
            raise device_failure(tap, error) from error
        counters.drops[ClientDrop.STALE] += 1


def device_failure(tap: Tap, error: OSError) -> TapError:
    """Return what to raise when the TAP failed with `error` and will not recover."""
    if error.errno == DELETED_ERROR:
        return TapError(f"the TAP device {tap.name} was deleted")
    return TapError(f"the TAP device {tap.name} failed: {error.strerror}")

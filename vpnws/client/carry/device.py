"""What a TAP's failures mean for the client, and what it does with frames that are too old."""

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


def drain(tap: Tap, counters: Counters) -> None:
    """ClientDrop what the TAP queued during an outage: it is too old to be of use.

    Raises TapError when the device is gone.
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
    """Return the sentence for a TAP that fails with `error` for good."""
    if error.errno == DELETED_ERROR:
        return TapError(f"the TAP device {tap.name} was deleted")
    return TapError(f"the TAP device {tap.name} failed: {error.strerror}")

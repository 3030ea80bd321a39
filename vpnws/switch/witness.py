"""What a port tells of its frames, to somebody who looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.switch.drop import Drop
    from vpnws.wire.train import Train


class Witness(Protocol):
    """Sees each frame of a port once for each direction, and each that is dropped there.

    A port without a witness pays for one look whether it has one.
    """

    def came(self, train: Train, now: float, reason: Drop | None = None) -> None:
        """See a train that came in: it goes on, or is dropped for `reason`."""

    def left(self, items: Iterable[bytes], now: float, reason: Drop | None = None) -> None:
        """See items that have left the queue to be written, or are dropped for `reason`."""

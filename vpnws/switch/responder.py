"""Answers stations in the name of their network: who does so, and what the switch makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from vpnws.switch.drop import Drop
from vpnws.wire.plain_train import read_frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.switch.format import Written
    from vpnws.switch.port import Port
    from vpnws.wire.train import Train

    Queue: TypeAlias = Callable[[Port, Train, Written, float], None]


class Responder(Protocol):
    """Answers in the name of a network, such as a DHCP server."""

    def answer(self, ingress: Port, frame: bytes, now: float) -> list[bytes] | Drop | None:
        """Return the answers to a frame that is for the network itself; None if it is not.

        A reason says why a frame that is for it is dropped. The frame came in at `ingress`, which
        may be a trunk: then there is no answer. It may tell an IP address (see wire/told), and its
        checksums are complete.
        """


def answers(responder: Responder, ingress: Port, train: Train, now: float) -> list[Train] | None:
    """Return the answers to a train; None if it is not for the network.

    A train of several frames never is: hosts ask one by one.
    """
    packets = train.packets() if train.count == 1 else []
    found = responder.answer(ingress, packets[0], now) if len(packets) == 1 else None
    if found is None:
        return None
    if isinstance(found, Drop):
        ingress.drop((train,), train.count, found, now)
        return []
    if ingress.witness is not None:
        ingress.witness.came(train, now)
    return [train for frame in found for train in read_frames([frame])]

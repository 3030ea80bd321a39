"""Why a step of the forwarding process drops the frame of a trace, by the reason that it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vpnws.control import trace_words as words
from vpnws.control.ports import parse_port
from vpnws.control.trace_words import Because
from vpnws.switch.drop import Drop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vpnws.control.trace_ends import End
    from vpnws.control.trace_facts import PortFacts, WayFacts
    from vpnws.control.views import PortView


@dataclass(frozen=True, slots=True)
class Walk:
    """A frame from A, which has a port, to B, and what each process would do with it."""

    a: End
    b: End
    port: PortFacts
    """A's port."""
    frame: bytes
    ways: Mapping[int, WayFacts]
    """By the slots of the processes that have answered."""
    names: Mapping[int, str]
    """The names of these processes."""
    mode: str
    now_s: float
    has_spoken: bool = False
    """Whether B has sent something just before, so that it hears floods."""
    is_ip_assumed: bool = False
    """Whether B's IP address is not known, and one stands for it that A may send to."""

    @property
    def view(self) -> PortView:
        """The view of A's port."""
        return self.port.view

    @property
    def slot(self) -> int:
        """The process where the frame comes in."""
        return slot_of(self.view.id)

    @property
    def goal(self) -> str:
        """The id of B's port; empty if it has none."""
        return "" if self.b.port is None else self.b.port.view.id

    @property
    def source(self) -> bytes:
        """The MAC that the frame comes from."""
        return self.frame[6:12]

    def name(self, slot: int) -> str:
        """Return the name of the process at `slot`."""
        return self.names.get(slot, f"process {slot + 1}")


def slot_of(port: str) -> int:
    """Return the slot of the process that has a port."""
    numbers = parse_port(port)
    return -1 if numbers is None else numbers[0] - 1


def explain(walk: Walk, way: WayFacts, drop: Drop) -> Because:
    """Say why one of the first seven steps drops the frame in the process of `way`."""
    return _WHY[drop](walk, way)


def _holder(walk: Walk) -> PortView | None:
    """Return the port that has the frame's source, if another one sends from it."""
    return next((way.holder for way in walk.ways.values() if way.holder is not None), None)


def _filtered(walk: Walk, way: WayFacts) -> Because:
    if not way.has_network:
        name = walk.name(way.slot)
        return Because(f"{name} has no port in network {walk.a.network}", words.JOIN)
    if way.found == walk.view.id:
        return words.same_port(walk.a, walk.b, walk.view)
    if way.found == walk.goal:
        return words.roles_differ(walk.a, walk.b, walk.mode)
    return words.is_elsewhere(walk.b, f"port {way.found}")


_WHY: Final[dict[Drop, Callable[[Walk, WayFacts], Because]]] = {
    Drop.LENGTH: lambda walk, _: words.too_long(walk.a, walk.port, len(walk.frame)),
    Drop.SOURCE: lambda walk, _: words.not_a_source(walk.source),
    Drop.NOT_ALLOWED: lambda walk, _: words.not_allowed(walk.a, walk.view),
    Drop.BLOCKED: lambda walk, _: words.is_blocked(walk.a, walk.view),
    Drop.RESERVED: lambda walk, _: words.is_reserved(walk.frame[:6]),
    Drop.STATION_LIMIT: lambda walk, _: words.too_many_macs(walk.source, walk.view),
    Drop.MAC_TAKEN: lambda walk, way: words.mac_is_taken(walk.source, way.source_at, _holder(walk)),
    Drop.MOVE_GUARD: lambda walk, way: words.mac_is_used(walk.source, way.source_at, _holder(walk)),
    Drop.NO_BROADCAST: lambda *_: words.is_forbidden(Drop.NO_BROADCAST),
    Drop.NO_MULTICAST: lambda *_: words.is_forbidden(Drop.NO_MULTICAST),
    Drop.STORM: lambda walk, _: words.storms(walk.view),
    Drop.FLOOD_QUEUE: lambda walk, way: words.floods_wait(walk.name(way.slot)),
    Drop.FILTERED: _filtered,
}
"""By the reasons of the first seven steps."""

"""The verdict on one way: which step decides what happens to a frame, and what that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vpnws.control import trace_words as words
from vpnws.control.trace_why import explain, slot_of
from vpnws.control.trace_words import Because
from vpnws.switch.drop import Drop
from vpnws.switch.foresight import Step

if TYPE_CHECKING:
    from vpnws.control.trace_facts import WayFacts
    from vpnws.control.trace_view import Outcome
    from vpnws.control.trace_why import Walk


class Decision(NamedTuple):
    """What happens to the frame, and where that is decided."""

    outcome: Outcome
    because: Because
    step: int = 0
    """0 if no step stops it."""
    slot: int = -1
    """The process where that step is taken."""
    reason: Drop | None = None


def decide(walk: Walk) -> Decision:
    """Return what happens to the frame of a walk."""
    home = walk.ways.get(walk.slot)
    if home is None:
        return _unanswered(walk, walk.slot)
    if home.drop and home.step < Step.QUEUE:
        return _dropped(walk, home)
    return _flooded(walk, home) if home.is_flooded else _found(walk, home)


def far_slot(walk: Walk) -> int | None:
    """Return the other process that the frame goes on to, on its way to B; None if it does not."""
    home = walk.ways.get(walk.slot)
    if home is None or (home.drop and home.step < Step.QUEUE):
        return None
    if home.found:
        return _slot_behind(home.found)
    slot = slot_of(walk.goal) if walk.goal else walk.slot
    return None if slot == walk.slot or walk.b.network != walk.a.network else slot


def _found(walk: Walk, home: WayFacts) -> Decision:
    """Follow known unicast."""
    slot = _slot_behind(home.found)
    if slot is None:
        return _arrived(walk, home)
    return _on_trunk(walk, home, slot) or _arrived(walk, walk.ways[slot])


def _flooded(walk: Walk, home: WayFacts) -> Decision:
    """Follow what is flooded."""
    b = walk.b
    if b.is_group:
        return Decision(
            "flooded", Because("it is flooded to all ports of the network that hear it")
        )
    if b.port is None:
        return _to_nobody(walk)
    if b.network != walk.a.network:
        because = words.networks_differ(walk.a, b)
        return Decision("elsewhere", because, Step.EGRESS, walk.slot)
    slot = slot_of(walk.goal)
    if slot == walk.slot:
        return _arrived(walk, home)
    return _on_trunk(walk, home, slot) or _arrived(walk, walk.ways[slot])


def _on_trunk(walk: Walk, home: WayFacts, slot: int) -> Decision | None:
    """Return what stops the frame on its way to another process, or None."""
    trunk, name = f"t{slot + 1}", walk.name(slot)
    if trunk in home.full:
        because = words.queue_is_full(None, name, home.trunk_bytes.get(trunk, 0))
        return Decision("dropped", because, Step.QUEUE, walk.slot, Drop.EGRESS_FULL)
    way = walk.ways.get(slot)
    if way is None:
        return _unanswered(walk, slot)
    return _dropped(walk, way) if way.drop and way.step < Step.QUEUE else None


def _arrived(walk: Walk, way: WayFacts) -> Decision:
    """Return what happens in the process that has B's port, or where the FDB has the MAC."""
    b = walk.b
    if way.reaches or (way.is_flooded and _will_hear(walk, way)):
        return Decision(*_delivery(walk, way))
    if way.is_full_there and b.port is not None:
        because = words.queue_is_full(b.port.view, "", 0)
        return Decision("dropped", because, Step.QUEUE, way.slot, Drop.EGRESS_FULL)
    if not way.is_flooded:
        because = words.is_elsewhere(b, f"port {way.found}")
        return Decision("elsewhere", because, Step.CLASSIFY, way.slot)
    if walk.goal == walk.view.id:
        because = words.same_port(walk.a, b, walk.view)
    elif not way.roles_agree or b.port is None:
        because = words.roles_differ(walk.a, b, walk.mode)
    else:
        because = words.hears_nothing(b, b.port.view)
    return Decision("elsewhere", because, Step.EGRESS, way.slot)


def _will_hear(walk: Walk, way: WayFacts) -> bool:
    is_other = walk.goal not in ("", walk.view.id)
    return walk.has_spoken and is_other and way.roles_agree and not way.is_full_there


def _delivery(walk: Walk, way: WayFacts) -> tuple[Outcome, Because]:
    at = words.port_of(walk.b)
    if not way.is_flooded:
        return "delivered", Because(f"it goes to {at}")
    return "flooded", Because(f"it is flooded to all ports of network {walk.a.network}, {at} too")


def _to_nobody(walk: Walk) -> Decision:
    """Return what happens to a frame to a MAC that no port has: it is flooded in vain."""
    return Decision("elsewhere", words.absent(walk.b, walk.now_s), Step.CLASSIFY, walk.slot)


def _unanswered(walk: Walk, slot: int) -> Decision:
    name = walk.name(slot)
    because = Because(f"{name} has not answered, so what it would do is not known", words.AGAIN)
    return Decision("unknown", because)


def _dropped(walk: Walk, way: WayFacts) -> Decision:
    drop = Drop(way.drop)
    return Decision("dropped", explain(walk, way, drop), way.step, way.slot, drop)


def _slot_behind(found: str) -> int | None:
    """Return the slot that a trunk leads to, by its name; None for another port."""
    return int(found[1:]) - 1 if found.startswith("t") else None

"""What each step of a trace finds, in words: the way of a frame as it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.control import trace_words as words
from vpnws.control.trace_view import PathView, StepView
from vpnws.control.trace_walk import decide, far_slot
from vpnws.switch.drop import Drop
from vpnws.switch.foresight import Step
from vpnws.wire.ethernet import BROADCAST, format_mac

if TYPE_CHECKING:
    from vpnws.control.trace_facts import WayFacts
    from vpnws.control.trace_view import StepState
    from vpnws.control.trace_walk import Decision
    from vpnws.control.trace_why import Walk

MAX_PORTS_SHOWN: Final = 16
"""Ports that get a flooded frame and are named in a trace; all are counted."""
STEP_NAMES: Final = {
    Step.LENGTH: "Length",
    Step.SOURCE: "Source",
    Step.RESERVED: "Reserved",
    Step.LEARN: "Learn",
    Step.CLASSIFY: "Classify",
    Step.STORM: "Storm control",
    Step.EGRESS: "Egress rules",
    Step.QUEUE: "Queue",
}
"""As docs/design.md has them."""
AFTER_TRUNK: Final = (Step.CLASSIFY, Step.EGRESS, Step.QUEUE)
"""The steps that a frame takes again in the next process."""
DROPS_OF: Final = {
    Step.LENGTH: frozenset((Drop.LENGTH, Drop.OFFLOAD)),
    Step.SOURCE: frozenset((Drop.SOURCE, Drop.NOT_ALLOWED, Drop.BLOCKED)),
    Step.RESERVED: frozenset((Drop.RESERVED,)),
    Step.LEARN: frozenset((Drop.STATION_LIMIT, Drop.MAC_TAKEN, Drop.MOVE_GUARD)),
    Step.CLASSIFY: frozenset((Drop.NO_BROADCAST, Drop.NO_MULTICAST)),
    Step.STORM: frozenset((Drop.STORM, Drop.FLOOD_QUEUE)),
    Step.EGRESS: frozenset((Drop.FILTERED,)),
    Step.QUEUE: frozenset((Drop.EGRESS_FULL, Drop.CODEL, Drop.DEVICE)),
}
"""Which step drops for which reasons: at the port where a frame comes in, and the last one where it
goes out."""
QUIET: Final = frozenset((Drop.RESERVED, Drop.FILTERED, Drop.NO_BROADCAST, Drop.NO_MULTICAST))
"""Losses that are no fault, so a trace does not warn of them."""


def follow(walk: Walk) -> PathView:
    """Return the way of a frame, and what decides it."""
    decision = decide(walk)
    return PathView(
        outcome=decision.outcome,
        text=decision.because.text,
        remedy=decision.because.remedy,
        steps=_steps(walk, decision),
        decided_by=decision.step,
        reason=str(decision.reason or ""),
        ports=_ports(walk)[:MAX_PORTS_SHOWN],
        port_count=sum(way.port_count for way in _taken(walk)),
        warnings=_warnings(walk, decision),
    )


def _taken(walk: Walk) -> list[WayFacts]:
    """Return what the processes do that the frame gets to."""
    home = walk.ways.get(walk.slot)
    if home is None:
        return []
    trunks = {int(name[1:]) - 1 for name in home.ports if name.startswith("t")}
    return [home, *(way for slot, way in walk.ways.items() if slot in trunks)]


def _ports(walk: Walk) -> tuple[str, ...]:
    ports = [name for way in _taken(walk) for name in way.ports]
    return tuple(name for name in ports if not name.startswith("t"))


def _warnings(walk: Walk, decision: Decision) -> tuple[str, ...]:
    """Say what A's port and B's port lose lately, besides what decides."""
    last = DROPS_OF[Step.QUEUE]
    known = frozenset((decision.reason,)) if decision.reason is not None else frozenset()
    mine = frozenset(Drop) - last - QUIET - known
    said = words.losses(walk.a.name, walk.view, mine)
    if walk.b.port is not None:
        said += words.losses(walk.b.name, walk.b.port.view, last - known)
    if walk.is_ip_assumed and decision.reason is not Drop.NOT_ALLOWED:
        said += (words.may_not_be_allowed(walk.a, walk.b, walk.view),)
    return said


def _steps(walk: Walk, decision: Decision) -> tuple[StepView, ...]:
    home = walk.ways.get(walk.slot)
    if home is None:
        return ()
    places = [(home, step) for step in Step]
    slot = far_slot(walk)
    far = walk.ways.get(slot) if slot is not None else None
    if far is not None:
        places += [(far, step) for step in AFTER_TRUNK]
    views: list[StepView] = []
    state: StepState = "passed"
    for way, step in places:
        is_it = decision.step == step and decision.slot == way.slot
        state = "decides" if is_it else "passed" if state == "passed" else "not reached"
        views.append(_step(walk, decision, way, step, state))
    return tuple(views)


def _step(walk: Walk, decision: Decision, way: WayFacts, step: Step, state: StepState) -> StepView:
    text = ""
    if state == "decides":
        text = decision.because.text
    elif state == "passed":
        text = _PASSED[step](walk, way)
    return StepView(
        number=step,
        name=STEP_NAMES[step],
        process=walk.name(way.slot),
        state=state,
        text=text,
        recent_drops=_recent(walk, way, step),
    )


def _recent(walk: Walk, way: WayFacts, step: Step) -> int:
    """Count what A's port has dropped in a step lately, or B's in the last one."""
    view = walk.view if way.slot == walk.slot else None
    if step is Step.QUEUE:
        b = walk.b.port
        is_there = b is not None and walk.name(way.slot) == b.view.process
        view = b.view if b is not None and is_there else None
    return 0 if view is None else sum(view.recent_drops.get(drop, 0) for drop in DROPS_OF[step])


def _length(walk: Walk, _way: WayFacts) -> str:
    return f"{len(walk.frame):,} bytes; the longest is {walk.port.max_frame_bytes:,}"


def _source(walk: Walk, _way: WayFacts) -> str:
    allowed = walk.view.allow
    rule = "it may send anywhere" if allowed is None else f"VPNWS_ALLOW: {', '.join(allowed)}"
    return f"{format_mac(walk.source)} is a station's address; {rule}"


def _reserved(walk: Walk, _way: WayFacts) -> str:
    return f"{format_mac(walk.frame[:6])} is not reserved"


def _learn(walk: Walk, way: WayFacts) -> str:
    mac, place = format_mac(walk.source), way.source_at
    if way.is_learned:
        return f"{mac} is learned on port {walk.view.id}"
    if place is not None and place.port and place.port != walk.view.id:
        return f"{mac} moves here from port {place.port}"
    return f"{mac} is new on port {walk.view.id}, and may be learned"


def _classify(walk: Walk, way: WayFacts) -> str:
    mac = walk.frame[:6]
    if mac == BROADCAST:
        return "a broadcast"
    if mac[0] & 1:
        return f"a multicast, to {format_mac(mac)}"
    if not way.found:
        return f"{format_mac(mac)} is unknown here, so it is flooded"
    is_trunk = way.found.startswith("t")
    at = walk.name(int(way.found[1:]) - 1) if is_trunk else f"port {way.found}"
    return f"{format_mac(mac)} is known: at {at}"


def _storm(walk: Walk, way: WayFacts) -> str:
    if not way.is_flooded:
        return "known unicast is not limited"
    left = walk.port.storm_tokens
    if left is None:
        return "there is no limit"
    rate = walk.view.limits.storm_packets_per_s or 0
    if left < 1:
        return "the storm limit is reached; ARP, ND and DHCP still pass"
    return f"{left:,.0f} of {rate:,} frames a second are left"


def _egress(walk: Walk, way: WayFacts) -> str:
    if far_slot(walk) is not None and way.slot == walk.slot:
        return "a trunk takes it"
    b = walk.b.port
    if b is None:
        return "it does not go back to its port, nor against the roles"
    return f"{walk.view.role} may send to {b.view.role}"


def _queue(walk: Walk, way: WayFacts) -> str:
    far = far_slot(walk)
    if far is not None and way.slot == walk.slot:
        waiting = way.trunk_bytes.get(f"t{far + 1}", 0)
        return f"queued for {walk.name(far)}, where {waiting:,} bytes wait"
    if walk.b.port is None:
        count = sum(way.port_count for way in _taken(walk))
        return f"queued at {count:,} {'port' if count == 1 else 'ports'}"
    view = walk.b.port.view
    limit = view.limits.egress_bytes or 0
    slow = "; its socket is full, so flows take turns" if walk.b.port.is_backed_up else ""
    return f"queued at port {view.id}, where {view.queued_bytes:,} of {limit:,} bytes wait{slow}"


_PASSED: Final = {
    Step.LENGTH: _length,
    Step.SOURCE: _source,
    Step.RESERVED: _reserved,
    Step.LEARN: _learn,
    Step.CLASSIFY: _classify,
    Step.STORM: _storm,
    Step.EGRESS: _egress,
    Step.QUEUE: _queue,
}

"""The words of a trace: why a frame is dropped or goes elsewhere, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.control.trace_ends import tell_absent, who_at
from vpnws.control.views import RECENT_S
from vpnws.switch.drop import Drop
from vpnws.text import one_line
from vpnws.wire.ethernet import HEADER_BYTES, format_mac

if TYPE_CHECKING:
    from vpnws.control.trace_ends import End
    from vpnws.control.trace_facts import PlaceFacts, PortFacts
    from vpnws.control.views import PortView

AGAIN: Final = "ask again; if it stays so, see the log: the watchdog ends a process that hangs"
JOIN: Final = (
    "see whether its client runs and what it says: it names the reason if it cannot connect"
    " (docs/trouble.md)"
)
LOSSES: Final = {
    Drop.LENGTH: "frames that are too long or too short",
    Drop.OFFLOAD: "records that are not true of their frames",
    Drop.SOURCE: "frames from a group address or from zero",
    Drop.NOT_ALLOWED: "frames to where VPNWS_ALLOW does not let it send",
    Drop.BLOCKED: "frames while it was blocked",
    Drop.RESERVED: "frames for reserved groups, which no switch forwards",
    Drop.STATION_LIMIT: "frames of one MAC more than it may have",
    Drop.MAC_TAKEN: "frames from a MAC that belongs to another",
    Drop.MOVE_GUARD: "frames from a MAC that another port still sends from",
    Drop.STORM: "flooded frames beyond the storm limit",
    Drop.FLOOD_QUEUE: "flooded frames beyond what its process can copy",
    Drop.NO_BROADCAST: "broadcasts, which vpnws-no-broadcast forbids",
    Drop.NO_MULTICAST: "multicasts, which vpnws-no-multicast forbids",
    Drop.FILTERED: "frames to where they may not go",
    Drop.EGRESS_FULL: "frames because its queue was full",
    Drop.CODEL: "frames because its queue was standing",
    Drop.DEVICE: "frames that the kernel refused",
}
"""What a port has dropped lately, by reason."""


class Because(NamedTuple):
    """Why a frame does not get there, and what to do about it."""

    text: str
    remedy: str = ""


def port_of(end: End) -> str:
    """Say at which port an end is."""
    return "nobody" if end.port is None else who_at(end.port.view)


def absent(end: End, now_s: float) -> Because:
    """Say why an end has no port."""
    text = tell_absent(end, now_s)
    if end.ban is not None:
        return Because(text, f"vpnws-ctl unban {end.ban.id}")
    if end.gone is not None:
        return Because(text, JOIN)
    return Because(text, "vpnws-ctl who and vpnws-ctl ports list all that are here")


def losses(name: str, view: PortView, reasons: frozenset[Drop]) -> tuple[str, ...]:
    """Say what a port has dropped lately, for those of `reasons` that it has."""
    return tuple(
        f"the port of {name} has dropped {count:,} {LOSSES[reason]} in {RECENT_S:.0f} s"
        for reason in Drop
        if reason in reasons and (count := view.recent_drops.get(reason, 0))
    )


def too_long(end: End, port: PortFacts, size_bytes: int) -> Because:
    """Step 1."""
    longest = port.max_frame_bytes
    return Because(
        f"the frame has {size_bytes:,} bytes, and the longest at {who_at(port.view)} is"
        f" {longest:,}",
        f"give the TAP of {end.name} an MTU of at most {longest - HEADER_BYTES:,}, or the server a"
        " higher vpnws-max-frame",
    )


def not_a_source(mac: bytes) -> Because:
    """Step 2: a group address or zero."""
    return Because(
        f"{format_mac(mac)} is a group address or zero, which no station has",
        "give the station another MAC (--mac)",
    )


def not_allowed(end: End, view: PortView) -> Because:
    """Step 2: the web server does not allow the destination."""
    allowed = ", ".join(view.allow or ())
    return Because(
        f"{end.name} may only send to {allowed}, and ARP, ND and DHCP (VPNWS_ALLOW)",
        "add the destination to VPNWS_ALLOW in the web server, and let the station come again:"
        f" vpnws-ctl kick {view.id}",
    )


def may_not_be_allowed(a: End, b: End, view: PortView) -> str:
    """Warn that it is not known whether B's address is one that A may send to."""
    return (
        f"{a.name} may only send to {', '.join(view.allow or ())} (VPNWS_ALLOW): name {b.name} by"
        " its IP address to see whether it is there"
    )


def is_blocked(end: End, view: PortView) -> Because:
    """Step 2 or 7: the operator has blocked a port."""
    reason = f": {one_line(view.block_reason)}" if view.block_reason else ""
    return Because(f"{end.name} is blocked by the operator{reason}", f"vpnws-ctl unblock {view.id}")


def is_reserved(mac: bytes) -> Because:
    """Step 3."""
    return Because(
        f"{format_mac(mac)} is for the next bridge only, and no switch forwards it (IEEE 802.1Q"
        " 8.6.3)",
        "nothing: protocols such as STP and LLDP are meant to end here",
    )


def too_many_macs(mac: bytes, view: PortView) -> Because:
    """Step 4: the port has all its MACs."""
    limit = view.limits.stations
    return Because(
        f"{who_at(view)} has all the {limit} MACs that it may have ({', '.join(view.macs)}), none"
        f" of them has been quiet for long, and {format_mac(mac)} is one more",
        "a station that bridges needs VPNWS_BRIDGE on in the web server; another one may get a"
        f" higher limit: vpnws-ctl set {view.id} --stations N, or vpnws-station-limit",
    )


def mac_is_taken(mac: bytes, place: PlaceFacts | None, holder: PortView | None) -> Because:
    """Step 4: the MAC belongs to somebody else."""
    text = f"{format_mac(mac)} belongs to {_holder(place, holder)}"
    if place is not None and place.whose == "own":
        return Because(text, "give the station another MAC (--mac)")
    if place is not None and place.is_pinned:
        return Because(text, "give the station another MAC (--mac), or unpin it: vpnws-ctl pins")
    if place is not None and not place.port:
        return Because(text, "wait until then, or give the station another MAC (--mac)")
    end = f", or end the other one: vpnws-ctl kick {place.port}" if place is not None else ""
    return Because(text, f"give one of the two another MAC (--mac){end}")


def mac_is_used(mac: bytes, place: PlaceFacts | None, holder: PortView | None) -> Because:
    """Step 4: another port still sends from the MAC."""
    return Because(
        f"{format_mac(mac)} is at {_holder(place, holder)}, and moves only if that port is silent"
        " for a second",
        "if the machine has moved, wait a second; else two stations have one MAC (--mac gives one"
        " of them another), or one LAN is joined twice",
    )


def is_forbidden(drop: Drop) -> Because:
    """Step 5: a setting forbids broadcast or multicast."""
    if drop is Drop.NO_BROADCAST:
        setting, what = "vpnws-no-broadcast", "broadcasts, ARP and DHCP included"
        instead = "give the stations fixed neighbors (ip neighbor add)"
    else:
        setting, what = "vpnws-no-multicast", "multicasts, IPv6's ND included"
        instead = "use IPv4"
    return Because(f"{setting} is on: {what}, are dropped", f"turn {setting} off, or {instead}")


def storms(view: PortView) -> Because:
    """Step 6: the port has used up its storm limit."""
    dropped = view.recent_drops.get(Drop.STORM, 0)
    return Because(
        f"storm limit reached: {who_at(view)} may flood {view.limits.storm_packets_per_s:,} frames"
        f" a second; {dropped:,} frames dropped in {RECENT_S:.0f} s",
        f"see what it floods: vpnws-ctl capture --port {view.id}; if it must, raise the limit:"
        f" vpnws-ctl set {view.id} --storm-packets-per-s N, or vpnws-storm-limit",
    )


def floods_wait(process: str) -> Because:
    """Step 6: the process has too many floods to copy."""
    return Because(
        f"more is flooded in {process} than it can copy to all ports, and too much of this source"
        " waits already",
        "find who floods: vpnws-ctl drops; lower vpnws-storm-limit, or make smaller networks",
    )


def same_port(a: End, b: End, view: PortView) -> Because:
    """Step 7: the frame would go back to where it came from."""
    if a.mac == b.mac:
        return Because(f"{a.name} is both ends: {who_at(view)}", "name two stations")
    return Because(
        f"{a.name} and {b.name} are both behind {who_at(view)}: a frame does not go back to its"
        " port",
        "the two must reach each other without the switch; look at the bridge behind that port",
    )


def roles_differ(a: End, b: End, mode: str) -> Because:
    """Step 7: the roles of two ports do not let them talk."""
    views = [(end, end.port.view) for end in (a, b) if end.port is not None]
    for end, view in views:
        if view.is_blocked:
            return is_blocked(end, view)
    for end, view in views:
        if view.role == "isolated":
            is_modes = mode == "router" and view.kind == "station"
            why = "mode router" if is_modes else "VPNWS_ROLE"
            return Because(
                f"{end.name} is isolated: {why}",
                "an isolated station reaches only TAPs and promiscuous stations: give one of the"
                " two another VPNWS_ROLE in the web server, or the server another vpnws-mode",
            )
    roles = " and ".join(f"{end.name} is {view.role}" for end, view in views)
    return Because(
        f"{roles}: stations of different communities do not reach each other",
        "give both the same VPNWS_ROLE in the web server",
    )


def networks_differ(a: End, b: End) -> Because:
    """Step 7: nothing crosses from one network to another."""
    return Because(
        f"{a.name} is in network {a.network} and {b.name} in network {b.network}: nothing crosses"
        " from one to the other",
        "let the web server give both the same VPNWS_NETWORK (the location of their URLs)",
    )


def hears_nothing(b: End, view: PortView) -> Because:
    """Step 7: a port does not get what is flooded yet."""
    return Because(
        f"{b.name} has announced no MAC and has not sent a frame yet, so nothing is flooded to"
        f" {who_at(view)}",
        "let it send something, or announce its MAC (X-vpn-ws-MAC)",
    )


def is_elsewhere(b: End, found: str) -> Because:
    """Step 5: the MAC is at another port than asked for."""
    mac = format_mac(b.mac) if b.mac is not None else "the MAC"
    return Because(
        f"the FDB has {mac} at {found}, not at {b.name}",
        "two ports have one MAC: give one another (--mac), or see who has it: vpnws-ctl fdb",
    )


def queue_is_full(view: PortView | None, trunk: str, waiting_bytes: int) -> Because:
    """Step 8: the egress queue has no room."""
    if view is None:
        return Because(
            f"the queue to {trunk} is full: {waiting_bytes:,} bytes wait",
            f"see how {trunk} is: vpnws-ctl status; vpnws-trunk-limit gives the queue more room",
        )
    return Because(
        f"the queue of {who_at(view)} is full: {view.queued_bytes:,} of"
        f" {view.limits.egress_bytes or 0:,} bytes wait",
        "more is sent there than the path or the machine can take: see who sends (vpnws-ctl top),"
        " and whether the station still reads",
    )


def _holder(place: PlaceFacts | None, holder: PortView | None) -> str:
    """Say who has a MAC."""
    if place is None:
        return "another port"
    if place.whose == "own":
        return "the server itself (a TAP, its bridge, or vpnws-pinned-macs)"
    if place.is_pinned and not place.port:
        return "an identity that it is pinned to, which is away"
    if not place.port:
        return f"a station that is away, for another {max(1.0, place.left_s):.0f} s"
    at = f"port {place.port}" if holder is None else who_at(holder)
    return f"{at}, a newer station of the same user" if place.is_same_name else at

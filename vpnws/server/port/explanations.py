"""Why frames are dropped and what to do about it, in words: for the log, the station, operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.switch.drop import Drop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.control.views import PortKind


class Explanation(NamedTuple):
    """Why frames are dropped, and what to do; `{holder}` stands for who has the MAC."""

    why: str
    remedy: str

    def sentence(self, holder: str) -> str:
        """Return both as one sentence; `holder` is who has the MAC that frames came from."""
        return f"{self.why}: {self.remedy}".format(holder=holder)


_SLOW_TRUNK: Final = Explanation(
    "another process of the server takes frames more slowly than they come",
    "see which process is busy (loop lag in the metrics); more workers, or a faster machine",
)
_SLOW_TAP: Final = Explanation(
    "the server's TAP takes frames more slowly than they come",
    "see whether the mule is busy (loop lag in the metrics); vpnws-trunk-limit bounds the queue",
)

EXPLANATIONS: Final[Mapping[Drop, Explanation]] = {
    Drop.LENGTH: Explanation(
        "frames are longer than the server's vpnws-max-frame, or shorter than a header",
        "give the TAP a lower MTU, or the server a higher vpnws-max-frame",
    ),
    Drop.OFFLOAD: Explanation(
        "records are not true of their frames",
        "the client is faulty: a newer version or --no-offload helps",
    ),
    Drop.SOURCE: Explanation(
        "frames come from a group address or from zero, which no station has",
        "find the program on the station that makes such frames",
    ),
    Drop.RESERVED: Explanation(
        "frames go to an address that no switch forwards (01-80-C2-00-00-0X)",
        "none is needed: the standard asks for it; STP or LLDP on the station can be turned off",
    ),
    Drop.NOT_ALLOWED: Explanation(
        "VPNWS_ALLOW in the web server does not allow where frames go",
        "add the destination to the station's VPNWS_ALLOW if it shall reach it",
    ),
    Drop.BLOCKED: Explanation(
        "the operator has blocked the port",
        "unblock it (vpnws-ctl unblock) when the reason is gone",
    ),
    Drop.STATION_LIMIT: Explanation(
        "the port has all the MACs that it may have",
        "a bridge needs VPNWS_BRIDGE on in the web server, others a higher vpnws-station-limit",
    ),
    Drop.MAC_TAKEN: Explanation(
        "the MAC belongs to {holder}", "use another MAC (--mac), or end that station"
    ),
    Drop.MOVE_GUARD: Explanation(
        "{holder} had the MAC a moment ago",
        "a machine that has moved is reached here in a second; if this is said again, one LAN is"
        " joined twice, or two stations have one MAC (--mac gives another)",
    ),
    Drop.STORM: Explanation(
        "broadcast, multicast and unknown unicast exceed vpnws-storm-limit",
        "find what sends so much there, such as a loop; a stream that is wanted needs a higher"
        " vpnws-storm-limit",
    ),
    Drop.FLOOD_QUEUE: Explanation(
        "more broadcast, multicast and unknown unicast is sent than this process can copy to all"
        " its ports",
        "a lower vpnws-storm-limit or smaller networks help",
    ),
    Drop.NO_BROADCAST: Explanation(
        "vpnws-no-broadcast is on", "none is needed, unless stations need broadcast, as ARP does"
    ),
    Drop.NO_MULTICAST: Explanation(
        "vpnws-no-multicast is on", "none is needed, unless stations need multicast, as IPv6 does"
    ),
    Drop.FILTERED: Explanation(
        "frames go back where they came from, or to a station that is isolated or blocked",
        "vpnws-ctl trace says which; stations that shall talk to each other need mode switch or"
        " bridge, or a VPNWS_ROLE that allows it",
    ),
    Drop.EGRESS_FULL: Explanation(
        "more is sent there than the path can take, and the queue is full",
        "TCP sends less by itself; other traffic must be made to",
    ),
    Drop.CODEL: Explanation(
        "more is sent there than the path can take, so there is always a queue",
        "TCP sends less by itself; other traffic must be made to",
    ),
    Drop.DEVICE: Explanation("the kernel refuses frames", "check that the TAP is up (ip link)"),
}
"""For every reason; at a station unless another table has it."""
AT_A_TAP: Final[Mapping[Drop, Explanation]] = {
    Drop.STATION_LIMIT: Explanation(
        "the TAP has all the MACs that it may have",
        "set a higher vpnws-uplink-limit if the LAN behind it has more hosts",
    ),
    Drop.EGRESS_FULL: _SLOW_TAP,
    Drop.CODEL: _SLOW_TAP,
}
"""What differs at a TAP of the server."""
AT_A_TRUNK: Final[Mapping[Drop, Explanation]] = {
    Drop.FILTERED: Explanation(
        "frames came for a network or a station that this process does not have",
        "none is needed: every process gets what is flooded, and a station may just have gone",
    ),
    Drop.EGRESS_FULL: _SLOW_TRUNK,
    Drop.CODEL: _SLOW_TRUNK,
    Drop.DEVICE: Explanation(
        "the kernel has no memory for what goes to another process", "give the machine more memory"
    ),
}
"""What differs on a trunk."""


def explain(reason: Drop, kind: PortKind = "station") -> Explanation:
    """Return why a port of `kind` drops frames, and what to do."""
    special = {"tap": AT_A_TAP, "trunk": AT_A_TRUNK}.get(kind, {})
    return special.get(reason, EXPLANATIONS[reason])

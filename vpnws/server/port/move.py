"""Moves a station's port between processes: takes a snapshot in one, resumes it in another."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING

from vpnws.server.port.handover import Handover, LinkHandover, PortHandover

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.server.port.link import Link
    from vpnws.switch.port import AccessPort


def snapshot(link: Link, stations: Iterable[bytes]) -> Handover:
    """Return all that another process needs to take over `link` and its port.

    `stations` are the MACs that the switch has learned on the port. Call it between two callbacks
    of the loop, when everything received has been acted on. The receiver must be `stream`: with
    `native`, uWSGI may have read bytes that we do not have. The handover does not change when the
    link goes on.
    """
    port, queue = link.port, link.port.egress
    return Handover(
        PortHandover(
            port.id,
            port.rx_frames,
            port.rx_bytes,
            sorted(stations),
            queue.state(),
        ),
        LinkHandover(
            deepcopy(link.session),
            replace(link.times),
            b"".join(queue.rest),
            list(queue.controls),
        ),
    )


def resume(handover: Handover, port: AccessPort) -> None:
    """Give the new `port` what the port of `handover` had, except for its stations.

    `port` has the handover's id. It hears floods if the station has sent a frame. The caller
    attaches it and announces the stations, so that this process knows where they are.
    """
    was, queue = handover.port, port.egress
    port.rx_frames, port.rx_bytes = was.rx_frames, was.rx_bytes
    port.hears_floods = port.hears_floods or was.rx_frames > 0
    for message in handover.link.controls:
        queue.push_control(message)
    if handover.link.rest:
        queue.keep([handover.link.rest])
    queue.resume(was.queue)

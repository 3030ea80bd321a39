"""Makes all checks and puts what they find in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.doctor import bridges, capacity, routing
from vpnws.doctor.findings import SEVERITIES, Name, info

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vpnws.control.views import FindingView
    from vpnws.doctor.facts import Facts

MAX_FINDINGS: Final = 100
"""Findings of one examination; the least severe of more are left out."""


def unseen(facts: Facts) -> Iterator[FindingView]:
    """Tell what could not be looked at."""
    for sentence in facts.unseen:
        yield info(Name.UNSEEN, sentence, "look as root: python -m vpnws.server.check FILE.ini")


CHECKS: Final[tuple[Callable[[Facts], Iterator[FindingView]], ...]] = (
    bridges.no_bridge,
    bridges.no_lan,
    bridges.bridge_netfilter,
    bridges.stp,
    bridges.port_state,
    bridges.foreign_macs,
    bridges.enslaved_address,
    bridges.mtu,
    routing.no_address,
    routing.ip_forward,
    routing.rp_filter,
    routing.conntrack,
    capacity.few_files,
    capacity.backlog,
    capacity.nginx_connections,
    capacity.nginx_files,
    capacity.nginx_timeout,
    unseen,
)
"""Every check; each looks at the facts and yields what it finds."""


def examine(facts: Facts) -> tuple[FindingView, ...]:
    """Return everything that is known to break a network on this host, the worst first."""
    found = [finding for check in CHECKS for finding in check(facts)]
    found.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return tuple(found[:MAX_FINDINGS])

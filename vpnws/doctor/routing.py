"""Judges how the host routes for stations, in mode router."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.doctor.findings import Name, error, info, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.control.views import FindingView
    from vpnws.doctor.facts import Device, Facts

FULL: Final = 0.9
"""A table of connections that is filled to this part is nearly full."""
STRICT: Final = 1
"""The value of rp_filter that drops what would not be answered by the same device (RFC 3704)."""


def no_address(facts: Facts) -> Iterator[FindingView]:
    """Find TAPs that are no gateway."""
    for tap in _routed(facts):
        if not tap.addresses:
            yield warning(
                Name.NO_ADDRESS,
                f"{tap.name} has no IP address, so stations have no gateway",
                f"ip address add 10.8.0.1/24 dev {tap.name}, or so in vpnws-exec",
            )


def ip_forward(facts: Facts) -> Iterator[FindingView]:
    """Find a kernel that does not forward for the addresses that its TAPs have."""
    for kind, sysctl, colon in (
        ("IPv4", "net.ipv4.ip_forward", False),
        ("IPv6", "net.ipv6.conf.all.forwarding", True),
    ):
        used = [tap for tap in _routed(facts) if any((":" in a) == colon for a in tap.addresses)]
        if used and facts.sysctls.get(sysctl) == 0:
            yield error(
                Name.IP_FORWARD,
                f"the kernel does not forward {kind}: stations reach {used[0].name} and nothing"
                " behind it",
                f"sysctl -w {sysctl}=1, and the same line in /etc/sysctl.d/ for the next boot",
            )


def rp_filter(facts: Facts) -> Iterator[FindingView]:
    """Find a strict reverse path filter; the kernel takes the larger of its two values."""
    for tap in _routed(facts):
        own = f"net.ipv4.conf.{tap.name}.rp_filter"
        values = [facts.sysctls.get(name, 0) for name in ("net.ipv4.conf.all.rp_filter", own)]
        if max(values) == STRICT:
            yield info(
                Name.RP_FILTER,
                f"the reverse path filter of {tap.name} is strict: packets from addresses to which"
                f" the host has no route by {tap.name} are dropped in silence",
                f"a route to each network behind a station, or sysctl -w {own}=2",
            )


def conntrack(facts: Facts) -> Iterator[FindingView]:
    """Find a table of tracked connections that is nearly full."""
    count = facts.sysctls.get("net.netfilter.nf_conntrack_count", 0)
    most = facts.sysctls.get("net.netfilter.nf_conntrack_max", 0)
    if most and count >= FULL * most:
        yield warning(
            Name.CONNTRACK,
            f"the firewall tracks {count} connections of at most {most}: further ones are dropped",
            f"sysctl -w net.netfilter.nf_conntrack_max={2 * most}",
        )


def _routed(facts: Facts) -> list[Device]:
    return facts.taps() if facts.settings.mode == "router" else []

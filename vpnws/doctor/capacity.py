"""Judges whether the server and the web server in front have room for all stations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.doctor.findings import Name, info, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.control.views import FindingView
    from vpnws.doctor.facts import Facts

SPARE_FDS: Final = 64
"""Descriptors of a worker that are no station's: its log, its sockets, the bus, handshakes."""
MAX_STATIONS_PER_PLACE: Final = 20
"""With more stations for each place in the `listen` queue, a mass return may overflow it."""
_PER_STATION: Final = 2
"""Connections that a station takes in nginx: its own, and the one to the switch."""
_SOFT_LIMIT_FDS: Final = 1024
"""What a service may open unless its unit or nginx itself says otherwise."""


def few_files(facts: Facts) -> Iterator[FindingView]:
    """Find a limit of descriptors that a worker's share of stations exceeds."""
    settings = facts.settings
    per_station = 2 if settings.receiver == "native" else 1
    need = SPARE_FDS + per_station * settings.max_ports // max(1, facts.workers)
    if facts.max_fds < need:
        yield warning(
            Name.FEW_FILES,
            f"each worker may open {facts.max_fds} files, and vpnws-max-ports ="
            f" {settings.max_ports} needs about {need}: stations would be lost in their handshakes",
            f"max-fd = {need} (systemd: LimitNOFILE={need})",
        )


def backlog(facts: Facts) -> Iterator[FindingView]:
    """Find a queue of connections that is short for so many stations."""
    places = facts.backlog
    if facts.settings.max_ports > MAX_STATIONS_PER_PLACE * places:
        most = facts.sysctls.get("net.core.somaxconn", 0)
        better = facts.settings.max_ports // MAX_STATIONS_PER_PLACE
        kernel = f"sysctl -w net.core.somaxconn={better}, then " if most < better else ""
        yield info(
            Name.BACKLOG,
            f"{places} connections can wait to be accepted, and vpnws-max-ports ="
            f" {facts.settings.max_ports}: when all come back at once, some get 502 and try again",
            f"{kernel}listen = {better}",
        )


def nginx_connections(facts: Facts) -> Iterator[FindingView]:
    """Find an nginx without room for all stations."""
    nginx = facts.nginx
    need = _PER_STATION * facts.settings.max_ports
    if nginx and nginx.passes and nginx.connections * nginx.processes < need:
        yield warning(
            Name.NGINX_CONNECTIONS,
            f"nginx has room for {nginx.connections * nginx.processes} connections"
            f" ({nginx.processes} processes with worker_connections {nginx.connections}), and"
            f" vpnws-max-ports = {facts.settings.max_ports} needs {need}",
            f"worker_connections {-(-need // nginx.processes)}; in events of nginx.conf",
        )


def nginx_files(facts: Facts) -> Iterator[FindingView]:
    """Find an nginx that may not open what it has connections for."""
    nginx = facts.nginx
    if nginx is None or not nginx.passes:
        return
    most = _SOFT_LIMIT_FDS if nginx.max_fds is None else nginx.max_fds
    if most < nginx.connections:
        yield warning(
            Name.NGINX_FILES,
            f"nginx has worker_connections {nginx.connections} and may open {most} files",
            f"worker_rlimit_nofile {2 * nginx.connections}; at the top of nginx.conf",
        )


def nginx_timeout(facts: Facts) -> Iterator[FindingView]:
    """Find time-outs of nginx that are shorter than the switch's pings."""
    ping_s = facts.settings.ping_every_s
    for each in facts.nginx.passes if facts.nginx else ():
        if each.read_timeout_s <= ping_s:
            yield warning(
                Name.NGINX_TIMEOUT,
                f"nginx closes a quiet station of location {each.location} after"
                f" {each.read_timeout_s:.0f} s, and the switch pings after {ping_s} s",
                f"{each.directive} {3 * ping_s}s; in that location",
            )

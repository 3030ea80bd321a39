"""Every setting of the server, once: its name, unit, default, range and what it is for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from vpnws.declare import choice, for_ini, number, parsed_by, switched
from vpnws.lease.pool import parse_pools
from vpnws.sizes import (
    MAX_EGRESS_LIMIT_BYTES,
    MAX_STATION_LIMIT,
    MAX_STORM_LIMIT,
    MIN_EGRESS_LIMIT_BYTES,
)
from vpnws.values import (
    parse_addresses,
    parse_listen,
    parse_macs,
    parse_path,
    parse_taps,
    parse_webhook,
    parse_words,
)

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from vpnws.lease.pool import Pool

PREFIX: Final = "vpnws-"
_UNIT_SUFFIXES: Final = {"s": "_s", "bytes": "_bytes"}


@dataclass(frozen=True, slots=True)
class Settings:
    """The server's settings; a placeholder's name is `vpnws-` and the field without its unit."""

    receiver: str = choice(
        "stream",
        ("stream", "native"),
        "What cuts a station's bytes into frames: our decoder, or uWSGI's own (`native`), which a"
        " hostile station can crash; use that only for trusted stations.",
    )
    max_ports: int = number(
        1024, 1, 1_000_000, "", "Most stations at once on all workers; one more gets 503."
    )
    max_networks: int = number(
        64, 1, 4096, "", "Most networks with a station at once, in one worker; more get 503."
    )
    max_frame_bytes: int = number(
        65535, 1514, 65535, "bytes", "Longest Ethernet frame, header included, without FCS."
    )
    dead_after_s: int = number(
        75, 2, 86400, "s", "A station that sends nothing at all for this long is closed."
    )
    ping_every_s: int = number(
        25,
        1,
        43200,
        "s",
        "A station that has sent nothing for this long is pinged, once per period.",
    )
    hang_after_s: int = number(
        8,
        0,
        3600,
        "s",
        "A worker or mule that does nothing for this long is killed, so that its stations come back"
        " on others; 0 is never, for a debugger.",
    )
    age_s: int = number(
        300, 10, 1_000_000, "s", "A MAC not seen for this long is forgotten (IEEE 802.1Q 8.8.3)."
    )
    fdb_items: int = number(
        16384, 16, 10_000_000, "", "Most MACs in the FDB that all workers share (one stays free)."
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = parsed_by(
        (),
        parse_addresses,
        "Addresses of the web servers on http-socket whose X-Forwarded-For, X-Forwarded-User and"
        " X-Forwarded-DN are believed; all others are not.",
    )
    mode: str = choice(
        "switch",
        ("switch", "bridge", "router"),
        "switch: stations reach each other; bridge: they also reach what is behind the TAPs;"
        " router: they reach only what is behind the TAPs.",
    )
    tap: tuple[tuple[str, str], ...] = parsed_by(
        (),
        parse_taps,
        "The server's TAPs, for bridge and router: vpn0, or blue:vpn-blue red:vpn-red.",
    )
    pinned_macs: tuple[tuple[str, bytes], ...] = parsed_by(
        (),
        parse_macs,
        "MACs behind the TAPs that no station can ever have, such as that of the LAN's gateway:"
        " 02:00:00:00:00:01, or blue:02:00:00:00:00:01 in another network.",
    )
    exec: str = for_ini(
        "",
        "Commands for a shell, run before privileges are dropped when a TAP is up, with VPNWS_TAP,"
        " VPNWS_NETWORK and VPNWS_MAC; several with `;`. A failure stops the start.",
    )
    exec_down: str = for_ini("", "Commands run at the stop, as the user that uWSGI runs as.")
    on_connect: str = for_ini(
        "",
        "Commands for a shell, run when a station has joined, with VPNWS_USER and the like"
        " (docs/hooks.md).",
    )
    on_disconnect: str = for_ini("", "The same when a station's connection has ended.")
    on_learn: str = for_ini("", "The same when a MAC was first seen on a port.")
    on_connect_may_refuse: bool = switched(
        False,
        "Run vpnws-on-connect before a station joins: with exit code 1 it is refused, and it waits"
        " until then.",
    )
    hook_timeout_s: int = number(
        10, 1, 300, "s", "Commands of a hook that take longer are killed, and count as failed."
    )
    webhook: str = parsed_by(
        "", parse_webhook, "A URL, http or https, that events are posted to as JSON."
    )
    webhook_events: tuple[str, ...] = parsed_by(
        (),
        parse_words,
        "The names of the events that are posted; if empty, all but learn and address.",
    )
    webhook_secret_file: str = for_ini(
        "", "A file with the secret that signs what is posted (X-vpnws-signature)."
    )
    webhook_ca: str = for_ini(
        "", "A file with the authorities that may have signed the webhook's certificate."
    )
    pool: tuple[Pool, ...] = parsed_by(
        (),
        parse_pools,
        "Addresses that stations lease (docs/addresses.md): 10.8.0.0/24 fd00:8::/64, or in another"
        " network blue:10.9.0.0/24, or a part of a subnet: 10.8.0.100-10.8.0.199/24.",
    )
    leases: str = parsed_by(
        "",
        parse_path,
        "The file that says who leases which address, for all workers and over restarts. If empty,"
        " it is named after the socket (vpnws.leases.db), and is in systemd's StateDirectory if"
        " there is one, else beside the socket.",
    )
    lease_time_s: int = number(
        3600,
        60,
        31_536_000,
        "s",
        "An address is kept for a station for this long after its connection has ended.",
    )
    fixed: str = parsed_by(
        "",
        parse_path,
        "A file with addresses for one station each: 10.8.0.7 user alice (docs/addresses.md).",
    )
    dhcp: str = choice(
        "off",
        ("off", "on", "all"),
        "on: answer what stations ask by DHCP, from vpnws-pool (docs/addresses.md#dhcp), so that"
        " stations without our client have addresses too; no other DHCP server hears of it. all:"
        " answer the hosts behind stations that bridge too.",
    )
    no_broadcast: bool = switched(False, "Drop every broadcast frame, ARP and DHCP included.")
    no_multicast: bool = switched(False, "Drop every multicast frame, IPv6 ND included.")
    bridge_limit: int = number(
        256, 2, MAX_STATION_LIMIT, "", "Most MACs learned on the port of a station that may bridge."
    )
    uplink_limit: int = number(4096, 1, 1_000_000, "", "Most MACs learned behind one TAP.")
    station_limit: int = number(
        1,
        1,
        MAX_STATION_LIMIT,
        "",
        "Most MACs learned on one port; frames from one more are dropped.",
    )
    storm_limit: int = number(
        2000,
        0,
        MAX_STORM_LIMIT,
        "",
        "Broadcast, multicast and unknown unicast frames per second that one station may send"
        " before more are dropped; 0 is no limit.",
    )
    offload: bool = switched(
        True,
        "Let frames of up to 64 KiB cross between stations and TAPs that can take them"
        " (vpnws.offload.1), which makes TCP several times faster. Stations that cannot, or that"
        " have --no-offload, get ordinary frames.",
    )
    egress_limit_bytes: int = number(
        1_000_000,
        MIN_EGRESS_LIMIT_BYTES,
        MAX_EGRESS_LIMIT_BYTES,
        "bytes",
        "Memory of a station's egress queue.",
    )
    trunk_limit_bytes: int = number(
        2_000_000,
        MIN_EGRESS_LIMIT_BYTES,
        MAX_EGRESS_LIMIT_BYTES,
        "bytes",
        "Memory of a queue toward another worker's process.",
    )
    log: str = choice(
        "text",
        ("text", "json"),
        "The form of vpnws's log: text, or one JSON object a line (docs/events.md).",
    )
    socket: str = for_ini("", "Where uwsgi.ini listens for nginx: a unix socket's path.")
    http: str = parsed_by(
        "", parse_listen, "Where uwsgi.ini listens for plain HTTP: address:port; if empty, nowhere."
    )


def placeholder_names() -> dict[str, str]:
    """Return placeholder name -> field name, for every setting."""
    return {PREFIX + _spelt(item): item.name for item in fields(Settings)}


def _spelt(item: Any) -> str:
    name: str = item.name.removesuffix(_UNIT_SUFFIXES.get(item.metadata["unit"], ""))
    return name.replace("_", "-")

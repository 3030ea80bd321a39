"""Options of the station's place in the network: its addresses."""

from __future__ import annotations

import ipaddress
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.client.dhcp.programs import NAMES, OWN
from vpnws.client.janitor.changes import MAX_SERVERS
from vpnws.client.settings import ACCEPTABLE, DEFAULT_ACCEPT, NetworkSettings
from vpnws.errors import ConfigError

if TYPE_CHECKING:
    import argparse

TITLE: Final = "addresses and routes"


def add(group: argparse._ArgumentGroup) -> None:
    """Add these options to the help."""
    _add_addresses(group)
    _add_routes(group)
    _add_commands(group)


def _add_addresses(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--address",
        metavar="CIDR",
        action="append",
        default=[],
        help="give it this IPv4 or IPv6 address, such as 10.8.0.2/24; may be repeated",
    )
    group.add_argument(
        "--dhcp",
        action="store_true",
        help="ask for an IPv4 address by DHCP, and keep its lease; of the rest that a DHCP server"
        " tells, --accept says what counts",
    )
    group.add_argument(
        "--dhcp-client",
        metavar="NAME",
        choices=NAMES,
        default=OWN,
        help="who asks with --dhcp: own (the default), or a program of this system, udhcpc or"
        " dhclient, which then runs with the client, and changes nothing itself",
    )
    group.add_argument(
        "--accept",
        metavar="LIST",
        default=",".join(DEFAULT_ACCEPT),
        help="apply these of what the server offers, of address,routes,dns,mtu, or none of them"
        " (default: %(default)s)",
    )


def _add_routes(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--route",
        metavar="CIDR[ via GATEWAY]",
        action="append",
        default=[],
        help="reach this network through the VPN, such as 10.9.0.0/16 or '10.9.0.0/16 via"
        " 10.8.0.1'; may be repeated",
    )
    group.add_argument(
        "--default-route",
        action="store_true",
        help="reach everything through the VPN, but the server itself; needs a gateway: from"
        " --gateway, from the server or by DHCP",
    )
    group.add_argument(
        "--gateway",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="the way out of the VPN for --default-route, such as 10.8.0.1; may be repeated, for"
        " IPv6",
    )
    group.add_argument(
        "--dns",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="look up all names at this name server while connected; may be repeated",
    )
    group.add_argument(
        "--broadcast",
        action="store_true",
        help="send 255.255.255.255 and IPv4 multicast through the VPN, as games for a LAN need",
    )


def _add_commands(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--exec",
        metavar="COMMAND",
        default="",
        help="run this as root when the station is connected, with VPNWS_TAP, VPNWS_MAC,"
        " VPNWS_SERVER, VPNWS_ADDRESS and VPNWS_REASON; no shell reads it",
    )
    group.add_argument(
        "--exec-down",
        metavar="COMMAND",
        default="",
        help="run this as root when the connection is lost, or the program ends",
    )


def read_address(text: str) -> str:
    """Return what one --address says, in the usual form. Raises ConfigError."""
    sentence = f"--address {text!r} is not an address with a prefix length, like 10.8.0.2/24"
    if "/" not in text or "%" in text:
        raise ConfigError(sentence)
    try:
        address = ipaddress.ip_interface(text)
    except ValueError as error:
        raise ConfigError(sentence) from error
    what = _not_a_hosts(address)
    if what:
        raise ConfigError(f"--address {text} cannot be a station's: it is {what}")
    return address.with_prefixlen


def read(options: argparse.Namespace) -> NetworkSettings:
    """Return what the options of this subject say. Raises ConfigError."""
    gateways = tuple(_read_ip("--gateway", text) for text in options.gateway)
    if len({":" in each for each in gateways}) < len(gateways):
        raise ConfigError("--gateway may be given once for IPv4, and once for IPv6")
    if gateways and not options.default_route:
        raise ConfigError("--gateway is for --default-route: add that, or use --route")
    if options.dhcp_client != OWN and not options.dhcp:
        raise ConfigError("--dhcp-client says who asks with --dhcp: add that, or leave it out")
    return NetworkSettings(
        dhcp=options.dhcp,
        dhcp_client=options.dhcp_client,
        routes=tuple(_read_route(text) for text in options.route),
        accept=_read_accept(options.accept),
        default_route=options.default_route,
        gateways=gateways,
        dns=_read_dns(options.dns),
        broadcast=options.broadcast,
        up=_read_command("--exec", options.exec),
        down=_read_command("--exec-down", options.exec_down),
    )


def _read_dns(texts: list[str]) -> tuple[str, ...]:
    """Return the name servers of --dns."""
    if len(texts) > MAX_SERVERS:
        raise ConfigError(f"--dns: more than {MAX_SERVERS} name servers are never asked")
    return tuple(_read_ip("--dns", text) for text in texts)


def _read_ip(option: str, text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise ConfigError(f"{option} {text!r} is not an IP address, like 10.8.0.1") from error
    if "%" in text or address.is_multicast or address.is_unspecified:
        raise ConfigError(f"{option} {text} cannot be a machine's address in the VPN")
    return str(address)


def _read_command(option: str, text: str) -> tuple[str, ...]:
    """Return the words of a command, as a shell would split them; its program must be there."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:
        raise ConfigError(f"{option} {text!r} cannot be split into words: {error}") from error
    if not words:
        return ()
    program = shutil.which(words[0])
    if program is None:
        raise ConfigError(
            f"{option}: {words[0]!r} is no program that can be run (no shell reads the command:"
            " put more than one into a script, or write sh -c '...')"
        )
    # The janitor, which runs it, is in no directory of the user's.
    return (str(Path(program).absolute()), *words[1:])


def _read_accept(text: str) -> tuple[str, ...]:
    """Return what of the server's offers is accepted, in the order of ACCEPTABLE."""
    words = [word.strip() for word in text.split(",")]
    if words == ["none"]:
        return ()
    unknown = [word for word in words if word not in ACCEPTABLE]
    if unknown:
        raise ConfigError(
            f"--accept {text!r} has {unknown[0]!r}, which is not one of {', '.join(ACCEPTABLE)}; to"
            " accept nothing, say none"
        )
    return tuple(name for name in ACCEPTABLE if name in words)


def _read_route(text: str) -> tuple[str, str]:
    """Return the network and the gateway that one --route names; empty for no gateway."""
    network, via, gateway = (part.strip() for part in text.partition(" via "))
    try:
        route = ipaddress.ip_network(network, strict=False)
        if via and ipaddress.ip_address(gateway).version != route.version:
            raise ConfigError(f"--route {text!r} mixes IPv4 and IPv6")
    except ValueError as error:
        raise ConfigError(
            f"--route {text!r} is not a network, like 10.9.0.0/16, or '10.9.0.0/16 via 10.8.0.1'"
        ) from error
    if not route.prefixlen:
        raise ConfigError(
            f"--route {text!r} would lead to the server through the VPN itself: use --default-route"
        )
    return str(route), gateway


def _not_a_hosts(address: ipaddress.IPv4Interface | ipaddress.IPv6Interface) -> str:
    """Return what `address` is if no host can have it, empty if a host can.

    The first address of an IPv6 network is one that its routers share (RFC 4291 2.6.1), and Linux
    takes it for a host's: it is not refused.
    """
    network = address.network
    if address.ip.is_multicast:
        return "a multicast address"
    if address.ip.is_unspecified or address.ip.is_loopback:
        return "the unspecified address" if address.ip.is_unspecified else "a loopback address"
    if address.version == 6 or network.num_addresses < 4:
        return ""
    if address.ip == network.network_address:
        return f"the address of the network {network} itself"
    return f"the broadcast address of {network}" if address.ip == network[-1] else ""

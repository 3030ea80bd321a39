"""Makes what a server leases of: the plan of addresses, and the table in its file."""

from __future__ import annotations

import logging
from ipaddress import ip_address
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.errors import ConfigError
from vpnws.lease.fixed import read_fixed
from vpnws.lease.leases import Leases
from vpnws.lease.plan import Plan
from vpnws.server.dhcp_setup import identifiers
from vpnws.server.peers.lease_file import put_aside_if_broken
from vpnws.server.peers.leases import LeaseFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vpnws.config import Settings
    from vpnws.lease.pool import Address
    from vpnws.server.loop import Loop
    from vpnws.server.uplink.devices import TapDevices

MAX_FIXED_BYTES: Final = 1_000_000
"""A longer file of fixed addresses stops the start."""

log = logging.getLogger("vpnws")


class OpenLeases(NamedTuple):
    """The table and the leases as one process has them."""

    table: LeaseFile
    leases: Leases
    now_s: Callable[[], float]
    """Unix time as it was at the server's start, and has gone on since: nobody can set it."""


class LeaseSetup:
    """What the master makes, and every process opens for itself."""

    def __init__(
        self, loop: Loop, settings: Settings, devices: TapDevices, environment: Mapping[str, str]
    ) -> None:
        """Read what the settings say. Raises ConfigError."""
        fixed = read_fixed(_read(settings.fixed), settings.fixed, settings.pool)
        own = set(_own_addresses(settings, devices))
        self.identifiers = identifiers(settings, own) if settings.dhcp != "off" else {}
        """Those of the DHCP server, by the networks that it serves."""
        own |= {(network, each.address) for network, each in self.identifiers.items()}
        self.warning = _unreachable(settings, own) if settings.mode == "router" else ""
        """What makes the leases useless, for the operator; empty if nothing does."""
        self._plan = Plan(settings.pool, fixed, own)
        self._lease_s = settings.lease_time_s
        self.path = path_of(settings, environment)
        self._token = token_hex(8)
        self._ahead_s = loop.unix_s() - loop.now()

    def open_for(self, loop: Loop) -> OpenLeases:
        """Return the table and the leases for one process; call it in that process."""

        def now_s() -> float:
            return self._ahead_s + loop.now()

        def begin() -> None:
            leases.begin(now_s())

        table = LeaseFile(self.path, self._token, loop.now, begin)
        leases = Leases(table, self._plan, self._lease_s)
        return OpenLeases(table, leases, now_s)


def set_up_leases(
    loop: Loop, settings: Settings, devices: TapDevices, environment: Mapping[str, str]
) -> LeaseSetup | None:
    """Return what to lease of; None if there is no pool. Raises ConfigError."""
    return LeaseSetup(loop, settings, devices, environment) if settings.pool else None


def prepare(setup: LeaseSetup) -> None:
    """Before a server begins, move away a file of leases that it cannot use; say what is wrong."""
    try:
        said = put_aside_if_broken(setup.path)
    except OSError as error:
        said = f"{setup.path} cannot be looked at: {error.strerror}"
    for sentence in filter(None, (said, setup.warning)):
        log.warning("%s", sentence)


def path_of(settings: Settings, environment: Mapping[str, str]) -> str:
    """Return where the leases are. Raises ConfigError if nobody says."""
    if settings.leases:
        return settings.leases
    socket = Path(settings.socket)
    name = f"{socket.name.removesuffix('.sock') or 'vpnws'}.leases.db"
    # systemd names several with colons between them (systemd.exec(5)).
    state = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    if state:
        # One service may have several servers, as vassals, and each has a socket of its own.
        return str(Path(state) / name)
    if socket.is_absolute():
        return str(socket.parent / name)
    raise ConfigError(
        "vpnws-pool needs a file that says who leases which address: set vpnws-leases to a path"
    )


def _read(path: str) -> str:
    if not path:
        return ""
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_FIXED_BYTES + 1)
        if len(text) > MAX_FIXED_BYTES:
            raise ConfigError(f"vpnws-fixed: {path} is longer than {MAX_FIXED_BYTES} bytes")
        return text.decode()
    except OSError as error:
        raise ConfigError(f"vpnws-fixed: {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"vpnws-fixed: {path} is not text in UTF-8") from error


def _unreachable(settings: Settings, own: set[tuple[str, Address]]) -> str:
    """Return which TAP of a router has no address that stations with leased ones can reach."""
    for network, device in settings.tap:
        for pool in settings.pool:
            here = [address for name, address in own if name == network]
            if pool.network == network and not any(each in pool.subnet for each in here):
                first = pool.subnet.network_address + 1
                return (
                    f"vpnws-pool has {pool.subnet} for the network {network}, and {device} has no"
                    " address there, so stations do not reach this router: give it one in"
                    f" vpnws-exec (ip address add {first}/{pool.subnet.prefixlen} dev $VPNWS_TAP)"
                )
    return ""


def _own_addresses(settings: Settings, devices: TapDevices) -> Iterator[tuple[str, Address]]:
    """Yield the addresses that the server has in each network: at its TAP, and at its bridge."""
    for network, device in settings.tap:
        for name in filter(None, (device, devices.bridge_of(device))):
            for packed in devices.addresses_of(name):
                yield network, ip_address(packed)

"""Plans a change: looks at how the machine is, and says what will be done and how it is undone."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, assert_never

from vpnws.client.janitor import dns
from vpnws.client.janitor.changes import Address, Change, Mtu, NameServers, Pin, Route, Switch
from vpnws.client.janitor.deeds import (
    AddressDeed,
    Deed,
    MtuDeed,
    RouteDeed,
    SwitchDeed,
    path_of,
)
from vpnws.client.janitor.programs import show_device
from vpnws.client.janitor.roads import road_without

if TYPE_CHECKING:
    from vpnws.client.janitor.machine import Machine


def plan(machine: Machine, tap: str, change: Change) -> Deed | None:
    """Return the deed that makes `change` for the device `tap`.

    None if all is so already: then it is not ours to undo. Raises ChangeError if it cannot be.
    """
    match change:
        case Address():
            return _plan_address(machine, tap, change)
        case Route():
            return RouteDeed(change.destination, tap, change.gateway)
        case Pin():
            return _plan_pin(machine, tap, change)
        case Mtu():
            return _plan_mtu(machine, tap, change)
        case Switch():
            return _plan_switch(machine, tap, change)
        case NameServers():
            return dns.plan(machine, tap, change.servers)
        case _:
            assert_never(change)


def _plan_address(machine: Machine, tap: str, change: Address) -> Deed | None:
    shown = show_device(machine.runner, "address", tap)
    there = {f"{each.get('local')}/{each.get('prefixlen')}" for each in shown.get("addr_info", ())}
    if change.cidr in there:
        return None
    return AddressDeed(tap, machine.index_of(tap), change.cidr)


def _plan_pin(machine: Machine, tap: str, change: Pin) -> Deed | None:
    road = road_without(machine.runner, change.address, tap)
    host = ipaddress.ip_network(change.address).with_prefixlen
    return None if road is None else RouteDeed.along(host, road)


def _plan_mtu(machine: Machine, tap: str, change: Mtu) -> Deed | None:
    before = int(show_device(machine.runner, "link", tap).get("mtu", change.mtu_bytes))
    if before == change.mtu_bytes:
        return None
    return MtuDeed(tap, machine.index_of(tap), change.mtu_bytes, before)


def _plan_switch(machine: Machine, tap: str, change: Switch) -> Deed | None:
    try:
        before = int(path_of(machine, tap, change.name).read_text())
    except (OSError, ValueError):
        # A kernel without IPv6, or too old to have it.
        return None
    if before == change.value:
        return None
    return SwitchDeed(tap, machine.index_of(tap), change.name, change.value, before)

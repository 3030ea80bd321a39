"""Puts the device into a bridge, and nothing else: a network card is named and never touched."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.client.janitor.programs import ask_ip
from vpnws.errors import TapError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from vpnws.client.janitor.machine import Machine

DEVICES: Final = Path("/sys/class/net")
_SIGNS_OF_WIFI: Final = ("wireless", "phy80211")
_NO_WIFI: Final = (
    "a Wi-Fi card cannot be in a bridge, because its access point takes frames from its own address"
    " only: leave --bridge out, and use the server's router mode (docs/modes.md) and --route"
)
log = logging.getLogger(__name__)


def join(machine: Machine, tap: str, bridge: str, devices: Path = DEVICES) -> None:
    """Make `tap` a port of `bridge`, and say if nobody can be behind that.

    Raises TapError if there is no such bridge, ChangeError if the kernel refuses.
    """
    if not machine.index_of(bridge):
        raise TapError(
            f"there is no bridge {bridge}: make it (ip link add {bridge} type bridge), bring it up"
            f" (ip link set {bridge} up) and put the LAN's device into it"
        )
    if why := _why_no_bridge(machine, bridge, devices):
        raise TapError(f"--bridge {bridge}: that device is not a bridge; {why}")
    purpose = f"put into the bridge {bridge} the device {tap}"
    machine.change(purpose, "ip", "link", "set", "master", bridge, "dev", tap)
    for sentence in _troubles(machine, tap, bridge, devices):
        log.warning("%s", sentence)


def _why_no_bridge(machine: Machine, device: str, devices: Path) -> str:
    """Return what to do instead of taking `device` for a bridge; empty if it is one.

    If `ip` cannot say, the kernel will when the device joins it.
    """
    shown = ask_ip(machine.runner, "-details", "address", "show", "dev", device)
    if not shown or shown[0].get("linkinfo", {}).get("info_kind") == "bridge":
        return ""
    if shown[0].get("master"):
        return f"name the bridge that it is in, {shown[0]['master']}"
    if _is_wifi(device, devices):
        return _NO_WIFI
    if addresses := _addresses_in(shown[0]):
        return (
            f"and a card that has an address ({addresses[0]}) is not put into one: make a bridge,"
            " and give that the address (docs/client/network.md)"
        )
    return "make one, and put that device into it (docs/client/network.md)"


def _troubles(machine: Machine, tap: str, bridge: str, devices: Path) -> list[str]:
    """Return why nobody behind the bridge may be reached."""
    shown = ask_ip(machine.runner, "address", "show", "master", bridge)
    if shown is None:
        return []
    ports = [each for each in shown if each.get("ifname") != tap]
    if not ports:
        has_wifi = any(_is_wifi(path.name, devices) for path in devices.glob("*"))
        hint = f"; {_NO_WIFI}" if has_wifi else f" (ip link set eth0 master {bridge})"
        return [f"nothing but {tap} is in {bridge}: put the LAN's card into it{hint}"]
    return [
        f"{each['ifname']} is in {bridge} and has the address {addresses[0]}, which does not work"
        f" there: give it to {bridge} (ip address del {addresses[0]} dev {each['ifname']}; ip"
        f" address add {addresses[0]} dev {bridge})"
        for each in ports
        if (addresses := _addresses_in(each))
    ]


def _addresses_in(shown: Mapping[str, Any]) -> list[str]:
    """Return the addresses of a device, without those that every device has."""
    return [
        f"{each['local']}/{each['prefixlen']}"
        for each in shown.get("addr_info", ())
        if each.get("scope") != "link" and "local" in each
    ]


def _is_wifi(device: str, devices: Path) -> bool:
    return any((devices / device / sign).exists() for sign in _SIGNS_OF_WIFI)

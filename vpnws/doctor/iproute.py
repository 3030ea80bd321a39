"""Reads what iproute2 prints as JSON: devices, their bridges and addresses, and learned MACs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from vpnws.doctor.facts import Bridge, Device

if TYPE_CHECKING:
    from collections.abc import Mapping

SHOW_DEVICES: Final = ("ip", "-json", "-details", "-statistics", "address", "show")
SHOW_LEARNED: Final = ("bridge", "-json", "fdb", "show")
MAX_DEVICES: Final = 4096
"""Devices that are looked at; a host with more shows the first ones."""
_FILTERED: Final = ("ip", "ip6", "arp")
_CENTISECONDS: Final = 100


def read_devices(text: bytes) -> dict[str, Device]:
    """Read the output of SHOW_DEVICES, as name -> device. Raises ValueError."""
    return {each.name: each for each in map(_device, _entries(text)[:MAX_DEVICES])}


def read_learned(text: bytes) -> dict[str, int]:
    """Read the output of SHOW_LEARNED: device -> how many MACs were learned. Raises ValueError."""
    counts: dict[str, int] = {}
    for entry in _entries(text):
        # One that an admin or the kernel has entered has a state, such as permanent.
        if entry.get("master") and not entry.get("state"):
            name = str(entry.get("ifname", ""))
            counts[name] = counts.get(name, 0) + 1
    return counts


def _entries(text: bytes) -> list[dict[str, Any]]:
    # iproute2 prints an empty object for a device that it was not asked for.
    found = msgspec.json.decode(text or b"[]", type=list[dict[str, Any]])
    return [entry for entry in found if entry]


def _device(entry: Mapping[str, Any]) -> Device:
    link = entry.get("linkinfo", {})
    kind = str(link.get("info_kind", ""))
    stats = entry.get("stats64", {})
    return Device(
        name=str(entry["ifname"]),
        mtu_bytes=int(entry["mtu"]),
        is_up="UP" in entry.get("flags", ()),
        kind=kind,
        master=str(entry.get("master", "")),
        port_state=str(link.get("info_slave_data", {}).get("state", "")),
        addresses=tuple(
            f"{each['local']}/{each['prefixlen']}"
            for each in entry.get("addr_info", ())
            if each.get("scope") != "link" and "local" in each
        ),
        rx_frames=int(stats.get("rx", {}).get("packets", 0)),
        tx_frames=int(stats.get("tx", {}).get("packets", 0)),
        bridge=_bridge(link.get("info_data", {})) if kind == "bridge" else None,
    )


def _bridge(data: Mapping[str, Any]) -> Bridge:
    return Bridge(
        has_stp=data.get("stp_state", 0) != 0,
        forward_delay_s=data.get("forward_delay", 0) / _CENTISECONDS,
        filters=frozenset(kind for kind in _FILTERED if data.get(f"nf_call_{kind}tables")),
    )

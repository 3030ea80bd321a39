"""What the server asks of the machine's TAP devices, so that a test can pass in its own."""

from __future__ import annotations

from typing import Protocol

from vpnws.tap.contract import Tap
from vpnws.wire.ethernet import parse_mac


class MachineTap(Tap, Protocol):
    """A Tap that can outlive its descriptor and belong to a user."""

    def set_owner(self, uid: int) -> None:
        """Let the user `uid` open the device without privileges. Raises TapError."""

    def set_persistent(self, persistent: bool) -> None:
        """Have the device outlive its descriptors, or not. Raises TapError."""


class TapDevices(Protocol):
    """The network devices of a machine; the module `vpnws.tap.linux` has those of this one."""

    def open_tap(self, name: str, *, create: bool = True, offload: bool = False) -> MachineTap:
        """Open the TAP `name`; with `create`, make it if it does not exist.

        With `offload` each frame has a virtio header. Raises TapPermissionError if this user may
        not, TapError for everything else.
        """

    def exists(self, name: str) -> bool:
        """Return whether there is a network device `name`."""

    def is_up(self, name: str) -> bool:
        """Return whether there is a network device `name` and it is administratively up."""

    def read_mac(self, name: str) -> str:
        """Return the MAC of the device `name` as text, empty when there is no such device."""

    def bridge_of(self, name: str) -> str:
        """Return the name of the bridge that the device `name` is a port of, empty if of none."""

    def addresses_of(self, device: str) -> list[bytes]:
        """Return the IPv4 and IPv6 addresses of `device`, as 4 or 16 bytes each."""

    def forwards_ipv6(self, device: str) -> bool:
        """Return whether the machine is a router for IPv6 on `device`."""

    def mark_as_ours(self, name: str) -> None:
        """Mark the device as made by us, so that we may remove it at the end. Raises TapError."""

    def release(self, name: str) -> None:
        """Remove a device that we made; leave any other alone. Raises TapError."""


def own_macs(devices: TapDevices, device: str) -> list[bytes]:
    """Return the MACs that the server has at the TAP `device`: its own, and its bridge's."""
    texts = (devices.read_mac(name) for name in (device, devices.bridge_of(device)) if name)
    return [mac for mac in map(parse_mac, texts) if mac is not None]

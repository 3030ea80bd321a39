"""A machine's TAP devices in memory: made, opened, kept and removed without root."""

from __future__ import annotations

from dataclasses import dataclass

from vpnws.errors import TapBusyError, TapError, TapPermissionError
from vpnws.tap.memory import DEFAULT_MAC, MemoryTap
from vpnws.wire.ethernet import format_mac


@dataclass
class Device:
    """One TAP of the machine, open or not."""

    mac: bytes = DEFAULT_MAC
    is_up: bool = False
    is_persistent: bool = False
    is_ours: bool = False
    owner: int | None = None
    bridge_mac: bytes | None = None
    can_offload: bool = True
    opened: FakeTap | None = None


class FakeTap(MemoryTap):
    """A TAP in memory that is a device of a machine."""

    def __init__(self, name: str, device: Device, machine: FakeDevices, *, has_vnet: bool) -> None:
        super().__init__(name, mac=device.mac, has_vnet=has_vnet, can_offload=device.can_offload)
        self.is_up = device.is_up
        self._device = device
        self._machine = machine
        device.opened = self

    def up(self) -> None:
        """Bring the device up; it stays so."""
        super().up()
        self._device.is_up = True

    def set_owner(self, uid: int) -> None:
        """Note whom the device belongs to."""
        self._device.owner = uid

    def set_persistent(self, persistent: bool) -> None:
        """Note whether the device stays when it is closed."""
        self._device.is_persistent = persistent

    def close(self) -> None:
        """Close the device; one that does not persist is gone then."""
        super().close()
        if self._device.opened is self:
            self._device.opened = None
            if not self._device.is_persistent:
                self._machine.devices.pop(self.name, None)


class FakeDevices:
    """A `TapDevices`. `may_open` is what this user may open; root may open every device."""

    def __init__(self, *, may_open: bool = True) -> None:
        self.devices: dict[str, Device] = {}
        self.may_open = may_open
        self.addresses: dict[str, list[bytes]] = {}
        """The addresses of devices and bridges by name, as an admin gives them."""

    def make(self, name: str, **facts: object) -> Device:
        """Make a device as an admin would: it is up and stays."""
        device = Device(is_up=True, is_persistent=True, **facts)  # type: ignore[arg-type]
        self.devices[name] = device
        return device

    def opened(self, name: str) -> FakeTap:
        """Return the open TAP `name`, whose host's side the test has."""
        tap = self.devices[name].opened
        assert tap is not None, f"nobody has opened {name}"
        return tap

    def delete(self, name: str) -> None:
        """Delete a device, open or not."""
        device = self.devices.pop(name)
        if device.opened is not None:
            device.opened.host_delete()

    def open_tap(self, name: str, *, create: bool = True, offload: bool = False) -> FakeTap:
        """Open the TAP `name`, and make it if need be and `create`."""
        if not self.may_open:
            raise TapPermissionError(f"no permission to open the TAP device {name}")
        if name not in self.devices and not create:
            raise TapError(f"there is no TAP device {name}")
        device = self.devices.setdefault(name, Device())
        if device.opened is not None:
            raise TapBusyError(f"the TAP device {name} is in use by another process")
        return FakeTap(name, device, self, has_vnet=offload)

    def exists(self, name: str) -> bool:
        """Return whether there is a device `name`."""
        return name in self.devices

    def is_up(self, name: str) -> bool:
        """Return whether there is a device `name` and it is up."""
        return name in self.devices and self.devices[name].is_up

    def read_mac(self, name: str) -> str:
        """Return the MAC of a device, or of a bridge of one, as text."""
        for there, device in self.devices.items():
            if name == there:
                return format_mac(device.opened.mac if device.opened else device.mac)
            if device.bridge_mac is not None and name == _bridge(there):
                return format_mac(device.bridge_mac)
        return ""

    def bridge_of(self, name: str) -> str:
        """Return the name of the device's bridge, empty if it has none."""
        device = self.devices.get(name)
        return _bridge(name) if device is not None and device.bridge_mac is not None else ""

    def addresses_of(self, device: str) -> list[bytes]:
        """Return the addresses that a device or a bridge was given."""
        return list(self.addresses.get(device, []))

    def forwards_ipv6(self, device: str) -> bool:
        """Return True: the machine is a router."""
        return True

    def mark_as_ours(self, name: str) -> None:
        """Note that the server made the device."""
        self.devices[name].is_ours = True

    def release(self, name: str) -> None:
        """Remove a device that the server made."""
        if name in self.devices and self.devices[name].is_ours:
            tap = self.open_tap(name, create=False)
            tap.set_persistent(False)
            tap.close()


def _bridge(name: str) -> str:
    return f"bridge-of-{name}"

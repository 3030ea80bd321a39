"""An open device of Linux's TUN/TAP driver, by python-pytun; imported only where that is there."""

from __future__ import annotations

import pytun


class PytunDevice:
    """A TunDevice of python-pytun, whose errors are OSErrors with the kernel's errno."""

    def __init__(self, name: str, flags: int) -> None:
        """Open the device `name`; make it if there is none. Raises OSError."""
        self._device = pytun.TunTapDevice(name=name, flags=flags)
        self.name = self._device.name
        self.fileno = self._device.fileno
        self.up = self._device.up
        self.persist = self._device.persist
        self.close = self._device.close

    def set_mac(self, mac: bytes) -> None:
        """Give the device the 6-byte `mac`. Raises OSError."""
        self._device.hwaddr = mac

    def set_mtu(self, mtu_bytes: int) -> None:
        """Set the device's MTU. Raises OSError."""
        self._device.mtu = mtu_bytes

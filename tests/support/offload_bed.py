"""A kernel that cuts and completes records: what is written to one TAP comes out of another.

                                          +--- gso1 (offloads off)  --> frames
    records --> gso0 (IFF_VNET_HDR) --- br0
                                          +--- gso2 (IFF_VNET_HDR)  --> records

The bridge floods what comes from `gso0` to the other two. `gso1` has no offload, so the kernel
first does the work that the record left, by its software segmentation (GSO). `gso2` gets the record
as the kernel writes it. Everything is in a namespace of its own.
"""

from __future__ import annotations

import fcntl
import os
import struct

import pytun

from .assembly import Assembly
from .netns import Namespace, make_bridge
from .waiting import becomes_readable

VNET_BYTES = 10
ALL_OFFLOADS = 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40
"""TUN_F_CSUM, TSO4, TSO6, TSO_ECN, USO4, USO6."""
_IFF_VNET_HDR = 0x4000
_TUNSETOFFLOAD = 0x400454D0
_TUNSETVNETLE = 0x400454DC
_READ_BYTES = 1 << 17
_MTU_BYTES = 65521


def open_tap(name: str, flags: int = 0) -> pytun.TunTapDevice:
    """Open a TAP that does not block; `flags` are more flags of TUNSETIFF."""
    device = pytun.TunTapDevice(name=name, flags=pytun.IFF_TAP | pytun.IFF_NO_PI | flags)
    os.set_blocking(device.fileno(), False)
    return device


def open_vnet_tap(name: str, offloads: int = ALL_OFFLOADS) -> pytun.TunTapDevice:
    """Open a TAP whose frames carry a little-endian virtio_net_hdr of 10 bytes each way."""
    device = open_tap(name, _IFF_VNET_HDR)
    fcntl.ioctl(device.fileno(), _TUNSETVNETLE, struct.pack("i", 1))
    fcntl.ioctl(device.fileno(), _TUNSETOFFLOAD, offloads)
    return device


class OffloadBed(Assembly):
    """The two TAPs and the bridge above, for as long as the `with` block lasts."""

    def __init__(self) -> None:
        self.namespace = Namespace("gso")

    def build(self) -> None:
        """Make the namespace, its devices and the bridge that joins them."""
        namespace = self.parts.enter_context(self.namespace)
        # Only frames that a test writes go over these devices.
        namespace.run("sysctl -qw net.ipv6.conf.default.disable_ipv6=1")
        self._in = namespace.call(lambda: open_vnet_tap("gso0"))
        self._out = namespace.call(lambda: open_tap("gso1"))
        self._again = namespace.call(lambda: open_vnet_tap("gso2"))
        for tap in (self._in, self._out, self._again):
            self.parts.callback(tap.close)
        for name in ("gso0", "gso1", "gso2"):
            namespace.ip(f"link set {name} mtu {_MTU_BYTES} up")
        make_bridge(namespace, "gso0", "gso1", "gso2")

    def cut(self, vnet: bytes, frame: bytes, count: int, wait_s: float = 2.0) -> list[bytes]:
        """Hand a record to the kernel and return the `count` frames it makes of it, or fewer when
        it makes none for `wait_s` seconds. Raises `OSError` when it does not take the record.
        """
        self._write(vnet + frame)
        frames: list[bytes] = []
        while len(frames) < count and (one := _read(self._out, wait_s)):
            frames.append(one)
        return frames + [one for one in [_read(self._out)] if one]

    def hand_on(self, vnet: bytes, frame: bytes, wait_s: float = 2.0) -> tuple[bytes, bytes]:
        """Give the kernel a record; return the record that comes out, empty if none does."""
        self._write(vnet + frame)
        record = _read(self._again, wait_s)
        return record[:VNET_BYTES], record[VNET_BYTES:]

    def _write(self, record: bytes) -> None:
        while _read(self._out) or _read(self._again):
            pass
        os.write(self._in.fileno(), record)


def _read(tap: pytun.TunTapDevice, wait_s: float = 0) -> bytes:
    """Return what can be read, empty when nothing comes in time."""
    there = becomes_readable(tap.fileno(), wait_s)
    return os.read(tap.fileno(), _READ_BYTES) if there else b""

"""A kernel that cuts and completes records: what is written to one TAP comes out of another.

    records --> gso0 (IFF_VNET_HDR) --- br0 --- gso1 (offloads off) --> frames

The bridge gives what comes from `gso0` to `gso1`. That one can do nothing by itself, so the kernel
does what the record left to be done before: its own software segmentation (GSO). Everything stands
in a namespace of its own.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import pytun

from .netns import Namespace

if TYPE_CHECKING:
    from types import TracebackType

VNET_BYTES = 10
ALL_OFFLOADS = 0x01 | 0x02 | 0x04 | 0x08 | 0x20 | 0x40
"""TUN_F_CSUM, TSO4, TSO6, TSO_ECN, USO4, USO6."""
_IFF_VNET_HDR = 0x4000
_TUNSETOFFLOAD = 0x400454D0
_TUNSETVNETLE = 0x400454DC
_READ_BYTES = 1 << 17
_MTU_BYTES = 65521


def open_vnet_tap(name: str, offloads: int = ALL_OFFLOADS) -> pytun.TunTapDevice:
    """Open a TAP whose frames carry a little-endian virtio_net_hdr of 10 bytes each way."""
    device = pytun.TunTapDevice(name=name, flags=pytun.IFF_TAP | pytun.IFF_NO_PI | _IFF_VNET_HDR)
    fcntl.ioctl(device.fileno(), _TUNSETVNETLE, struct.pack("i", 1))
    fcntl.ioctl(device.fileno(), _TUNSETOFFLOAD, offloads)
    os.set_blocking(device.fileno(), False)
    return device


class OffloadBed:
    """The two TAPs and the bridge above, for as long as the `with` block lasts."""

    def __init__(self) -> None:
        self.namespace = Namespace("gso")
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            namespace = stack.enter_context(self.namespace)
            # Nothing but what is written goes over these devices.
            namespace.run("sysctl -qw net.ipv6.conf.default.disable_ipv6=1")
            self._in = namespace.call(lambda: open_vnet_tap("gso0"))
            stack.callback(self._in.close)
            self._out = namespace.call(
                lambda: pytun.TunTapDevice(name="gso1", flags=pytun.IFF_TAP | pytun.IFF_NO_PI)
            )
            stack.callback(self._out.close)
            os.set_blocking(self._out.fileno(), False)
            namespace.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
            for name in ("gso0", "gso1"):
                namespace.ip(f"link set {name} mtu {_MTU_BYTES} master br0 up")
            namespace.ip("link set br0 up")
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def cut(self, vnet: bytes, frame: bytes, count: int, wait_s: float = 2.0) -> list[bytes]:
        """Hand a record to the kernel and return the `count` frames it makes of it, or fewer when
        it makes none for `wait_s` seconds. Raises `OSError` when it does not take the record.
        """
        while self._read():
            pass
        os.write(self._in.fileno(), vnet + frame)
        frames: list[bytes] = []
        while len(frames) < count and select.select([self._out.fileno()], [], [], wait_s)[0]:
            frames.append(self._read())
        return frames + [one for one in [self._read()] if one]

    def _read(self) -> bytes:
        try:
            return os.read(self._out.fileno(), _READ_BYTES)
        except BlockingIOError:
            return b""

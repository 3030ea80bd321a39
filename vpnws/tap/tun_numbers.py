"""The numbers of Linux's TUN/TAP driver: flags, and ioctls as each kind of machine encodes them."""

from __future__ import annotations

import os
from typing import Final

IFF_TUN: Final = 0x0001
IFF_TAP: Final = 0x0002
IFF_MULTI_QUEUE: Final = 0x0100
IFF_NO_PI: Final = 0x1000
IFF_VNET_HDR: Final = 0x4000
"""Flags of TUNSETIFF and TUNGETIFF (linux/if_tun.h)."""
CHECKSUM_AND_TCP: Final = 0x1 | 0x2 | 0x4 | 0x8
"""TUN_F_CSUM, _TSO4, _TSO6 and _TSO_ECN."""
UDP: Final = 0x20 | 0x40
"""TUN_F_USO4 and _USO6, which Linux has since 6.2."""
_FOUR_BYTES: Final = 4 << 16
_OTHER_DIRECTIONS: Final = ("mips", "ppc", "sparc", "alpha")
"""Machines whose ioctl numbers have three bits for the direction (their asm/ioctl.h)."""


def to_kernel(number: int, machine: str) -> int:
    """Return the ioctl `number` of the driver that gives the kernel 4 bytes, on `machine`.

    `machine` is what uname calls it.
    """
    direction = 0x8000_0000 if machine.startswith(_OTHER_DIRECTIONS) else 0x4000_0000
    return direction | _FOUR_BYTES | ord("T") << 8 | number


def from_kernel(number: int, machine: str) -> int:
    """Return the ioctl `number` of the driver by which the kernel gives 4 bytes, on `machine`."""
    direction = 0x4000_0000 if machine.startswith(_OTHER_DIRECTIONS) else 0x8000_0000
    return direction | _FOUR_BYTES | ord("T") << 8 | number


_HERE: Final = os.uname().machine
TUNSETIFF: Final = to_kernel(202, _HERE)
TUNSETPERSIST: Final = to_kernel(203, _HERE)
TUNSETOWNER: Final = to_kernel(204, _HERE)
TUNSETOFFLOAD: Final = to_kernel(208, _HERE)
TUNGETIFF: Final = from_kernel(210, _HERE)
TUNSETVNETHDRSZ: Final = to_kernel(216, _HERE)
TUNSETVNETLE: Final = to_kernel(220, _HERE)

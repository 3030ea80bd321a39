"""Asks the kernel how a network device of our own namespace is (netdevice(7)).

/sys shows the devices of the namespace in which it was mounted, which need not be ours.
"""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from dataclasses import dataclass
from typing import Final

from vpnws.tap.tun_numbers import TUNGETIFF

_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFMTU: Final = 0x8921
_SIOCGIFHWADDR: Final = 0x8927
_SIOCGIFINDEX: Final = 0x8933
_ASKED: Final = (_SIOCGIFINDEX, _SIOCGIFHWADDR, _SIOCGIFMTU, _SIOCGIFFLAGS)
IFF_UP: Final = 1
_IFF_RUNNING: Final = 0x40
_NAME_BYTES: Final = 16
IFREQ: Final = struct.Struct("16s24x")
"""A struct ifreq: a device's name, then what is asked for."""
_FLAGS: Final = struct.Struct("=H")
_NUMBER: Final = struct.Struct("=i")
_MAC: Final = slice(_NAME_BYTES + 2, _NAME_BYTES + 8)


@dataclass(frozen=True, slots=True)
class NetDevice:
    """How a device is."""

    index: int
    """Its number, which stays the same when it is renamed."""
    mac: bytes
    mtu_bytes: int
    is_up: bool


def ask(name: str) -> NetDevice | None:
    """Return how the device `name` is, None if there is none. Raises OSError."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            index, mac, mtu, flags = (fcntl.ioctl(sock, code, _request(name)) for code in _ASKED)
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise
    return NetDevice(
        index=_NUMBER.unpack_from(index, _NAME_BYTES)[0],
        mac=mac[_MAC],
        mtu_bytes=_NUMBER.unpack_from(mtu, _NAME_BYTES)[0],
        is_up=bool(_FLAGS.unpack_from(flags, _NAME_BYTES)[0] & IFF_UP),
    )


def is_running(name: str) -> bool:
    """Return whether the device `name` is up and its cable is in, or what is like a cable."""
    try:
        return bool(flags_of(name) & _IFF_RUNNING)
    except OSError:
        return False


def flags_of(name: str) -> int:
    """Return the flags of the device `name`, IFF_UP among them. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, _request(name))
    return int(_FLAGS.unpack_from(answer, _NAME_BYTES)[0])


def ask_tap(fd: int) -> tuple[str, bytes]:
    """Return name and MAC of the TAP that `fd` has open, in whichever namespace it is.

    Raises OSError, with DELETED_ERROR of the contract once the device is deleted.
    """
    name, mac = (fcntl.ioctl(fd, code, _request("")) for code in (TUNGETIFF, _SIOCGIFHWADDR))
    return name_in(name), mac[_MAC]


def ask_flags(fd: int) -> tuple[str, int]:
    """Return name and flags (linux/if_tun.h) of the device that `fd` has open. Raises OSError."""
    answer = fcntl.ioctl(fd, TUNGETIFF, _request(""))
    return name_in(answer), int(_FLAGS.unpack_from(answer, _NAME_BYTES)[0])


def name_in(request: bytes) -> str:
    """Return the device that a struct ifreq names."""
    return request[:_NAME_BYTES].partition(b"\0")[0].decode(errors="replace")


def _request(name: str) -> bytes:
    """Return a struct ifreq that names a device."""
    return IFREQ.pack(name.encode())

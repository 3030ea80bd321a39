"""The TAP devices of this machine: made, opened, looked up by name, kept and released."""

from __future__ import annotations

import errno
import fcntl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.errors import TapError
from vpnws.tap import addresses, netdevice
from vpnws.tap.driver import check_driver, explain_missing
from vpnws.tap.linux_errors import explained
from vpnws.tap.linux_tap import LinuxTap
from vpnws.tap.tun_device import open_tun
from vpnws.tap.tun_numbers import (
    IFF_MULTI_QUEUE,
    IFF_NO_PI,
    IFF_TAP,
    IFF_TUN,
    IFF_VNET_HDR,
    TUNSETVNETHDRSZ,
    TUNSETVNETLE,
)
from vpnws.wire.ethernet import format_mac
from vpnws.wire.records import VNET_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.tap.tun_device import TunDevice

_DEVICES: Final = Path("/sys/class/net")
_OURS: Final = "vpnws"
_TUN: Final = "is a TUN device, which carries no Ethernet frames"
_OTHER_KINDS: Final = (
    (IFF_TAP | IFF_MULTI_QUEUE, "was made with several queues (multi_queue)"),
    *((IFF_TUN, _TUN), (IFF_TUN | IFF_MULTI_QUEUE, _TUN)),
)
"""Flags with which a device can be opened that is no TAP of ours, and what it is then."""
_NOT_IN_NAMES: Final = frozenset(b"/:% \t\n\v\f\r\xa0")
"""The kernel takes the byte A0, which occurs in UTF-8, for a space."""
MAX_NAME_BYTES: Final = 15
"""A longer device name is refused: IFNAMSIZ without its final zero byte."""


addresses_of: Final = addresses.addresses_of
forwards_ipv6: Final = addresses.forwards_ipv6


def is_device_name(text: str) -> bool:
    """Return whether Linux takes `text` as a name for a network device (dev_valid_name).

    One `%d` in it stands for a number.
    """
    name = text.encode()
    if not 0 < len(name) <= MAX_NAME_BYTES or name in (b".", b".."):
        return False
    return not _NOT_IN_NAMES.intersection(name.replace(b"%d", b"", 1))


def no_device_name(text: str) -> str:
    """Return the sentence that refuses `text` as a name for a network device."""
    return (
        f"{text!r} cannot name a device: use 1 to {MAX_NAME_BYTES} bytes, no spaces, no '/' or ':',"
        " and '%' only in one %d, which the kernel replaces by a number"
    )


def exists(name: str) -> bool:
    """Return whether there is a network device `name` in our namespace."""
    return netdevice.ask(name) is not None


def read_mac(name: str) -> str:
    """Return the MAC of the network device `name` as text; empty if there is no such device."""
    try:
        found = netdevice.ask(name)
    except OSError:
        return ""
    return "" if found is None else format_mac(found.mac)


def bridge_of(name: str) -> str:
    """Return the name of the bridge that the device `name` is a port of; empty if of none."""
    try:
        return (_DEVICES / name / "master").readlink().name
    except OSError:
        return ""


def is_up(name: str) -> bool:
    """Return whether there is a network device `name` and it is administratively up."""
    try:
        found = netdevice.ask(name)
    except OSError:
        return False
    return found is not None and found.is_up


def mark_as_ours(name: str) -> None:
    """Mark the device as ours, so that the server may remove it at its end. Raises TapError."""
    try:
        (_DEVICES / name / "ifalias").write_text(_OURS)
    except FileNotFoundError as error:
        raise TapError(
            f"/sys shows another network namespace than the one with {name}: enter it with ip netns"
            " exec, which mounts /sys anew, or run mount -t sysfs sysfs /sys in it"
        ) from error
    except OSError as error:
        raise explained(error, name, "mark") from error


def release(name: str) -> None:
    """Have a device of ours go away with its last descriptor; leave any other alone.

    Raises TapError if it is ours and may not be opened.
    """
    try:
        ours = (_DEVICES / name / "ifalias").read_text().strip() == _OURS
    except OSError:
        return
    if ours:
        tap = open_tap(name, create=False)
        tap.set_persistent(False)
        tap.close()


def open_tap(
    name: str,
    *,
    create: bool = True,
    offload: bool = False,
    tun: Callable[[str, int], TunDevice] = open_tun,
) -> LinuxTap:
    """Open the TAP device `name` by `tun`, and create it if there is none.

    The kernel replaces a `%d` in the name by a number. Without `create` the device must exist. With
    `offload` each frame has a virtio header (`has_vnet`), and `set_offload` can turn offload on,
    which is off at first.

    Raises TapPermissionError without CAP_NET_ADMIN, TapBusyError when another process holds the
    device, TapError for everything else, each with a sentence that says what to do.
    """
    if not is_device_name(name):
        raise TapError(no_device_name(name))
    check_driver()
    if not create and not exists(name):
        raise TapError(f"there is no TAP device {name}: make it (ip tuntap add {name} mode tap)")
    flags = IFF_TAP | IFF_NO_PI | (IFF_VNET_HDR if offload else 0)
    try:
        device = tun(name, flags)
    except OSError as error:
        if error.errno == errno.EINVAL and (kind := _other_kind(name, tun)):
            raise TapError(f"the device {name} {kind}") from error
        raise explain_missing(error) or explained(error, name, "open") from error
    return adopt(device, has_vnet=offload)


def adopt(device: TunDevice, *, has_vnet: bool) -> LinuxTap:
    """Return the TAP that `device` has open without packet information; close it on failure.

    `has_vnet` says whether it was opened with virtio headers. Raises TapError.
    """
    try:
        tap = LinuxTap(device, has_vnet=has_vnet)
        if has_vnet:
            _agree_on_header(tap.fd)
    except OSError as error:
        device.close()
        raise explained(error, device.name, "open") from error
    # A persistent device, or an inherited one, may still be as another program left it.
    tap.set_offload(on=False)
    return tap


def _other_kind(name: str, tun: Callable[[str, int], TunDevice]) -> str:
    """Return what the device `name` is that is no TAP, and what to do; empty if it may be one.

    The kernel refuses flags of another kind with EINVAL before it looks at anything else.
    """
    if not exists(name):
        return ""
    for flags, what in _OTHER_KINDS:
        try:
            tun(name, flags | IFF_NO_PI).close()
        except OSError as error:
            if error.errno == errno.EINVAL:
                continue
        return f"{what}: delete it (ip link delete {name}), or name another"
    return "exists already and is no TAP: name another, such as tap0"


def _agree_on_header(fd: int) -> None:
    """Have virtio headers of 10 bytes, little-endian on every machine. Raises OSError."""
    fcntl.ioctl(fd, TUNSETVNETHDRSZ, VNET_BYTES.to_bytes(4, sys.byteorder))
    fcntl.ioctl(fd, TUNSETVNETLE, (1).to_bytes(4, sys.byteorder))

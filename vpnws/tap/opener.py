"""Opens the device that a text names: a TAP of Linux or BSD, a descriptor, a virtual machine."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from vpnws.errors import ConfigError, TapError
from vpnws.tap import bsd, qemu, rtnetlink
from vpnws.tap.contract import DeviceEvents
from vpnws.tap.headed import HeadedTap
from vpnws.tap.inherited import open_inherited
from vpnws.tap.linux import exists, is_device_name, no_device_name, open_tap

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.tap.contract import Tap

_INHERITED: Final = re.compile("fd:([0-9]{1,7})")


class Kind(Enum):
    """What a text names."""

    NAMED = "a TAP of Linux"
    INHERITED = "a TAP of Linux that the parent process has opened"
    BSD = "a TAP of FreeBSD or macOS"
    GUEST = "a virtual machine"


class ClosableEvents(DeviceEvents, Protocol):
    """DeviceEvents that can be closed."""

    def close(self) -> None:
        """Close the descriptors."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A device that was opened, and what goes with it."""

    tap: Tap
    events: ClosableEvents
    is_new: bool
    """Whether it was made just now, so that nobody has given it a MAC of its own."""
    keep: Callable[[], None]
    """Has the device stay when the program ends. Raises TapError if it cannot."""

    def close(self) -> None:
        """Close the device and its events."""
        self.tap.close()
        self.events.close()


def kind_of(text: str) -> Kind:
    """Return what `text` names. Raises ConfigError if it can be no device."""
    if text.startswith(qemu.PREFIX):
        return Kind.GUEST
    if text.startswith("fd:"):
        if _INHERITED.fullmatch(text) is None:
            raise ConfigError(f"TAP {text!r} is not fd: and the number of a descriptor, like fd:3")
        return Kind.INHERITED
    if text.startswith("/dev/"):
        return Kind.BSD
    if not is_device_name(text):
        raise ConfigError(no_device_name(text))
    return Kind.NAMED


def open_device(text: str, *, offload: bool = False) -> Opened:
    """Open the device that `text` names; a TAP of Linux is made if there is none.

    With `offload` the device has virtio headers: those of the kernel where it can, else our own.
    Raises ConfigError, TapError (TapPermissionError and TapBusyError among them).
    """
    return _OPENERS[kind_of(text)](text, offload)


def _open_named(name: str, offload: bool) -> Opened:
    is_new = not exists(name)
    tap = open_tap(name, offload=offload)
    keep = partial(tap.set_persistent, persistent=True)
    return Opened(tap, rtnetlink.open_events(), is_new, keep)


def _open_inherited(text: str, offload: bool) -> Opened:
    tap = open_inherited(int(text.partition(":")[2]))
    return Opened(
        _headed(tap, offload), rtnetlink.open_events(), False, lambda: tap.set_persistent(True)
    )


def _open_bsd(path: str, offload: bool) -> Opened:
    if sys.platform == "linux":
        raise TapError(f"{path} is for FreeBSD and macOS: on Linux, name the device, like tap0")
    # Its interface stays anyway.
    return Opened(_headed(bsd.open_bsd(path), offload), rtnetlink.NoEvents(), False, lambda: None)


def _open_guest(text: str, offload: bool) -> Opened:
    tap = qemu.QemuTap(text.removeprefix(qemu.PREFIX))
    return Opened(_headed(tap, offload), tap.events, True, _cannot_keep)


def _headed(tap: Tap, offload: bool) -> Tap:
    """Return `tap`, with virtio headers if `offload` wants them and it has none."""
    return HeadedTap(tap) if offload and not tap.has_vnet else tap


def _cannot_keep() -> None:
    raise TapError("a virtual machine's socket cannot stay when the program ends")


_OPENERS: Final = {
    Kind.NAMED: _open_named,
    Kind.INHERITED: _open_inherited,
    Kind.BSD: _open_bsd,
    Kind.GUEST: _open_guest,
}

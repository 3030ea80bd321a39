"""Opens the TAP and sets it up: MAC, MTU, queue, bridge; iproute2 does what TAP calls cannot do."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from vpnws.client.janitor.machine import ChangeError, Machine
from vpnws.client.janitor.programs import show_device
from vpnws.client.system.bridge import join
from vpnws.client.system.mac import MACHINE_ID, default_mac, machine_name
from vpnws.errors import TapError, TapPermissionError
from vpnws.tap import opener
from vpnws.tap.linux import exists
from vpnws.tap.linux_errors import commands_to_make
from vpnws.tap.opener import Kind, Opened, kind_of
from vpnws.wire.ethernet import format_mac
from vpnws.wire.offload import MAX_SEGMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.client.settings import ClientSettings
    from vpnws.tap.contract import Tap

TX_QUEUE_FRAMES: Final = 256
"""Frames that the kernel may queue for us; it drops further ones. A longer queue would only add
latency under load."""
MIN_IPV6_MTU_BYTES: Final = 1280
"""The smallest MTU with which a device can have IPv6 (RFC 8200 section 5)."""
log = logging.getLogger(__name__)


def open_device(settings: ClientSettings) -> Opened:
    """Open the device that `settings` name, and make a TAP of Linux if there is none.

    Raises TapError; without permission, the sentence also says how root makes it for this user.
    """
    name = settings.tap_name
    if kind_of(name) is not Kind.NAMED:
        return opener.open_device(name, offload=settings.offload)
    # The user root that has no CAP_NET_ADMIN is nobody to make a device for.
    user = str(os.geteuid() or "")
    commands = commands_to_make(name, user, exists=exists(name)) if user else ""
    with _or_by_root(commands):
        return opener.open_device(name, offload=settings.offload)


def as_tap_error(error: ChangeError) -> TapError:
    """Return what ends the program when the device cannot be set up because of `error`."""
    return (TapPermissionError if error.lacks_permission else TapError)(str(error))


@contextmanager
def _or_by_root(commands: str) -> Iterator[None]:
    """Add to a lack of permission the `commands` by which root can do the same; empty for none."""
    try:
        yield
    except TapPermissionError as error:
        if not commands:
            raise
        raise TapPermissionError(f"{error}; or have root type: {commands}") from error


def set_up(tap: Tap, settings: ClientSettings, *, is_new: bool) -> None:
    """Configure `tap` as `settings` say and bring it up; one that `is_new` gets a MAC anyway.

    Raises TapError (TapPermissionError among them) with a sentence that says what to do.
    """
    if not tap.state().is_here:
        _refuse_elsewhere(tap, settings)
        return
    mac = settings.mac
    if mac is None and is_new:
        mac = default_mac(settings, tap.name, machine_name())
        if mac is None:
            log.info(
                "this machine has no %s, so the MAC of %s is a new one at each start: see --mac",
                *(MACHINE_ID, tap.name),
            )
    if mac is not None:
        with _or_by_root(f"ip link set {tap.name} address {format_mac(mac)}"):
            tap.set_mac(mac)
    with _or_by_root(f"ip link set {tap.name} mtu {settings.mtu_bytes}"):
        tap.set_mtu(settings.mtu_bytes)
    if tap.is_interface:
        _set_up_interface(tap, settings)


def _refuse_elsewhere(tap: Tap, settings: ClientSettings) -> None:
    """Raise TapError if `settings` want something of a device in another network namespace.

    Only an inherited one can be there at the start; whoever has put it there sets it up there.
    """
    if settings.mac is not None or settings.addresses or settings.bridge:
        raise TapError(
            f"{tap.name} is in another network namespace, where the client cannot set it up: leave"
            " out --mac, --address and --bridge, and do it there (ip -n NAMESPACE ...)"
        )


def _set_up_interface(tap: Tap, settings: ClientSettings) -> None:
    """Do what needs a network interface of this machine: queue, bridge, up."""
    machine = Machine()
    try:
        if machine.runner.has("ip"):
            _shorten_queue(machine, tap)
            _bound_segments(machine, tap)
        if settings.bridge:
            join(machine, tap.name, settings.bridge)
    except ChangeError as error:
        raise as_tap_error(error) from error
    with _or_by_root(f"ip link set {tap.name} up"):
        tap.up()
    _check_mtu(tap, settings)


def _check_mtu(tap: Tap, settings: ClientSettings) -> None:
    """Raise TapError if the device cannot have an address of `settings` with its MTU."""
    for address in settings.addresses:
        # The kernel would call it an invalid argument.
        if ":" in address and settings.mtu_bytes < MIN_IPV6_MTU_BYTES:
            raise TapError(
                f"cannot give the address {address} to {tap.name}: IPv6 needs an MTU of"
                f" {MIN_IPV6_MTU_BYTES} or more, and --mtu says {settings.mtu_bytes}"
            )


def _shorten_queue(machine: Machine, tap: Tap) -> None:
    """Shorten the queue of `tap`; without privileges it stays as it is."""
    if show_device(machine.runner, "link", tap.name).get("txqlen") == TX_QUEUE_FRAMES:
        # What is so already needs no privileges.
        return
    words = ("ip", "link", "set", "txqueuelen", str(TX_QUEUE_FRAMES), "dev", tap.name)
    try:
        machine.change(f"shorten the queue of {tap.name}", *words)
    except ChangeError as error:
        if not error.lacks_permission:
            raise
        log.info(
            "no permission to shorten the queue of %s, which keeps latency low under load: have"
            " root do it (ip link set %s txqueuelen %d)",
            *(tap.name, tap.name, TX_QUEUE_FRAMES),
        )


def _bound_segments(machine: Machine, tap: Tap) -> None:
    """Have the kernel put no more packets into one frame than one record may become.

    An old `ip` cannot do this. Nothing is lost then: `carry/records` cuts such a frame.
    """
    if tap.has_vnet:
        words = ("link", "set", "gso_max_segs", str(MAX_SEGMENTS), "dev", tap.name)
        machine.runner.run("ip", *words)

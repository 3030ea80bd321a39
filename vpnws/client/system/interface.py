"""Sets the TAP up: MAC, MTU, queue, bridge, addresses; iproute2 does what TAP calls cannot do."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

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

IP_TIMEOUT_S: Final = 5.0
"""The client ends with exit code 5 when `ip` takes longer."""
TX_QUEUE_FRAMES: Final = 256
"""Frames that the kernel may queue for us; it drops further ones. A longer queue would only add
latency under load."""
MIN_IPV6_MTU_BYTES: Final = 1280
"""The smallest MTU with which a device can have IPv6 (RFC 8200 section 5)."""
log = logging.getLogger(__name__)
_SEARCH_PATH: Final = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


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
    """Do what needs a network interface of this machine: queue, bridge, up, addresses."""
    if _find_ip() is not None:
        _shorten_queue(tap)
        _bound_segments(tap)
    if settings.bridge:
        _join(tap, settings.bridge)
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


def _shorten_queue(tap: Tap) -> None:
    """Shorten the queue of `tap`; without privileges it stays as it is."""
    if _queue_frames(tap) == TX_QUEUE_FRAMES:
        # What is so already needs no privileges.
        return
    try:
        _run_ip("shorten the queue of", tap, "link", "set", "txqueuelen", str(TX_QUEUE_FRAMES))
    except TapPermissionError:
        log.info(
            "no permission to shorten the queue of %s, which keeps latency low under load: have"
            " root do it (ip link set %s txqueuelen %d)",
            *(tap.name, tap.name, TX_QUEUE_FRAMES),
        )


def _queue_frames(tap: Tap) -> int | None:
    """Return how long the queue of `tap` is, None if `ip` cannot say."""
    found = re.search(r" qlen ([0-9]+)", _ask_ip("link", "show", "dev", tap.name) or "")
    return None if found is None else int(found[1])


def _bound_segments(tap: Tap) -> None:
    """Have the kernel put no more packets into one frame than one record may become.

    An old `ip` cannot do this. Nothing is lost then: `carry/records` cuts such a frame.
    """
    program = _find_ip()
    if tap.has_vnet and program is not None:
        segments = ("link", "set", "gso_max_segs", str(MAX_SEGMENTS))
        _error_of([program, *segments, "dev", tap.name])


def _join(tap: Tap, bridge: str) -> None:
    """Make `tap` a port of `bridge`."""
    if not exists(bridge):
        raise TapError(
            f"there is no bridge {bridge}: make it (ip link add {bridge} type bridge), bring it up"
            f" (ip link set {bridge} up) and put the LAN's device into it"
        )
    if not _is_bridge(bridge):
        raise TapError(
            f"--bridge {bridge}: that device is not a bridge; name the bridge that it is in"
        )
    _run_ip(f"put into the bridge {bridge} the device", tap, "link", "set", "master", bridge)


def _is_bridge(device: str) -> bool:
    """Return whether `device` is a bridge; if `ip` cannot say, the kernel will when it joins it."""
    answer = _ask_ip("link", "show", "dev", device, "type", "bridge")
    return answer is None or bool(answer.split())


def _ask_ip(*arguments: str) -> str | None:
    """Return what `ip` prints, None if it failed or is not there."""
    program = _find_ip()
    try:
        done = None if program is None else _run([program, "-oneline", *arguments])
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done is None or done.returncode else done.stdout


def _run_ip(purpose: str, tap: Tap, *arguments: str) -> None:
    """Run iproute2's `ip` with `arguments` for the device of `tap`."""
    program = _find_ip()
    if program is None:
        raise TapError(f"cannot {purpose} {tap.name}: the program 'ip' (iproute2) is not installed")
    failure = _error_of([program, *arguments, "dev", tap.name])
    if failure is None:
        return
    sentence = f"cannot {purpose} {tap.name}: {failure}"
    if "Operation not permitted" in failure:
        command = " ".join(("ip", *arguments, "dev", tap.name))
        raise TapPermissionError(
            f"{sentence}; run as root or give the program CAP_NET_ADMIN; or have root type:"
            f" {command}"
        )
    raise TapError(sentence)


def _error_of(command: list[str]) -> str | None:
    """Run `command`; return its error message, None if it succeeded."""
    try:
        done = _run(command)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return " ".join(done.stderr.split()) or f"'ip' failed with exit code {done.returncode}"


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run `command` for at most IP_TIMEOUT_S. Raises OSError, TimeoutExpired."""
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=IP_TIMEOUT_S,
        env={**os.environ, "LC_ALL": "C"},
        # Ctrl-C in the terminal must reach this program only.
        start_new_session=True,
    )


def _find_ip() -> str | None:
    # Ordinary users' PATH often lacks the directories where `ip` lives.
    return shutil.which("ip", path=_SEARCH_PATH)

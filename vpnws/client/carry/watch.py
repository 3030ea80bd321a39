"""Watches the device while the client runs: says once what has changed, and what to do about it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from vpnws.wire.ethernet import HEADER_BYTES, MAX_TAGS_BYTES, format_mac
from vpnws.wire.records import MAX_FRAME_BYTES

if TYPE_CHECKING:
    from vpnws.tap.contract import DeviceEvents, DeviceState, Tap

_ELSEWHERE: Final = (
    "%s is in another network namespace now, and frames still pass. A device is down and without"
    " addresses after such a move: set it up there (ip -n NAMESPACE link set %s up; ip -n NAMESPACE"
    " address add ... dev %s). The client does not announce addresses there."
)

log = logging.getLogger(__name__)


class DeviceWatch:
    """How the device is, as of the last look."""

    def __init__(self, tap: Tap, events: DeviceEvents) -> None:
        """Borrow both. Raises TapError if the device is gone."""
        self._tap = tap
        self._events = events
        self.fd = events.fd
        """Readable when it is time to look; -1 if nothing can tell."""
        self.state = tap.state()

    @property
    def max_frame_bytes(self) -> int:
        """The longest frame for the device: its MTU, a header and two tags.

        Whoever moves the device to another namespace sets its MTU there, where we cannot ask: then
        no frame is too long.
        """
        mtu_bytes = self.state.mtu_bytes
        return MAX_FRAME_BYTES if mtu_bytes is None else mtu_bytes + HEADER_BYTES + MAX_TAGS_BYTES

    def look(self) -> None:
        """Ask the device how it is, and say what has changed. Raises TapError if it is gone."""
        self._events.drain()
        before, self.state = self.state, self._tap.state()
        if self.state != before:
            self._say(before, self.state)

    def _say(self, before: DeviceState, now: DeviceState) -> None:
        if now.name != before.name:
            log.info("the device %s is called %s now", before.name, now.name)
        if now.mac != before.mac:
            log.info("the MAC of %s is %s now", now.name, format_mac(now.mac))
        if not now.is_here:
            if before.is_here:
                log.warning(_ELSEWHERE, now.name, now.name, now.name)
            return
        if not before.is_here:
            log.info("%s is back in the network namespace of the client", now.name)
        if now.mtu_bytes != before.mtu_bytes:
            log.info("the MTU of %s is %d now: frames up to that pass", now.name, now.mtu_bytes)
        if not self._tap.is_interface:
            # The device itself says who has come and gone.
            return
        if now.is_up and not before.is_up:
            log.info("%s is up", now.name)
        elif before.is_up and not now.is_up:
            log.warning("%s is down, so no frame passes: ip link set %s up", now.name, now.name)

"""An uplink: a port whose other side is a TAP device of the server."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from vpnws.errors import TapError
from vpnws.host import loop
from vpnws.host.tap import FRAME_ERRORS, exists, open_tap, read_mac
from vpnws.switch.drop import Drop
from vpnws.wire.ethernet import parse_mac

if TYPE_CHECKING:
    from vpnws.host.node import Node
    from vpnws.host.tap import Tap
    from vpnws.switch.port import AccessPort

READ_MOST: Final = 64
"""Frames read from the TAP before others have their turn."""
ANNOUNCE_S: Final = 5.0
"""How often the MACs of the server itself are learned anew; vpnws-age is at least twice that."""
RETRY_S: Final = 1.0
"""How often a device that went away is looked for."""

log = logging.getLogger("vpnws")


class Uplink:
    """One network's TAP as a port of the switch, through the device's own life and death."""

    def __init__(self, node: Node, network: str, device: str) -> None:
        """Attach `device` to `network` now, or as soon as it can be opened."""
        self._node = node
        self._network = network
        self._device = device
        self._tap: Tap | None = None
        self._port: AccessPort | None = None
        self._reader: loop.Watcher | None = None
        self._retry: loop.Watcher | None = None
        self._announcer: loop.Watcher | None = None
        self._failure = ""
        self._open()

    def flush(self) -> None:
        """Write what is queued for the device; a frame that it refuses is dropped and counted."""
        if self._port is None or self._tap is None:
            return
        queue = self._port.egress
        while queue.messages:
            try:
                for frame in queue.pop_batch(queue.limit_bytes):
                    self._write(self._tap, self._port, frame)
            except OSError as error:
                self._lose(error)
                return

    def close(self) -> None:
        """Detach from the switch and close the device."""
        for watcher in (self._reader, self._retry, self._announcer):
            if watcher is not None:
                watcher.close()
        self._reader = self._retry = self._announcer = None
        if self._port is not None:
            self._node.detach_uplink(self._port)
            self._port = None
        if self._tap is not None:
            self._tap.close()
            self._tap = None

    def _write(self, tap: Tap, port: AccessPort, frame: bytes) -> None:
        try:
            tap.write(frame)
        except BlockingIOError:
            port.drops[Drop.DEVICE] += 1
        except OSError as error:
            if error.errno not in FRAME_ERRORS:
                raise
            port.drops[Drop.DEVICE] += 1

    def _open(self) -> None:
        try:
            self._tap = open_tap(self._device, create=False)
        except TapError as error:
            self._wait(str(error))
            return
        self._failure = ""
        self._port = self._node.attach_uplink(self._network, self)
        self._reader = loop.on_readable(self._tap.fd, self._readable)
        self._announcer = loop.every(ANNOUNCE_S, self._announce)
        self._announce()
        log.info("uplink %s up network=%s", self._device, self._network)

    def _announce(self) -> None:
        """Keep the gateway's MACs ours even while it is silent: the TAP's and its bridge's."""
        for name in (self._device, f"{self._device}/master"):
            mac = parse_mac(read_mac(name))
            if self._port is not None and mac is not None:
                self._node.announce(self._port, mac)

    def _readable(self) -> None:
        if self._tap is None or self._port is None:
            return
        frames: list[bytes] = []
        try:
            while len(frames) < READ_MOST:
                frames.append(self._tap.read())
        except BlockingIOError:
            pass
        except OSError as error:
            self._lose(error)
            return
        self._node.forward(self._port, frames)

    def _lose(self, error: OSError) -> None:
        self.close()
        if exists(self._device):
            self._wait(f"the TAP device {self._device} failed: {error.strerror}")
        else:
            # What opening says is what is said from now on, and so once.
            self._open()

    def _wait(self, sentence: str) -> None:
        """Say `sentence` unless it was the last thing said, and try again later."""
        if sentence != self._failure:
            self._failure = sentence
            log.warning("uplink %s down network=%s: %s", self._device, self._network, sentence)
        self._retry = loop.after(RETRY_S, self._open)

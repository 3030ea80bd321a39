"""A cable of records between two kernels: two namespaces, each with an offloading TAP.

    near: cable0 10.9.0.1, fd09::1 ===(vnet, frame)=== cable0 10.9.0.2, fd09::2 :far

A thread remembers each record and carries it to the other TAP, unchanged or as the frames that a
test makes of it.
"""

from __future__ import annotations

import os
import select
import threading
from typing import TYPE_CHECKING

from .assembly import Assembly
from .netns import Namespace, give
from .offload_bed import VNET_BYTES, open_vnet_tap

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytun

Record = tuple[bytes, bytes]
_READ_BYTES = 1 << 17
_TURN_S = 0.05


def as_it_is(vnet: bytes, frame: bytes) -> list[Record]:
    return [(vnet, frame)]


class VnetCable(Assembly):
    """The picture above, for as long as the `with` block lasts."""

    def __init__(
        self, carry: Callable[[bytes, bytes], list[Record]] = as_it_is, *, mtu_bytes: int = 1500
    ) -> None:
        """`carry` says what is written to the other TAP for a record."""
        self.near, self.far = Namespace("near"), Namespace("far")
        self.records: list[Record] = []
        """All that the two kernels handed out."""
        self._carry = carry
        self._mtu_bytes = mtu_bytes
        self._stop = threading.Event()

    def build(self) -> None:
        """Make both ends, then the thread that joins them."""
        taps = [self._make_end(*end) for end in enumerate((self.near, self.far), 1)]
        thread = threading.Thread(target=self._run, args=taps)
        thread.start()
        self.parts.callback(thread.join)
        self.parts.callback(self._stop.set)

    def _make_end(self, number: int, namespace: Namespace) -> pytun.TunTapDevice:
        self.parts.enter_context(namespace)
        tap = namespace.call(lambda: open_vnet_tap("cable0"))
        self.parts.callback(tap.close)
        give(namespace, "cable0", f"10.9.0.{number}", f"fd09::{number}")
        namespace.ip(f"link set cable0 mtu {self._mtu_bytes} up")
        return tap

    def _run(self, *taps: pytun.TunTapDevice) -> None:
        fds = [tap.fileno() for tap in taps]
        other = dict(zip(fds, reversed(fds), strict=True))
        poller = select.poll()
        for fd in fds:
            poller.register(fd, select.POLLIN)
        while not self._stop.is_set():
            for fd, _ in poller.poll(_TURN_S * 1000):
                message = os.read(fd, _READ_BYTES)
                record = message[:VNET_BYTES], message[VNET_BYTES:]
                self.records.append(record)
                for vnet, frame in self._carry(*record):
                    os.write(other[fd], vnet + frame)

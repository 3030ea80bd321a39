"""Mirrors: bounded copies of the frames that ports get, send and drop, for who looks at them.

A mirror never slows forwarding: when its queue is full, copies are lost and counted. Each frame is
seen once for each direction, when its fate is known: where it came in, as it goes on or is dropped;
where it goes out, as it is taken to be written or is dropped. Only what the device refuses comes
twice: it had been taken before.

What crosses a trunk is seen at the ports where it came in and goes out. The trunks themselves show
only what they drop, unless the filter names one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.errors import CapacityError
from vpnws.switch.port import AccessPort
from vpnws.wire import trunk
from vpnws.wire.ethernet import ADDRESSES_BYTES
from vpnws.wire.records import MAX_FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vpnws.switch.drop import Drop
    from vpnws.switch.format import Format
    from vpnws.switch.port import Port
    from vpnws.wire.train import Train

MAX_MIRRORS: Final = 4
"""Mirrors of one process at once; a further one is refused."""
MAX_MIRROR_FRAMES: Final = 4096
"""Copies that wait in one mirror; further ones are lost and counted."""
MAX_MIRROR_BYTES: Final = 4 * 1024 * 1024
"""The same in bytes; one copy more may come. Each counts as what is kept of its frame, and as
COPY_BYTES."""
COPY_BYTES: Final = 256
"""A waiting copy counts this much besides the bytes of its frame."""
MAX_SNAP_BYTES: Final = MAX_FRAME_BYTES
"""The most that is kept of a frame: the longest super-frame as a whole. The copy of a longer
message that is no frame is cut, and has its true length."""


class Direction(StrEnum):
    """Which way a frame passes a port."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class MirrorFilter:
    """Which frames to copy: those that match everything that is given; None is any."""

    port_id: int | None = None
    network: str | None = None
    mac: bytes | None = None
    """The frame's source or destination."""
    direction: Direction | None = None
    dropped_only: bool = False
    snap_bytes: int = MAX_SNAP_BYTES
    """The copy of a longer frame is cut here; its length is told all the same."""

    def concerns(self, port: Port) -> bool:
        """Return whether a frame of `port` may match."""
        if self.port_id is not None and port.id != self.port_id:
            return False
        is_elsewhere = isinstance(port, AccessPort) and port.origin.network != self.network
        return self.network is None or not is_elsewhere

    def has_passing(self, port: Port) -> bool:
        """Return whether frames of `port` that are not dropped may match."""
        return not self.dropped_only and (self.port_id is not None or isinstance(port, AccessPort))

    def matches(self, addresses: bytes, network: str, direction: Direction) -> bool:
        """Return whether frames with these addresses match, at a port that this concerns."""
        return (
            (self.direction is None or self.direction is direction)
            and (self.network is None or self.network == network)
            and (self.mac is None or self.mac in (addresses[:6], addresses[6:]))
        )


class Copy(NamedTuple):
    """The copy of a frame, with what became of it."""

    port_id: int
    network: str
    direction: Direction
    reason: Drop | None
    """Why it was dropped, if it was."""
    time_s: float
    size_bytes: int
    """The length of the whole frame."""
    data: bytes
    """The frame, or the beginning of it."""
    lost: int
    """How many copies of frames of this port were lost since the one before."""


class Mirror:
    """The copies of one process for one who looks at them, until they are taken."""

    __slots__ = ("_copies", "_on_copies", "_size_bytes", "lost", "seen", "wanted")

    def __init__(self, wanted: MirrorFilter, on_copies: Callable[[], object]) -> None:
        """Copy what `wanted` matches; call `on_copies` when the first copy waits."""
        self.wanted = wanted
        self.seen = 0
        """Frames that matched, in all."""
        self.lost = 0
        """Those of them whose copies found no room."""
        self._on_copies = on_copies
        self._copies: deque[Copy] = deque()
        self._size_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether a further copy would be lost."""
        return len(self._copies) >= MAX_MIRROR_FRAMES or self._size_bytes >= MAX_MIRROR_BYTES

    def add(self, copy: Copy) -> None:
        """Keep `copy`, for which there is room."""
        self.seen += 1
        self._size_bytes += COPY_BYTES + len(copy.data)
        self._copies.append(copy)
        if len(self._copies) == 1:
            self._on_copies()

    def lose(self, frames: int) -> None:
        """Count frames for whose copies there is no room."""
        self.seen += frames
        self.lost += frames

    def take(self, max_bytes: int) -> list[Copy]:
        """Take the oldest copies, at most `max_bytes` of them but at least one, if any waits."""
        taken: list[Copy] = []
        while self._copies:
            size_bytes = COPY_BYTES + len(self._copies[0].data)
            if taken and size_bytes > max_bytes:
                break
            taken.append(self._copies.popleft())
            max_bytes -= size_bytes
            self._size_bytes -= size_bytes
        return taken


class Mirrors:
    """All mirrors of one switch, and which ports each of them sees."""

    __slots__ = ("_mirrors", "_ports")

    def __init__(self, ports: Callable[[], Iterable[Port]]) -> None:
        """`ports` returns the ports of the switch."""
        self._ports = ports
        self._mirrors: list[Mirror] = []

    def start(self, wanted: MirrorFilter, on_copies: Callable[[], object]) -> Mirror:
        """Begin to copy what `wanted` matches. Raises CapacityError if MAX_MIRRORS are there.

        `on_copies` is called, amid forwarding, when the first copy waits: take copies soon.
        """
        if len(self._mirrors) >= MAX_MIRRORS:
            raise CapacityError(f"{MAX_MIRRORS} captures run already: end one, or wait")
        mirror = Mirror(wanted, on_copies)
        self._mirrors.append(mirror)
        self._watch_all()
        return mirror

    def stop(self, mirror: Mirror) -> None:
        """End `mirror`; what waits in it can still be taken."""
        self._mirrors.remove(mirror)
        self._watch_all()

    def watch(self, port: Port) -> None:
        """Have `port` seen by the mirrors that it concerns; call it when a port is attached."""
        views = [_View(mirror, port) for mirror in self._mirrors if mirror.wanted.concerns(port)]
        port.see_with(PortWitness(port, views) if views else None)

    def _watch_all(self) -> None:
        for port in self._ports():
            self.watch(port)


class _View:
    """One port, as one mirror sees it."""

    __slots__ = ("_lost", "_mirror", "_port_id", "has_passing")

    def __init__(self, mirror: Mirror, port: Port) -> None:
        self.has_passing = mirror.wanted.has_passing(port)
        self._mirror = mirror
        self._port_id = port.id
        self._lost = 0

    def wants(self, sight: _Sight) -> bool:
        """Return whether the mirror wants these frames."""
        is_shown = sight.reason is not None or self.has_passing
        wanted = self._mirror.wanted
        return is_shown and wanted.matches(sight.addresses, sight.network, sight.direction)

    @property
    def is_full(self) -> bool:
        """Whether a further copy would be lost."""
        return self._mirror.is_full

    def lose(self, frames: int) -> None:
        """Count frames that the mirror wants and has no room for."""
        self._lost += frames
        self._mirror.lose(frames)

    def copy(self, frame: bytes, sight: _Sight) -> None:
        """Copy one of the frames that the mirror wants, or count it as lost."""
        mirror = self._mirror
        if mirror.is_full:
            self.lose(1)
            return
        lost, self._lost = self._lost, 0
        mirror.add(
            Copy(
                self._port_id,
                sight.network,
                sight.direction,
                sight.reason,
                sight.now,
                len(frame),
                frame[: mirror.wanted.snap_bytes],
                lost,
            )
        )


class _Sight(NamedTuple):
    """What is seen of frames that pass a port together: all but their bytes."""

    addresses: bytes
    network: str
    direction: Direction
    reason: Drop | None
    now: float


_NOTHING: Final = _Sight(b"", "", Direction.OUT, None, 0.0)


class PortWitness:
    """Shows the frames of one port to the mirrors that see it."""

    __slots__ = ("_format", "_has_passing", "_network", "_views")

    def __init__(self, port: Port, views: list[_View]) -> None:
        """`views` are those of `port`, one for each mirror."""
        # It does not keep the port: each would keep the other until a full garbage collection.
        self._format: Format = port.format
        self._network = port.origin.network if isinstance(port, AccessPort) else ""
        self._views = views
        self._has_passing = any(view.has_passing for view in views)

    def came(self, train: Train, now: float, reason: Drop | None = None) -> None:
        """See a train that came in: it goes on, or is dropped for `reason`."""
        if reason is None and not self._has_passing:
            return
        network = self._network or trunk.decode_label(train.label)[2]
        sight = _Sight(train.addresses, network, Direction.IN, reason, now)
        views = [view for view in self._views if view.wants(sight)]
        if views and all(view.is_full for view in views):
            for view in views:
                view.lose(train.count)
            return
        for frame in train.frames() if views else ():
            for view in views:
                view.copy(frame, sight)

    def left(self, items: Iterable[bytes], now: float, reason: Drop | None = None) -> None:
        """See items that have left the queue to be written, or are dropped for `reason`."""
        if reason is None and not self._has_passing:
            return
        frame_at, network = self._format.frame_at, self._network
        sight, views = _NOTHING, list[_View]()
        for item in items:
            at = frame_at(item)
            # All frames of an item have the same addresses, and often the next item has them too.
            addresses = item[at : at + ADDRESSES_BYTES]
            if addresses != sight.addresses or not self._network:
                if not self._network:
                    network = trunk.decode_label(trunk.label_of(item))[2]
                sight = _Sight(addresses, network, Direction.OUT, reason, now)
                views = [view for view in self._views if view.wants(sight)]
            for part in self._format.split(item) if views else ():
                frame = part[frame_at(part) :]
                for view in views:
                    view.copy(frame, sight)

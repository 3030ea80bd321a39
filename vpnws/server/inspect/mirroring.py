"""Mirrors frames of one process for captures, and sends the copies to who has asked for them."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from vpnws.control.asks import AskError, Done
from vpnws.control.capture_asks import CopiesPost, CopyView, Mirrored, MirrorEnd
from vpnws.control.events import Event
from vpnws.errors import CapacityError
from vpnws.server.naming import name_of, short_name, trunk_name
from vpnws.server.port.describe import describe_identity
from vpnws.switch.mirror import COPY_BYTES, Direction, MirrorFilter
from vpnws.text import log_value
from vpnws.wire.ethernet import parse_mac

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.control.asks import Peers
    from vpnws.control.capture_asks import CaptureFilter, CaptureNoteAsk, MirrorAsk, MirrorEndAsk
    from vpnws.server.loop import Watcher
    from vpnws.server.node import Node
    from vpnws.switch.mirror import Copy, Mirror
    from vpnws.switch.port import Port

LEASE_S: Final = 5.0
"""A mirror that was not asked to go on for this long ends: the process that wanted it has died."""
LOOK_EVERY_S: Final = 1.0
"""A process looks for mirrors that have to end this often."""
SEND_EVERY_S: Final = 0.02
"""Copies wait this long for others that share a message with them, and for room in a mailbox."""
MAX_SEND_BYTES: Final = 64 * 1024
"""Copies that one mirror sends at once, each with COPY_BYTES besides its frame."""
SEND_SHARE: Final = 0.1
"""A mirror sends for at most this part of a process's time; one that gets more loses copies."""
MAX_POST_BYTES: Final = 48 * 1024
"""Copies share a message of at most about this length; a longer copy goes alone."""
MAX_DESCRIBED: Final = 4096
"""Ports that a capture has been told of; a full list is emptied, and ports are described again."""


class Mirroring:
    """The mirrors of one process, by the captures that they are for."""

    def __init__(self, node: Node, peers: Peers, process: str) -> None:
        """`process` is the name of the process that `node` serves."""
        self._node = node
        self._loop = node.loop
        self._peers = peers
        self._packer = _Packer(node, process)
        self._senders: dict[str, _Sender] = {}
        self._ticker: Watcher | None = None

    def mirror(self, ask: MirrorAsk) -> Mirrored:
        """Begin to copy frames, or go on for LEASE_S. Raises AskError if there are too many."""
        port = _find(ask, self._node) if ask.filter.port else None
        port_id = port.id if port is not None else None
        if ask.filter.port and port is None:
            return Mirrored()
        sender = self._senders.get(ask.id) or self._begin(ask, port_id)
        sender.lease_until_s = self._loop.now() + LEASE_S
        return Mirrored(is_here=True, port_id=port_id)

    def end(self, ask: MirrorEndAsk) -> MirrorEnd:
        """End a mirror; tell how many frames it has seen."""
        sender = self._senders.pop(ask.id, None)
        return MirrorEnd(seen=self._stop(sender) if sender is not None else 0)

    def note(self, ask: CaptureNoteAsk) -> Done:
        """Note in the journal that a capture begins or has ended."""
        self._node.journal.note(Event.CAPTURE, ask.text, **ask.fields)
        return Done(1)

    def _begin(self, ask: MirrorAsk, port_id: int | None) -> _Sender:
        wanted = _read_filter(ask.filter, port_id)
        sender = _Sender(self._node, self._packer, ask, self._peers.post)
        try:
            sender.mirror = self._node.switch.mirrors.start(wanted, sender.send_soon)
        except CapacityError as error:
            raise AskError(str(error), 503) from error
        self._senders[ask.id] = sender
        if self._ticker is None:
            self._ticker = self._loop.every(LOOK_EVERY_S, self._look)
        return sender

    def _stop(self, sender: _Sender) -> int:
        self._node.switch.mirrors.stop(sender.mirror)
        sender.finish()
        return sender.mirror.seen

    def _look(self) -> None:
        """End the mirrors that nobody has asked to go on."""
        now = self._loop.now()
        for id_, sender in list(self._senders.items()):
            if now > sender.lease_until_s:
                self._stop(self._senders.pop(id_))
        if not self._senders and self._ticker is not None:
            self._ticker.close()
            self._ticker = None


class _Sender:
    """Sends the copies of one mirror."""

    mirror: Mirror

    def __init__(
        self,
        node: Node,
        packer: _Packer,
        ask: MirrorAsk,
        post: Callable[[int, CopiesPost], bool],
    ) -> None:
        self.lease_until_s = -inf
        self._loop = node.loop
        self._packer = packer
        self._id = ask.id
        self._slot = ask.slot
        self._post = post
        self._unsent: CopiesPost | None = None
        """What found no room."""
        self._described: set[str] = set()
        self._timer: Watcher | None = None

    def send_soon(self) -> None:
        """Send what waits in SEND_EVERY_S."""
        if self._timer is None:
            self._timer = self._loop.after(SEND_EVERY_S, self._send)

    def finish(self) -> None:
        """Send what waits, as far as there is room for it; the rest is lost."""
        if self._timer is not None:
            self._timer.close()
        self._send_some(inf)

    def _send(self) -> None:
        self._timer = None
        began_s = self._loop.now()
        if not self._send_some(MAX_SEND_BYTES):
            rest_s = (self._loop.now() - began_s) * (1 / SEND_SHARE - 1)
            self._timer = self._loop.after(max(SEND_EVERY_S, rest_s), self._send)

    def _send_some(self, max_bytes: float) -> bool:
        """Send messages until `max_bytes` are sent, or there is no room; True if none waits."""
        while max_bytes > 0:
            if self._unsent is None:
                copies = self.mirror.take(MAX_POST_BYTES)
                if not copies:
                    return True
                self._unsent = self._packer.pack(self._id, copies, self._described)
            if not self._post(self._slot, self._unsent):
                return False
            max_bytes -= sum(COPY_BYTES + len(copy.data) for copy in self._unsent.copies)
            self._unsent = None
        return False


class _Packer:
    """Puts copies into messages, with the names of their ports."""

    def __init__(self, node: Node, process: str) -> None:
        self._node = node
        self._process = process

    def pack(self, id_: str, copies: list[Copy], described: set[str]) -> CopiesPost:
        """Return a message with `copies`; describe the ports that are not in `described` yet."""
        loop = self._node.loop
        offset_s = loop.unix_s() - loop.now()
        if len(described) >= MAX_DESCRIBED:
            described.clear()
        ports: dict[str, str] = {}
        views = []
        for copy in copies:
            name = self._name(copy.port_id)
            if name not in described:
                described.add(name)
                ports[name] = self._describe(copy)
            views.append(_view(copy, name, offset_s))
        return CopiesPost(id=id_, process=self._process, ports=ports, copies=tuple(views))

    def _name(self, port_id: int) -> str:
        node = self._node
        if port_id in node.switch.trunks:
            return trunk_name(node.slot, port_id)
        return short_name(node.slot, port_id)

    def _describe(self, copy: Copy) -> str:
        """Return which port a copy is of, in words that no station can forge."""
        node = self._node
        if copy.port_id in node.switch.trunks:
            return f"trunk from process {node.slot + 1} to {copy.port_id + 1}"
        network = f"network={log_value(copy.network)}"
        link = node.links.get(copy.port_id)
        if link is not None:
            return f"{network} {describe_identity(link.session.identity).words}"
        if any(port.id == copy.port_id for port in node.uplinks):
            return f"{network} device={node.tap_of(copy.network)}"
        return f"{network} gone"


def _view(copy: Copy, port: str, offset_s: float) -> CopyView:
    return CopyView(
        port,
        copy.network,
        "in" if copy.direction is Direction.IN else "out",
        copy.reason or "",
        copy.time_s + offset_s,
        copy.size_bytes,
        copy.data,
        copy.lost,
    )


def _read_filter(wanted: CaptureFilter, port_id: int | None) -> MirrorFilter:
    """Return what the switch has to look for; `port_id` is that of the port, if one is wanted."""
    return MirrorFilter(
        port_id=port_id,
        network=wanted.network or None,
        mac=parse_mac(wanted.mac) if wanted.mac else None,
        direction=Direction(wanted.direction) if wanted.direction else None,
        dropped_only=wanted.dropped,
        snap_bytes=wanted.snap,
    )


def _find(ask: MirrorAsk, node: Node) -> Port | None:
    """Return the port, of a station or a TAP, or the trunk that is to be mirrored."""
    ports = (port for port in node.switch.networks.ports() if ask.port_id in (None, port.id))
    return next((port for port in ports if name_of(node.slot, port) == ask.filter.port), None)

"""A port and its link as one process hands them over to another: plain data, and its bytes.

The bytes are MAGIC, VERSION, the length of a JSON text, the text, and then all byte strings of the
handover. In the text each byte string is only its length, so frames need no encoding.

JSON has plain values only, and `load` builds from them what the types of the fields say. So no
bytes can make it run code; pickle could not promise that. A handover of another version is refused,
and its station connects again, as it does when the server restarts.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from math import inf
from struct import Struct
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args, get_origin, get_type_hints

from vpnws.errors import HandoverError
from vpnws.server.port.session import MAX_UNCUT_BYTES, LinkTimes, Session
from vpnws.switch.queue.delay import no_delays
from vpnws.switch.queue.queue import CONTROL_RESERVE_BYTES
from vpnws.switch.queue.state import QueueState  # noqa: TC001
from vpnws.values import is_network_name
from vpnws.wire.ethernet import ZERO, is_station_address
from vpnws.wire.records import MAX_RECORDS_BYTES
from vpnws.wire.websocket import BINARY, MAX_FRAGMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.wire.buffer import Buffer

MAGIC: Final = b"vpnws-port"
VERSION: Final = 3
"""Increase it with every change to a handover's fields or to their meaning."""
MAX_HANDOVER_BYTES: Final = 16 * 1024 * 1024
"""A port whose handover would be longer does not move: its station connects again."""
_HEAD: Final = Struct(f">{len(MAGIC)}sHI")

T = TypeVar("T")


@dataclass(slots=True)
class PortHandover:
    """A port's identity, counters and queue; they do not depend on its links."""

    id: int
    rx_frames: int
    rx_bytes: int
    stations: list[bytes]
    """MACs learned on the port."""
    queue: QueueState


@dataclass(slots=True)
class LinkHandover:
    """One connection of a port; its descriptor travels beside the handover."""

    session: Session
    times: LinkTimes
    rest: bytes = b""
    """What the socket did not take of the last write. It is written first."""
    controls: list[bytes] = field(default_factory=list)
    """Control frames that wait. They are written before the port's frames."""


@dataclass(slots=True)
class Handover:
    """A port and its link."""

    port: PortHandover
    link: LinkHandover


def dump(handover: Handover) -> bytes:
    """Return `handover` as bytes. Raises HandoverError past MAX_HANDOVER_BYTES."""
    contents: list[Buffer] = []
    text = json.dumps(_plain(handover, contents), separators=(",", ":")).encode()
    data = b"".join((_HEAD.pack(MAGIC, VERSION, len(text)), text, *contents))
    if len(data) > MAX_HANDOVER_BYTES:
        raise HandoverError(f"a handover of {len(data)} bytes is longer than {MAX_HANDOVER_BYTES}")
    return data


def load(data: bytes) -> Handover:
    """Return the handover that `dump` made `data` of. Raises HandoverError for other bytes."""
    if len(data) > MAX_HANDOVER_BYTES:
        raise HandoverError(f"a handover of {len(data)} bytes is longer than {MAX_HANDOVER_BYTES}")
    if len(data) < _HEAD.size or not data.startswith(MAGIC):
        raise HandoverError("these bytes are not the handover of a port")
    _, version, text_bytes = _HEAD.unpack_from(data)
    if version != VERSION:
        raise HandoverError(f"a handover of version {version} cannot be read, only {VERSION}")
    contents = _Contents(data, _HEAD.size + text_bytes)
    try:
        plain = json.loads(data[_HEAD.size : _HEAD.size + text_bytes])
    except (ValueError, RecursionError) as error:
        raise HandoverError("a handover's text cannot be read") from error
    handover: Handover = _build(Handover, plain, contents)
    contents.check_end()
    _check(handover)
    return handover


def _plain(value: Any, contents: list[Buffer]) -> Any:
    """Return `value` as JSON values; append its byte strings to `contents`."""
    if isinstance(value, bytes | bytearray | memoryview):
        contents.append(value)
        return len(value)
    if is_dataclass(value):
        names = [item.name for item in fields(value)]
        return {name: _plain(getattr(value, name), contents) for name in names}
    if isinstance(value, list | tuple):
        return [_plain(item, contents) for item in value]
    if isinstance(value, IPv4Network | IPv6Network):
        return str(value)
    return value


class _Contents:
    """The byte strings of a handover, one after the other."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def take(self, size_bytes: object) -> bytes:
        """Return the next `size_bytes`. Raises HandoverError if there are not as many."""
        if type(size_bytes) is not int or not 0 <= size_bytes <= len(self._data) - self._at:
            raise HandoverError("a handover names bytes that it does not have")
        self._at += size_bytes
        return self._data[self._at - size_bytes : self._at]

    def check_end(self) -> None:
        """Raise HandoverError if there are more bytes."""
        if self._at != len(self._data):
            raise HandoverError("a handover has bytes that it does not name")


def _build(kind: Any, plain: Any, contents: _Contents) -> Any:
    """Return a value of the type `kind` from its plain form. Raises HandoverError."""
    if kind in (bytes, bytearray):
        return kind(contents.take(plain))
    if isinstance(kind, type) and is_dataclass(kind):
        return _build_fields(kind, plain, contents)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return _build_union(inner, plain, contents)
    if origin in (list, tuple):
        return origin(_build(inner[0], item, contents) for item in _checked(list, plain))
    if origin is Counter:
        counts = _checked(dict, plain).items()
        return Counter({_member(inner[0], key): _checked(int, count) for key, count in counts})
    return _member(kind, plain) if issubclass(kind, Enum) else _checked(kind, plain)


def _build_fields(kind: type, plain: Any, contents: _Contents) -> Any:
    types = _types_of(kind)
    if list(_checked(dict, plain)) != list(types):
        raise HandoverError(
            f"a handover's {kind.__name__} has other fields than {', '.join(types)}"
        )
    return kind(*(_build(types[name], plain[name], contents) for name in types))


def _build_union(kinds: tuple[Any, ...], plain: Any, contents: _Contents) -> Any:
    if plain is None and NoneType in kinds:
        return None
    if IPv4Network in kinds:
        try:
            return ip_network(_checked(str, plain))
        except ValueError as error:
            raise HandoverError("a handover has a destination that is not an IP network") from error
    return _build(kinds[0], plain, contents)


@cache
def _types_of(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _checked(kind: type[T], value: Any) -> T:
    if type(value) is not kind or value != value:
        raise HandoverError(f"a handover has {type(value).__name__} where {kind.__name__} belongs")
    return value


def _member(kind: type[Enum], value: Any) -> Enum:
    try:
        return kind(_checked(int if issubclass(kind, int) else str, value))
    except ValueError as error:
        raise HandoverError(f"a handover has an unknown {kind.__name__}") from error


def _check(handover: Handover) -> None:
    """Raise HandoverError if values of `handover` contradict each other."""
    if not all(_port_rules(handover.port)) or not all(_link_rules(handover.link)):
        raise HandoverError("a handover contradicts itself")


def _port_rules(port: PortHandover) -> Iterator[bool]:
    queue, counts = port.queue, port.queue.counts
    yield all(map(_is_station, port.stations))
    yield min(port.id, port.rx_frames, port.rx_bytes, counts.marked) >= 0
    yield counts.offered_frames >= counts.discarded_frames >= 0
    yield counts.offered_bytes >= counts.discarded_bytes >= 0
    yield len(counts.delays) == len(no_delays()) and min(counts.delays) >= 0
    yield 0.0 <= counts.waited_s < inf
    yield min(queue.drops.values(), default=0) >= 0
    yield queue.backed_up or not queue.flows
    yield all(queue.items)
    for flow in queue.flows:
        yield all(flow.items) and 0 < len(flow.items) == len(flow.came_s)


def _link_rules(link: LinkHandover) -> Iterator[bool]:
    session = link.session
    received = session.received
    yield is_network_name(session.network)
    yield session.announced_mac is None or _is_station(session.announced_mac)
    yield all(link.controls) and sum(map(len, link.controls)) <= CONTROL_RESERVE_BYTES
    yield len(received.uncut) <= MAX_UNCUT_BYTES
    yield received.fragments_opcode == (BINARY if received.fragments else None)
    yield len(received.fragments) <= MAX_FRAGMENTS
    yield sum(map(len, received.fragments)) == received.fragments_bytes <= MAX_RECORDS_BYTES


def _is_station(mac: bytes) -> bool:
    return len(mac) == len(ZERO) and is_station_address(mac)

"""What attackers send: all bytes are made before the attack, so that it costs them nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.attacks.stations import ATTACKER, IDLE, STRANGER, UNKNOWN, mac
from tests.support.raw_frames import BINARY, CONTINUATION, PONG, encode_frame
from vpnws.wire.ethernet import BROADCAST
from vpnws.wire.records import SUBPROTOCOL, encode_record

MIN_SEND_BYTES: Final = 60_000
"""Small messages are repeated to this length, and sent again and again."""
RECORDS: Final = 2000
"""Frames in one message of 56 KB."""
BRIDGED: Final = 250
"""MACs that each bridging attacker brings before it begins."""
COLLIDING: Final = 2000
UNKNOWN_COUNT: Final = 20_000
_FRAGMENTS: Final = 50
_HASH_SLOTS: Final = 65536
"""Of a uWSGI cache, unless it is set."""
_DJB33X_START: Final = 5381
_TYPE: Final = b"\x88\xb5"

Bytes = Callable[[int], bytes]
"""What attacker `number` sends."""


def _nothing(_number: int) -> bytes:
    return b""


@dataclass(frozen=True, slots=True)
class Attack:
    """One way to attack."""

    name: str
    repeated: Bytes = _nothing
    every_s: float = 0.0
    """How often it is sent; 0 is as fast as the server takes it."""
    first: Bytes = _nothing
    """Sent before the attack is measured."""
    subprotocol: str = ""
    bridges: bool = False
    slow_readers: int = 0
    """Further stations that join and never read."""
    joins_per_s: int = 0
    """Each attacker joins and leaves this often."""


def _message(payload: bytes) -> bytes:
    return encode_frame(BINARY, payload, mask=None)


def _own(number: int) -> bytes:
    return mac(ATTACKER, number)


def _repeated(data: bytes) -> bytes:
    return data * -(-MIN_SEND_BYTES // len(data))


def _many_broadcasts(number: int) -> bytes:
    return _message(encode_record(BROADCAST + _own(number) + _TYPE) * RECORDS)


def _bridged_sources(number: int) -> bytes:
    """Teach the switch all of this attacker's MACs."""
    sources = (mac(STRANGER, number * BRIDGED + each) for each in range(BRIDGED))
    return b"".join(_message(_own(number) + source + _TYPE) for source in sources)


def _colliding(number: int) -> bytes:
    """Ask for unknown MACs that fall into one chain of a cache whose hash is not keyed (djb33x)."""
    target = random.Random(number).randrange(_HASH_SLOTS)
    asked: list[bytes] = []
    prefix = 0
    while len(asked) < COLLIDING:
        prefix += 1
        start = bytes((2, UNKNOWN)) + prefix.to_bytes(2, "big")
        asked += _completions(start, target)
    source = mac(STRANGER, number * BRIDGED)
    return b"".join(_message(destination + source + _TYPE) for destination in asked)


def _completions(start: bytes, target: int) -> list[bytes]:
    """Return MACs that begin with `start` and have this hash, modulo the slots."""
    begun = _DJB33X_START
    for byte in start:
        begun = (begun * 33 ^ byte) % _HASH_SLOTS
    found = []
    for fifth in range(256):
        last = (begun * 33 ^ fifth) * 33 % _HASH_SLOTS ^ target
        if last < 256:
            found.append(start + bytes((fifth, last)))
    return found


def _unknown(source: bytes, number: int) -> bytes:
    chance = random.Random(number)
    destinations = (mac(UNKNOWN, chance.randrange(1 << 32)) for _ in range(UNKNOWN_COUNT))
    return b"".join(_message(destination + source + _TYPE) for destination in destinations)


def _to_one(destination: bytes, number: int) -> bytes:
    return _repeated(_message(destination + _own(number) + _TYPE))


def _alternating(number: int) -> bytes:
    source = _own(number)
    return _repeated(b"".join(_message(mac(IDLE, each) + source + _TYPE) for each in range(1000)))


ATTACKS: Final = (
    Attack("2,000 broadcasts at once", _many_broadcasts, 3600.0, subprotocol=SUBPROTOCOL),
    Attack("the same each second", _many_broadcasts, 1.0, subprotocol=SUBPROTOCOL),
    Attack("colliding MACs", _colliding, first=_bridged_sources, bridges=True),
    Attack("unknown unicast", lambda number: _unknown(_own(number), number)),
    Attack(
        "unknown unicast, bridging",
        lambda number: _unknown(mac(STRANGER, number * BRIDGED), number),
        first=_bridged_sources,
        bridges=True,
    ),
    Attack("2-byte pongs", lambda _: _repeated(encode_frame(PONG, mask=None))),
    Attack("empty messages", lambda _: _repeated(_message(b""))),
    Attack(
        "empty fragments",
        lambda _: _repeated(
            encode_frame(BINARY, fin=False, mask=None)
            + encode_frame(CONTINUATION, fin=False, mask=None) * _FRAGMENTS
            + encode_frame(CONTINUATION, mask=None)
        ),
    ),
    Attack("14-byte frames", partial(_to_one, mac(IDLE, 0))),
    Attack("14-byte frames, alternating", _alternating),
    Attack("14-byte broadcasts", partial(_to_one, BROADCAST)),
    Attack("broadcasts in records", _many_broadcasts, subprotocol=SUBPROTOCOL),
    Attack("joins, 200 a second", joins_per_s=200),
    Attack(
        "broadcasts, 500 slow readers",
        partial(_to_one, BROADCAST),
        slow_readers=500,
    ),
)

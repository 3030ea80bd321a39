"""The bytes of the attacks are what they say."""

from __future__ import annotations

import pytest

from bench.attacks import kinds
from bench.attacks.kinds import ATTACKS
from vpnws.wire.decoder import Decoder
from vpnws.wire.records import MAX_RECORDS_BYTES, SUBPROTOCOL


def hash_of(address: bytes) -> int:
    """Return uWSGI's djb33x of a key that begins with `address`, modulo a cache's slots."""
    value = 5381
    for byte in address:
        value = (value << 5) + value ^ byte
    return value % 65536


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_is_sent_is_legal(attack: kinds.Attack) -> None:
    decoder = Decoder(MAX_RECORDS_BYTES)
    for sent in (attack.first(0), attack.repeated(0)):
        decoder.feed(sent)
        assert decoder.ending is None
        assert not decoder.state.uncut


def test_one_message_has_all_the_broadcasts() -> None:
    (attack,) = (one for one in ATTACKS if one.name == "the same each second")
    (message,) = Decoder(MAX_RECORDS_BYTES).feed(attack.repeated(0))
    assert attack.subprotocol == SUBPROTOCOL
    assert message.count(b"\xff" * 6) == kinds.RECORDS


def test_colliding_addresses_collide() -> None:
    (attack,) = (one for one in ATTACKS if one.name == "colliding MACs")
    asked = {message[:6] for message in Decoder(1514).feed(attack.repeated(3))}
    assert len(asked) >= kinds.COLLIDING
    assert len(set(map(hash_of, asked))) == 1

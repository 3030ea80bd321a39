"""What a hostile or broken station sends ends its own port, and nothing else happens."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import pytest

from tests.live.server import Station, TwoWorkers, reach
from tests.support.raw_frames import BINARY, CONTINUATION, PING, TEXT, encode_frame
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live

ORPHAN = encode_frame(CONTINUATION, b"orphan")
HUGE = encode_frame(BINARY, b"", claimed_length=(1 << 63) - 1)
ENDING = {
    "an orphan continuation": (ORPHAN, 1002),
    "an orphan continuation, unfinished": (encode_frame(CONTINUATION, b"x", fin=False), 1002),
    "a message inside another": (encode_frame(BINARY, b"x", fin=False) * 2, 1002),
    "the highest bit of a length": (encode_frame(BINARY, b"", claimed_length=1 << 63), 1002),
    "an enormous length": (HUGE, 1009),
    "one byte too long": (encode_frame(BINARY, bytes(65536)), 1009),
    "text": (encode_frame(TEXT, b"1500"), 1003),
    "a reserved bit": (encode_frame(BINARY, bytes(60), rsv=4), 1002),
    "a long ping": (encode_frame(PING, bytes(126)), 1002),
    "a fragmented ping": (encode_frame(PING, b"", fin=False), 1002),
    "too many empty fragments": (
        encode_frame(BINARY, b"", fin=False) + encode_frame(CONTINUATION, b"", fin=False) * 2000,
        1009,
    ),
    "fragments without end": (
        encode_frame(BINARY, bytes(1000), fin=False)
        + encode_frame(CONTINUATION, bytes(1000), fin=False) * 100,
        1009,
    ),
    **{
        f"opcode {opcode}": (encode_frame(opcode, b""), 1002)
        for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    },
}


@pytest.fixture
def unharmed(stream: TwoWorkers) -> Iterator[tuple[Station, Station]]:
    """Yield two stations in both workers; afterwards they and the workers are as they were."""
    pids = stream.worker_pids()
    with stream.station(1) as a, stream.station(2) as b:
        yield a, b
        reach(a, b)
        for station in (a, b):
            assert station.is_quiet(0.05)
    assert stream.worker_pids() == pids


@pytest.mark.parametrize("worker", [1, 2])
@pytest.mark.parametrize("attack", ENDING)
@pytest.mark.usefixtures("unharmed")
def test_a_violation_ends_that_port_with_the_right_code(
    stream: TwoWorkers, attack: str, worker: int
) -> None:
    data, code = ENDING[attack]
    with stream.station(worker) as attacker:
        attacker.client.send_bytes(data)
        assert attacker.client.read_close().close_code == code
        assert attacker.client.is_closed(5)


def test_frames_before_a_violation_are_delivered(
    stream: TwoWorkers, unharmed: tuple[Station, Station]
) -> None:
    _, other = unharmed
    with stream.station(1) as attacker:
        sent = b"".join((other.mac, attacker.mac, b"\x08\x00", b"last words"))
        attacker.client.send_bytes(encode_frame(BINARY, sent) + ORPHAN)
        other.expect(sent)


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
def test_a_close_is_answered_with_its_own_code(stream: TwoWorkers, code: int) -> None:
    with stream.station(1) as station:
        station.client.send_frame(code.to_bytes(2, "big") + b"bye", 8)
        assert station.client.read_close().close_code == code
        assert station.client.is_closed(5)


def test_a_close_without_a_code_is_answered_without_one(stream: TwoWorkers) -> None:
    with stream.station(1) as station:
        station.client.send_frame(b"", 8)
        assert station.client.read_close().close_code is None


def test_fragments_are_put_together_with_control_frames_between(
    stream: TwoWorkers, unharmed: tuple[Station, Station]
) -> None:
    one, other = unharmed
    whole = other.mac + one.mac + b"\x08\x00" + bytes(range(200))
    one.client.send_bytes(
        encode_frame(BINARY, whole[:5], fin=False)
        + encode_frame(PING, b"between")
        + encode_frame(CONTINUATION, whole[5:100], fin=False)
        + encode_frame(CONTINUATION, b"", fin=False)
        + encode_frame(CONTINUATION, whole[100:])
    )
    other.expect(whole)
    assert one.pong().payload == b"between"


def test_fragments_of_two_stations_do_not_mix(stream: TwoWorkers) -> None:
    with stream.station(1) as a, stream.station(1) as b, stream.station(1) as c:
        wholes = {
            station: c.mac + station.mac + b"\x08\x00" + station.mac * 20 for station in (a, b)
        }
        for cut in range(0, 134, 10):
            for station, whole in wholes.items():
                part = whole[cut : cut + 10]
                opcode = BINARY if cut == 0 else CONTINUATION
                last = cut + 10 >= len(whole)
                station.client.send_bytes(encode_frame(opcode, part, fin=last))
        assert {c.client.read_message() for _ in wholes} == set(wholes.values())


def test_a_byte_at_a_time_is_understood(
    stream: TwoWorkers, unharmed: tuple[Station, Station]
) -> None:
    one, other = unharmed
    sent = other.mac + one.mac + b"\x08\x00" + b"slowly"
    for byte in encode_frame(BINARY, sent):
        one.client.send_bytes(bytes((byte,)))
    other.expect(sent)


def test_a_station_that_does_not_read_hurts_nobody(
    stream: TwoWorkers, unharmed: tuple[Station, Station]
) -> None:
    one, other = unharmed
    with stream.station(1) as slow:
        before = stream.memory_bytes()
        sent = encode_frame(BINARY, slow.mac + one.mac + b"\x08\x00" + bytes(60000))
        for _ in range(2000):
            one.client.send_bytes(sent)
        reach(one, other)
        assert stream.memory_bytes() - before < 20_000_000
        slow.client.close()
    stream.wait_for_log("egress_full=")


def test_a_station_that_is_flooded_still_gets_its_pongs(
    stream: TwoWorkers, unharmed: tuple[Station, Station]
) -> None:
    one, _ = unharmed
    with stream.station(1) as slow:
        sent = encode_frame(BINARY, slow.mac + one.mac + b"\x08\x00" + bytes(60000))
        for _ in range(100):
            one.client.send_bytes(sent)
        slow.client.send_frame(b"am I alive?", PING)
        before = 0
        while slow.client.read_frame().opcode == BINARY:
            before += 1
        assert before < 100
        wait_for(slow.is_quiet, 10, "the rest to come")


def test_pings_without_reading_do_not_fill_memory(stream: TwoWorkers) -> None:
    with stream.station(1) as station:
        before = stream.memory_bytes()
        flood = encode_frame(PING, bytes(125)) * 1000
        station.client.socket.settimeout(0.5)
        for _ in range(200):
            station.client.send_bytes(flood)
        assert stream.memory_bytes() - before < 20_000_000


def test_a_thousand_attackers_leave_memory_and_descriptors_as_they_were(
    stream: TwoWorkers,
) -> None:
    pids = stream.worker_pids()

    def attack(rounds: int) -> None:
        payloads = [data for data, _ in ENDING.values()]
        for number in range(rounds):
            client = stream.connect(1 + number % 2)
            client.upgrade()
            client.send_bytes(payloads[number % len(payloads)][:4000])
            if number % 3:
                client.reset()
            else:
                client.close()

    def settled() -> int:
        wait_for(lambda: stream.descriptors() <= idle_descriptors, 10, "descriptors to be closed")
        gc.collect()
        return stream.memory_bytes()

    idle_descriptors = stream.descriptors()
    attack(300)
    before = settled()
    attack(1000)
    assert settled() - before < 4_000_000
    assert stream.worker_pids() == pids


def test_half_a_header_and_silence_is_closed_in_time() -> None:
    with TwoWorkers({"vpnws-ping-every": "1", "vpnws-dead-after": "2"}) as server:
        with server.station(1) as silent, server.station(1) as other:
            silent.client.send_bytes(b"\x82")
            deadline = time.monotonic() + 10
            while not silent.client.is_closed(0.05):
                assert time.monotonic() < deadline
                other.send()
            assert other.client.read_frame().opcode in (PING, BINARY)


@pytest.mark.parametrize("data", [encode_frame(BINARY, b"x", fin=False)], ids=["a fragment"])
def test_on_native_a_fragment_ends_the_port(data: bytes) -> None:
    """The documented difference: uWSGI joins fragments of all connections in one buffer."""
    with TwoWorkers({"vpnws-receiver": "native"}) as server:
        pids = server.worker_pids()
        with server.station(1) as bad, server.station(1) as a, server.station(2) as b:
            bad.client.send_bytes(data)
            assert bad.client.is_closed(5)
            reach(a, b)
        assert server.worker_pids() == pids


def test_a_full_fdb_is_no_news_for_the_log_and_hurts_nobody() -> None:
    settings = {"vpnws-fdb-items": "64", "vpnws-station-limit": "500", "vpnws-storm-limit": "0"}
    with TwoWorkers(settings) as server:
        with server.station(1) as a, server.station(2) as b, server.station(1) as attacker:
            for number in range(2000):
                source = b"\x06\x00\x00\x00" + number.to_bytes(2, "big")
                attacker.client.send_frame(b.mac + source + b"\x08\x00" + bytes(46))
            reach(a, b)
        assert "DANGER" not in server.log_text()

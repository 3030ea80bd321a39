"""The pump between a TAP and a connection: frames, pauses, drops, pings, and every way to end.

Its ends are tests/support/pump_bed.py's.
"""

import errno
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from tests.support.pump_bed import MTU, WAIT_S, Bed, FarEnd, binary, frame
from tests.support.tap_contract import GSO_BYTES, SUPER_FRAME, SUPER_VNET
from tests.support.waiting import wait_for
from vpnws.client.carry.connection import Connection
from vpnws.client.carry.counters import ClientDrop
from vpnws.client.carry.device import DRAIN_FRAMES, drop_stale
from vpnws.client.carry.keepalive import (
    DEAD_AFTER_S,
    DOUBT_PATIENCE_S,
    LOOK_EVERY_S,
    PATIENCE_S,
    PING_AFTER_S,
)
from vpnws.client.carry.masking import MaskKeys
from vpnws.client.carry.pump import Pump
from vpnws.client.carry.stream import Stream
from vpnws.client.waiting import Stopped
from vpnws.errors import ConnectError, NetworkChangedError, TapError
from vpnws.sizes import TURN_BYTES
from vpnws.tap.contract import DELETED_ERROR, FRAME_ERRORS
from vpnws.tap.memory import MAX_QUEUE_FRAMES, MemoryTap
from vpnws.wire.offer import Offer
from vpnws.wire.records import NOTHING_TO_DO


@pytest.fixture
def bed() -> Iterator[Bed]:
    made = Bed()
    yield made
    made.close()


def test_what_followers_send_last_goes_out_before_the_close(bed: Bed) -> None:
    bed.pump = Pump(
        bed.tap, bed.connection, bed.waiter, bed.counters, bed.watch, leaving=lambda: [frame(1)]
    )
    bed.start()
    bed.stop.request()
    last, close = bed.far.frames(2)
    assert (last.data, close.opcode) == (frame(1), Opcode.CLOSE)
    bed.far.socket.close()
    assert isinstance(bed.ended(), Stopped)


def start_and_answer_a_ping(bed: Bed) -> None:
    """Start the pump when a ping is due, and have the server answer it."""
    bed.skipped_s = PING_AFTER_S
    bed.start()
    assert bed.far.frames(1)[0].opcode is Opcode.PING
    bed.far.flush()
    wait_for(lambda: bed.connection.received_bytes, WAIT_S, "the pong to arrive")


def test_frames_of_the_tap_become_binary_messages_in_order(bed: Bed) -> None:
    bed.start()
    sent = [frame(number, 60 + 4 * number) for number in range(200)]
    for one in sent:
        bed.tap.host_send(one)
    assert binary(bed.far.frames(200)) == sent
    assert bed.counters.frames_sent == 200
    assert not bed.counters.drops


def test_binary_messages_become_frames_of_the_tap(bed: Bed) -> None:
    bed.start()
    for number in range(50):
        bed.far.send(frame(number))
        assert bed.received() == frame(number)
    wait_for(lambda: bed.counters.frames_received == 50, WAIT_S, "the last frame to be counted")


def test_a_fragmented_message_is_one_frame(bed: Bed) -> None:
    bed.start()
    bed.far.protocol.send_binary(frame(1)[:10], fin=False)
    bed.far.protocol.send_continuation(frame(1)[10:], fin=True)
    bed.far.flush()
    assert bed.received() == frame(1)


def test_bytes_that_came_early_are_not_lost() -> None:
    protocol = ServerProtocol(state=State.OPEN)
    protocol.send_binary(frame(1))
    protocol.send_binary(frame(2))
    whole = b"".join(protocol.data_to_send())
    bed = Bed(early=whole[:-7])
    try:
        bed.start()
        assert bed.received() == frame(1)
        bed.far.socket.sendall(whole[-7:])
        assert bed.received() == frame(2)
    finally:
        bed.close()


def test_a_text_that_came_early_is_heard_at_once() -> None:
    protocol = ServerProtocol(state=State.OPEN)
    protocol.send_text(b'{"address": ["10.8.0.5/24"]}')
    bed = Bed(early=b"".join(protocol.data_to_send()), has_offload=True)
    try:
        bed.start()
        wait_for(lambda: bed.told, WAIT_S, "the text to be heard")
        assert bed.told == [Offer(address=("10.8.0.5/24",))]
    finally:
        bed.close()


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (0, ClientDrop.SHORT),
        (13, ClientDrop.SHORT),
        (MTU + 23, ClientDrop.OVERSIZE),
        (65536, ClientDrop.OVERSIZE),
    ],
)
def test_what_cannot_be_a_frame_is_counted_and_not_written(
    bed: Bed, size: int, reason: ClientDrop
) -> None:
    bed.start()
    bed.far.send(bytes(size))
    bed.far.send(frame(7))
    assert bed.received() == frame(7)
    assert bed.counters.drops == {reason: 1}


@pytest.mark.parametrize("size", [14, MTU + 14, MTU + 22])
def test_the_shortest_and_the_longest_frame_pass(bed: Bed, size: int) -> None:
    bed.start()
    bed.far.send(bytes(size))
    assert bed.received() == bytes(size)


def test_a_frame_that_the_device_has_no_room_for_is_dropped_and_counted(bed: Bed) -> None:
    bed.start()
    count = MAX_QUEUE_FRAMES + 10
    for number in range(count):
        bed.far.send(frame(number))
    wait_for(
        lambda: bed.counters.drops[ClientDrop.TAP_FULL] + bed.counters.frames_received == count,
        WAIT_S,
        "every frame to be written or counted",
    )
    assert bed.counters.drops[ClientDrop.TAP_FULL] == 10
    kept = [bed.received() for _ in range(MAX_QUEUE_FRAMES)]
    assert kept == [frame(number) for number in range(MAX_QUEUE_FRAMES)]


@pytest.mark.parametrize("code", FRAME_ERRORS)
def test_a_frame_that_the_device_refuses_is_counted(bed: Bed, code: int) -> None:
    bed.tap.host_fail_writes(code)
    bed.start()
    bed.far.send(frame(1))
    wait_for(lambda: bed.counters.drops[ClientDrop.TAP_REFUSED], WAIT_S, "the frame to be counted")
    bed.tap.host_send(frame(2))
    assert binary(bed.far.frames(1)) == [frame(2)]
    bed.tap.host_fail_writes(0)
    bed.far.send(frame(3))
    assert bed.received() == frame(3)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (DELETED_ERROR, "the TAP device tap9 was deleted"),
        (errno.EPERM, "the TAP device tap9 failed: Operation not permitted"),
    ],
)
def test_a_device_that_takes_nothing_any_more_ends_the_pump_with_a_close(
    bed: Bed, code: int, sentence: str
) -> None:
    bed.tap.host_fail_writes(code)
    bed.start()
    bed.far.send(frame(1))
    assert bed.far.frames(1)[0].opcode is Opcode.CLOSE
    assert isinstance(bed.ended(), TapError)
    assert str(bed.error) == sentence


def test_a_device_that_is_deleted_ends_the_pump_with_a_close(bed: Bed) -> None:
    bed.start()
    bed.tap.host_delete()
    assert bed.far.frames(1)[0].opcode is Opcode.CLOSE
    assert isinstance(bed.ended(), TapError)


def test_a_device_that_is_deleted_while_it_is_paused_ends_the_pump(bed: Bed) -> None:
    bed.start()
    bed.fill()
    bed.tap.host_delete()
    assert isinstance(bed.ended(), TapError)


def test_the_tap_is_not_read_while_the_server_takes_nothing(bed: Bed) -> None:
    bed.start()
    sent = bed.fill()
    paused = bed.counters.frames_sent
    assert 0 < paused < len(sent)
    assert 0 < bed.connection.unsent_bytes < TURN_BYTES + 65536
    assert binary(bed.far.frames(len(sent))) == sent
    assert not bed.counters.drops


def test_while_the_tap_is_paused_frames_still_come_in(bed: Bed) -> None:
    bed.start()
    bed.fill()
    bed.far.send(frame(2))
    assert bed.received() == frame(2)


def test_a_ping_is_answered_with_its_payload(bed: Bed) -> None:
    bed.start()
    bed.far.protocol.send_ping(b"are you there")
    bed.far.flush()
    pong = bed.far.frames(1)[0]
    assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"are you there")


def test_a_server_that_never_answers_is_pinged_and_kept(bed: Bed) -> None:
    bed.skipped_s = PING_AFTER_S
    bed.start()
    for silent_s in (DEAD_AFTER_S, 2 * DEAD_AFTER_S):
        assert bed.far.frames(1)[0].opcode is Opcode.PING
        bed.skipped_s = silent_s
        bed.tap.host_send(frame(1))
        assert bed.far.frames(1)[0].opcode is Opcode.BINARY
    bed.stop.request()
    assert isinstance(bed.ended(), Stopped)


def test_a_server_that_has_answered_once_is_given_up_when_it_is_silent(bed: Bed) -> None:
    start_and_answer_a_ping(bed)
    bed.skipped_s = 2 * PING_AFTER_S + 1
    bed.tap.host_send(frame(1))
    assert bed.far.frames(1)[0].opcode is Opcode.BINARY
    assert bed.far.frames(1)[0].opcode is Opcode.PING
    bed.skipped_s += PATIENCE_S
    bed.tap.host_send(frame(1))
    error = bed.ended()
    assert isinstance(error, ConnectError)
    assert "nothing was heard from the server for 31 s" in str(error)


def test_a_program_that_stood_still_asks_at_once_whether_the_server_is_there(bed: Bed) -> None:
    start_and_answer_a_ping(bed)
    bed.skipped_s = 100 * DEAD_AFTER_S
    bed.tap.host_send(frame(1))
    opcodes = [bed.far.frames(1)[0].opcode for _ in range(2)]
    assert opcodes == [Opcode.BINARY, Opcode.PING]
    bed.skipped_s += DOUBT_PATIENCE_S
    bed.tap.host_send(frame(1))
    assert isinstance(bed.ended(), NetworkChangedError)


def test_who_is_aside_can_have_the_server_asked_at_once(bed: Bed) -> None:
    start_and_answer_a_ping(bed)

    def doubt(_: float) -> None:
        bed.waiter.aside.has_doubt = True

    bed.waiter.aside.alarm(0.0, doubt)
    bed.tap.host_send(frame(1))
    bed.skipped_s += LOOK_EVERY_S
    bed.tap.host_send(frame(2))
    opcodes = [bed.far.frames(1)[0].opcode for _ in range(3)]
    assert opcodes.count(Opcode.PING) == 1
    bed.skipped_s += DOUBT_PATIENCE_S
    bed.tap.host_send(frame(1))
    assert isinstance(bed.ended(), NetworkChangedError)


def test_a_ping_waits_behind_what_is_unsent_and_is_not_left_out() -> None:
    near, far = socket.socketpair()
    with closing(Connection(Stream(near))) as connection, closing(far):
        count = 0
        while not connection.has_unsent:
            connection.send_frames([frame(count, 1400)])
            count += 1
        connection.ping()
        end = FarEnd(far)
        while connection.has_unsent:
            end.protocol.receive_data(far.recv(65536))
            connection.flush()
        assert end.frames(count + 1)[-1].opcode is Opcode.PING


def test_a_pong_keeps_the_connection(bed: Bed) -> None:
    start_and_answer_a_ping(bed)
    trip = bed.connection.round_trip
    wait_for(lambda: trip.latest_s is not None, WAIT_S, "the round trip to be known")
    bed.skipped_s = DEAD_AFTER_S + 1
    bed.far.send(frame(3))
    assert bed.received() == frame(3)
    bed.stop.request()
    assert isinstance(bed.ended(), Stopped)


@pytest.mark.parametrize(
    ("code", "reason", "sentence"),
    [
        (1012, "restart", "the server closed the connection: 1012 (restart)"),
        (1012, "", "the server closed the connection: 1012 (service restart)"),
        (4001, "", "the server closed the connection: 4001 (no reason given)"),
        (1008, "bad\x1b[2Jstation\n", "the server closed the connection: 1008 (bad?[2Jstation?)"),
    ],
)
def test_a_close_is_answered_and_told(bed: Bed, code: int, reason: str, sentence: str) -> None:
    bed.start()
    bed.far.protocol.send_close(code, reason)
    bed.far.flush()
    answer = bed.far.frames(1)[0]
    assert (answer.opcode, bytes(answer.data)) == (Opcode.CLOSE, code.to_bytes(2, "big"))
    assert str(bed.ended()) == sentence


def test_a_close_without_a_code_is_answered_without_one(bed: Bed) -> None:
    bed.start()
    bed.far.socket.sendall(b"\x88\x00")
    answer = bed.far.frames(1)[0]
    assert (answer.opcode, bytes(answer.data)) == (Opcode.CLOSE, b"")
    assert "without saying why" in str(bed.ended())


@pytest.mark.parametrize(
    ("data", "code", "needle"),
    [
        (b"\xc2\x01a", 1002, "reserved bit"),
        (b"\x81\x01a", 1003, "text"),
        (b"\x82\x7f" + (1 << 20).to_bytes(8, "big"), 1009, "131072"),
    ],
)
def test_a_breach_of_the_protocol_is_closed_and_told(
    bed: Bed, data: bytes, code: int, needle: str
) -> None:
    bed.start()
    bed.far.socket.sendall(data)
    answer = bed.far.frames(1)[0]
    assert (answer.opcode, bytes(answer.data[:2])) == (Opcode.CLOSE, code.to_bytes(2, "big"))
    assert isinstance(bed.ended(), ConnectError)
    assert "the server broke the WebSocket protocol" in str(bed.error)
    assert needle in str(bed.error)


def test_a_server_that_hangs_up_is_told(bed: Bed) -> None:
    bed.start()
    bed.far.socket.close()
    assert isinstance(bed.ended(), ConnectError)


def test_frames_before_a_close_still_arrive(bed: Bed) -> None:
    bed.far.protocol.send_binary(frame(1))
    bed.far.protocol.send_close(1001, "")
    bed.far.flush()
    bed.start()
    assert bed.received() == frame(1)
    assert isinstance(bed.ended(), ConnectError)


def test_a_request_to_stop_closes_the_connection(bed: Bed) -> None:
    bed.start()
    bed.stop.request()
    closing = bed.far.frames(1)[0]
    assert (closing.opcode, bytes(closing.data)) == (Opcode.CLOSE, b"\x03\xe8")
    bed.far.flush()
    assert isinstance(bed.ended(), Stopped)


def test_a_request_to_stop_does_not_wait_for_a_server_that_reads_nothing(bed: Bed) -> None:
    bed.start()
    bed.fill()
    bed.stop.request()
    assert isinstance(bed.ended(), Stopped)


def test_what_was_queued_during_an_outage_is_dropped_and_counted(bed: Bed) -> None:
    for number in range(5):
        bed.tap.host_send(frame(number))
    drop_stale(bed.tap, bed.counters)
    assert bed.counters.drops == {ClientDrop.STALE: 5}
    bed.start()
    bed.tap.host_send(frame(9))
    assert binary(bed.far.frames(1)) == [frame(9)]


class TestDeviceWithHeaders:
    """A device that was opened for offload, at a server that does without."""

    @pytest.fixture
    def bed(self) -> Iterator[Bed]:
        made = Bed(has_vnet=True)
        yield made
        made.close()

    def test_frames_cross_without_their_headers(self, bed: Bed) -> None:
        bed.start()
        bed.tap.host_send(frame(1))
        assert binary(bed.far.frames(1)) == [frame(1)]
        bed.far.send(frame(2))
        assert bed.received() == NOTHING_TO_DO + frame(2)

    def test_what_was_queued_with_offload_on_is_completed(self, bed: Bed) -> None:
        bed.tap.set_offload(True)
        bed.tap.host_send(SUPER_FRAME, SUPER_VNET)
        bed.tap.set_offload(False)
        bed.start()
        found = binary(bed.far.frames(3))
        assert {len(packet) for packet in found} == {54 + GSO_BYTES}
        assert b"".join(packet[54:] for packet in found) == bytes(3 * GSO_BYTES)

    def test_what_cannot_be_completed_is_counted_and_not_sent(self, bed: Bed) -> None:
        bed.tap.set_offload(True)
        bed.tap.host_send(frame(1), SUPER_VNET)
        bed.tap.host_send(frame(2))
        bed.start()
        assert binary(bed.far.frames(1)) == [frame(2)]
        assert bed.counters.drops == {ClientDrop.RECORD: 1}
        assert bed.counters.frames_sent == 1


def test_draining_has_an_end(bed: Bed) -> None:
    tap = MemoryTap(queue_frames=DRAIN_FRAMES + 1)
    tap.up()
    while tap.host_send(frame(1)):
        pass
    drop_stale(tap, bed.counters)
    assert bed.counters.drops == {ClientDrop.STALE: DRAIN_FRAMES}
    assert tap.read() == frame(1)
    tap.close()


def test_draining_a_deleted_device_says_so(bed: Bed) -> None:
    bed.tap.host_delete()
    with pytest.raises(TapError, match="tap9 was deleted"):
        drop_stale(bed.tap, bed.counters)


def test_mask_keys_do_not_repeat() -> None:
    keys = MaskKeys()
    taken = [keys.take() for _ in range(3000)]
    assert {len(key) for key in taken} == {4}
    # 3,000 of 2**32 may collide once in a thousand runs, and ten times never.
    assert len(set(taken)) > 2990


def test_a_full_stream_sends_later_what_it_could_not_take() -> None:
    near, far = socket.socketpair()
    connection = Connection(Stream(near))
    end = FarEnd(far)
    try:
        frames = [frame(number, 1400) for number in range(2000)]
        connection.send_frames(frames)
        assert connection.unsent_bytes
        assert connection.events() & select.POLLOUT
        got: list[Any] = []
        while len(got) < len(frames):
            got += end.frames(1)
            connection.flush()
        assert binary(got) == frames
        assert not connection.events() & select.POLLOUT
    finally:
        connection.close()
        far.close()


def test_what_is_aside_is_served_while_frames_are_carried(bed: Bed) -> None:
    rung = threading.Event()
    reader, writer = socket.socketpair()

    def serve() -> None:
        reader.recv(1)
        bed.waiter.aside.alarm(bed.waiter.now(), lambda _: rung.set())

    bed.waiter.aside.watch(reader.fileno(), serve)
    bed.start()
    writer.send(b"x")
    assert rung.wait(WAIT_S)
    reader.close()
    writer.close()


def test_a_changed_network_ends_the_connection_without_waiting_for_the_server(bed: Bed) -> None:
    def change(_: float) -> None:
        raise NetworkChangedError("another network")

    bed.waiter.aside.alarm(bed.waiter.now(), change)
    bed.start()
    assert isinstance(bed.ended(), NetworkChangedError)
    (close,) = bed.far.frames(1)
    assert close.opcode is Opcode.CLOSE


def test_an_alarm_that_is_set_when_a_text_is_heard_rings_in_time() -> None:
    bed = Bed(has_offload=True)
    rung = threading.Event()

    def set_alarm(_: Offer) -> None:
        bed.waiter.aside.alarm(bed.waiter.now() + 0.01, lambda _: rung.set())

    bed.on_told = set_alarm
    bed.start()
    # From now on nothing is due for a second, and nothing wakes the pump for 20.
    bed.tap.host_send(frame(1))
    bed.far.frames(1)
    bed.far.protocol.send_text(b'{"mtu": 1400}')
    bed.far.flush()
    assert rung.wait(WAIT_S)
    bed.close()

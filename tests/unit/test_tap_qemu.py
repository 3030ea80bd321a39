"""A virtual machine on a socket: it keeps the contract, comes and goes, and upsets nobody."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import select
import socket
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.guest import FakeGuest, framed
from tests.support.frames import EXPERIMENT, ethernet, mac
from tests.support.tap_contract import FRAMES, FrameContract, polled, read_whole
from tests.support.waiting import becomes_readable
from vpnws.errors import TapBusyError, TapError
from vpnws.tap.qemu import SAME_FOR_ALL, QemuTap
from vpnws.wire.ethernet import HEADER_BYTES
from vpnws.wire.qemu_stream import MAX_READ_BYTES, BadLengthError, FrameReader
from vpnws.wire.records import MAX_FRAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

OWN = mac(0x0A)


class Machine:
    """A guest at a socket, driven as the contract's tests want it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.tap = QemuTap(path)
        self.up()

    def up(self) -> None:
        """Start the guest."""
        self.guest = FakeGuest(self._path)
        self.send = self.guest.send
        self.receive = self.guest.receive
        self.down = self.guest.leave
        # Whoever waits for frames sees that a guest is there.
        with pytest.raises(BlockingIOError):
            self.tap.read()

    def call(self, function: Callable[[], T]) -> T:
        return function()

    def delete(self) -> None:
        raise NotImplementedError


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "vm.sock")


@pytest.fixture
def machine(path: str, caplog: pytest.LogCaptureFixture) -> Iterator[Machine]:
    caplog.set_level(logging.INFO)
    made = Machine(path)
    yield made
    made.guest.leave()
    made.tap.close()


class TestContract(FrameContract):
    @pytest.fixture
    def device(self, machine: Machine) -> Machine:
        return machine


def sent_from(source: bytes, size: int = 60) -> bytes:
    return ethernet(EXPERIMENT, bytes(size - 14), macs=mac(0x0B) + source)


def taken(tap: QemuTap) -> list[bytes]:
    """Return the frames that are ready."""
    found = []
    try:
        while True:
            found.append(tap.read())
    except BlockingIOError:
        return found


def test_a_frame_may_come_in_pieces_split_anywhere(machine: Machine) -> None:
    frame = FRAMES[0][:20]
    stream = framed(frame) * 2
    for cut in range(1, len(stream)):
        machine.guest.socket.sendall(stream[:cut])
        first = taken(machine.tap)
        machine.guest.socket.sendall(stream[cut:])
        assert [*first, *taken(machine.tap)] == [frame, frame]


@given(
    st.lists(st.binary(min_size=HEADER_BYTES, max_size=3000), max_size=20),
    st.lists(st.integers(1, 5000), min_size=1),
)
def test_any_frames_cut_anyhow_come_out_as_they_were(frames: list[bytes], cuts: list[int]) -> None:
    reader = FrameReader()
    stream = b"".join(map(framed, frames))
    found = []
    for cut in itertools.cycle(cuts):
        if not stream:
            break
        room = reader.room()
        count = min(cut, len(room), len(stream))
        room[:count] = stream[:count]
        stream = stream[count:]
        reader.received(count)
        while reader.has_frame():
            frame = reader.next()
            assert frame is not None
            found.append(bytes(frame))
        assert reader.next() is None
    assert found == frames


def test_the_buffer_has_a_bound_and_takes_the_longest_frame() -> None:
    reader = FrameReader()
    assert len(reader.room()) == MAX_READ_BYTES
    longest = bytes(MAX_FRAME_BYTES)
    for _ in range(3):
        stream = framed(longest)
        reader.room()[: len(stream)] = stream
        reader.received(len(stream))
        frame = reader.next()
        assert frame is not None
        assert bytes(frame) == longest


@pytest.mark.parametrize("length", [0, 1, 13, MAX_FRAME_BYTES + 1, 0xFFFF_FFFF])
def test_a_length_that_no_frame_has_is_refused(length: int) -> None:
    reader = FrameReader()
    reader.room()[:4] = length.to_bytes(4, "big")
    reader.received(4)
    assert reader.has_frame()
    with pytest.raises(BadLengthError):
        reader.next()


def test_frames_that_wait_in_the_buffer_keep_the_descriptor_readable(machine: Machine) -> None:
    machine.send(*FRAMES)
    for frame in FRAMES:
        assert polled(machine.tap) & select.POLLIN
        assert machine.tap.read() == frame
    with pytest.raises(BlockingIOError):
        machine.tap.read()
    assert not polled(machine.tap, wait_ms=0)


def test_a_guest_that_reads_slowly_gets_whole_frames_or_nothing(machine: Machine) -> None:
    machine.guest.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sent = []
    number = 0
    refused = 0
    while refused < 3:
        frame = number.to_bytes(4, "big") * 10_000
        number += 1
        try:
            machine.tap.write(frame)
        except BlockingIOError:
            refused += 1
        else:
            sent.append(frame)
    # What is left of the last one goes as soon as there is room, without another write.
    for frame in sent:
        machine.guest.socket.settimeout(0.0)
        got = b""
        while len(got) < len(framed(frame)):
            try:
                got += machine.guest.socket.recv(len(framed(frame)) - len(got))
            except BlockingIOError:
                assert polled(machine.tap) & select.POLLIN
                assert taken(machine.tap) == []
        assert got == framed(frame)
    assert not polled(machine.tap, wait_ms=0)


def test_a_guest_may_go_and_the_next_one_is_understood_from_its_first_byte(
    machine: Machine, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    machine.guest.socket.sendall(framed(FRAMES[0])[:30])
    assert taken(machine.tap) == []
    assert machine.tap.state().is_up
    machine.guest.leave()
    assert polled(machine.tap)
    assert taken(machine.tap) == []
    assert not machine.tap.state().is_up
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        machine.tap.write(FRAMES[1])
    machine.up()
    machine.send(FRAMES[1])
    assert read_whole(machine.tap)[1] == FRAMES[1]
    machine.tap.write(FRAMES[2])
    assert machine.receive() == FRAMES[2]
    name = f"qemu:{path}"
    # The fixture's own guest has come before.
    assert caplog.messages == [
        f"the guest at {name} is gone; waiting for the next",
        f"a guest has come to {name}",
    ]


def test_a_frame_for_a_guest_that_has_just_come_reaches_it(path: str) -> None:
    tap = QemuTap(path)
    guest = FakeGuest(path)
    tap.write(FRAMES[0])
    assert guest.receive() == FRAMES[0]
    guest.leave()
    tap.close()


def test_a_second_guest_is_sent_away_and_that_is_said_once(
    machine: Machine, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        other = FakeGuest(path)
        assert polled(machine.tap)
        assert taken(machine.tap) == []
        with pytest.raises(EOFError):
            other.receive()
        other.leave()
    assert sum("sent away: one is here" in message for message in caplog.messages) == 1
    machine.tap.write(FRAMES[0])
    assert machine.receive() == FRAMES[0]


def test_what_is_no_frame_ends_the_guest_only(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.guest.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert taken(machine.tap) == []
    with pytest.raises((EOFError, ConnectionResetError)):
        machine.receive()
    assert "does not speak QEMU's framing (a frame of 1195725856 bytes)" in caplog.text
    machine.up()
    machine.send(FRAMES[0])
    assert read_whole(machine.tap)[1] == FRAMES[0]


def test_the_mac_is_the_guests_as_soon_as_it_has_told_it(machine: Machine) -> None:
    events = machine.tap.events
    events.drain()
    machine.tap.set_mac(OWN)
    assert machine.tap.state().mac == OWN
    machine.tap.set_mac(mac(0x0C))
    assert machine.tap.mac == mac(0x0C)
    machine.send(sent_from(mac(0x77)), sent_from(mac(0x78)))
    assert len(taken(machine.tap)) == 2
    # The first frame tells; a guest may be a bridge.
    assert machine.tap.state().mac == mac(0x77)
    assert becomes_readable(events.fd)
    events.drain()
    assert not becomes_readable(events.fd)
    machine.tap.set_mac(mac(0x0C))
    assert machine.tap.mac == mac(0x77)


def test_a_group_address_is_nobodys_mac(machine: Machine) -> None:
    machine.send(sent_from(bytes.fromhex("ffffffffffff")), sent_from(mac(0x77)))
    assert len(taken(machine.tap)) == 2
    assert machine.tap.mac == mac(0x77)


def test_the_mac_that_all_guests_have_is_named(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        machine.send(sent_from(SAME_FOR_ALL))
        assert taken(machine.tap)
    assert caplog.text.count("52:54:00:12:34:56, which QEMU gives to every guest") == 1


def test_it_is_no_interface_and_its_mtu_is_a_note(machine: Machine) -> None:
    assert not machine.tap.is_interface
    assert not machine.tap.set_offload(True)
    machine.tap.set_mtu(1400)
    assert machine.tap.state().mtu_bytes == 1400
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        machine.tap.write_record(bytes(10) + FRAMES[0])


def test_the_sockets_file_goes_with_the_device(path: str) -> None:
    QemuTap(path).close()
    assert not os.path.exists(path)


def test_a_file_that_a_killed_program_left_is_replaced(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    tap = QemuTap(path)
    guest = FakeGuest(path)
    guest.send(FRAMES[0])
    tap.write(FRAMES[1])
    assert guest.receive() == FRAMES[1]
    assert read_whole(tap)[1] == FRAMES[0]
    guest.leave()
    tap.close()


def test_a_path_in_use_is_busy_and_the_first_one_goes_on(machine: Machine, path: str) -> None:
    with pytest.raises(TapBusyError, match="another program listens at"):
        QemuTap(path)
    taken(machine.tap)
    machine.send(FRAMES[0])
    assert read_whole(machine.tap)[1] == FRAMES[0]


def test_a_file_of_somebody_else_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(TapError, match="is there already and is no socket"):
        QemuTap(str(tmp_path / "letter"))
    assert (tmp_path / "letter").read_text() == "dear"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("", "may have 1 to 107 bytes"),
        ("/" + "x" * 107, "may have 1 to 107 bytes"),
        ("/nowhere/vm.sock", "there is no directory /nowhere: make it"),
    ],
)
def test_a_path_that_cannot_be_is_one_sentence(path: str, sentence: str) -> None:
    with pytest.raises(TapError, match=sentence):
        QemuTap(path)


def test_a_closed_device_sends_its_guest_away(machine: Machine) -> None:
    machine.tap.close()
    with pytest.raises((EOFError, ConnectionResetError)):
        machine.receive()

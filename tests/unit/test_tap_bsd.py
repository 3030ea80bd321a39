"""A TAP of FreeBSD and macOS, with a stand-in for their kernel: it could not be run for real."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.fakes.bsd import FakeBsdKernel
from tests.support.frames import mac
from tests.support.tap_contract import FRAMES, FrameContract
from vpnws.errors import TapBusyError, TapError, TapPermissionError
from vpnws.tap import bsd
from vpnws.tap.bsd import BsdTap, open_bsd
from vpnws.tap.contract import DELETED_ERROR, FRAME_ERRORS, DeviceState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


class BsdDevice:
    """The device, driven as the contract's tests want it."""

    def __init__(self) -> None:
        self.kernel = FakeBsdKernel(mac(0x0A))
        self.tap = BsdTap(self.kernel.fd, "/dev/tap7", self.kernel)
        self.tap.up()

    def send(self, frame: bytes) -> None:
        self.kernel.host.send(frame)

    def receive(self) -> bytes:
        return self.kernel.host.recv(65536)

    def call(self, function: Callable[[], T]) -> T:
        return function()

    def up(self) -> None:
        self.tap.up()

    def delete(self) -> None:
        self.kernel.destroy()

    def down(self) -> None:
        self.kernel.flags &= ~bsd.IFF_UP


@pytest.fixture
def made() -> Iterator[BsdDevice]:
    device = BsdDevice()
    yield device
    device.tap.close()


class TestContract(FrameContract):
    @pytest.fixture
    def device(self, made: BsdDevice) -> BsdDevice:
        return made


def test_it_knows_its_name_mac_mtu_and_state(made: BsdDevice) -> None:
    assert made.tap.state() == DeviceState("tap7", mac(0x0A), 1500, is_up=True)
    made.tap.set_mtu(1400)
    made.tap.set_mac(mac(0x0B))
    made.down()
    assert made.tap.state() == DeviceState("tap7", mac(0x0B), 1400, is_up=False)
    assert made.kernel.mac == made.tap.mac


def test_bringing_it_up_leaves_the_other_flags(made: BsdDevice) -> None:
    assert made.kernel.flags == 0x8803


def test_what_is_so_already_needs_no_privileges(made: BsdDevice) -> None:
    made.kernel.may_set = False
    made.tap.set_mtu(1500)
    made.tap.set_mac(mac(0x0A))
    made.tap.up()
    with pytest.raises(TapPermissionError, match="no permission to use /dev/tap7 and its"):
        made.tap.set_mtu(1400)


def test_a_wrong_mtu_is_one_sentence(made: BsdDevice) -> None:
    with pytest.raises(TapError, match="cannot use the TAP device tap7: Invalid argument"):
        made.tap.set_mtu(9)


def test_an_interface_that_was_destroyed_says_so(made: BsdDevice) -> None:
    made.delete()
    for call in (made.tap.read, lambda: made.tap.write(FRAMES[0])):
        with pytest.raises(OSError, match=os.strerror(DELETED_ERROR)) as caught:
            call()
        assert caught.value.errno not in FRAME_ERRORS
    with pytest.raises(TapError, match="the TAP device tap7 was deleted"):
        made.tap.state()


def test_no_header_precedes_a_frame(made: BsdDevice) -> None:
    assert not made.tap.has_vnet
    assert made.tap.set_offload(True) is False
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        made.tap.write_record(bytes(10) + FRAMES[0])


def test_a_renamed_interface_is_found_by_its_name() -> None:
    kernel = FakeBsdKernel(mac(0x0A))
    kernel.name = "vpn0"
    assert BsdTap(kernel.fd, "/dev/tap7", kernel).state().name == "vpn0"


def test_without_that_ioctl_the_path_has_the_name() -> None:
    kernel = FakeBsdKernel(mac(0x0A))
    kernel.has_name_ioctl = False
    assert BsdTap(kernel.fd, "/dev/tap7", kernel).state().name == "tap7"


@pytest.mark.parametrize("path", ["/dev/tap", "/dev/tun0", "/dev/../etc/passwd", "/dev/tap0x"])
def test_other_paths_are_no_taps(path: str) -> None:
    with pytest.raises(TapError, match="is no TAP device: name one such as /dev/tap0"):
        open_bsd(path)


def test_a_device_that_is_not_there_says_how_to_make_it() -> None:
    with pytest.raises(TapError, match="kldload if_tuntap; ifconfig tap99999 create"):
        open_bsd("/dev/tap99999")


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.EBUSY, TapBusyError), (errno.EACCES, TapPermissionError)]
)
def test_what_keeps_it_from_being_opened_has_its_error(
    monkeypatch: pytest.MonkeyPatch, code: int, kind: type[TapError]
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(kind):
        open_bsd("/dev/tap7")

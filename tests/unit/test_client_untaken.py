"""What the server offers to a device that the client cannot set up: it is said, and that is all."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import pytest

from vpnws.client.system.untaken import MAX_SAID, Untaken, can_be_set_up
from vpnws.tap.qemu import QemuTap
from vpnws.wire.offer import Offer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vpnws.tap.memory import MemoryTap

OFFER = Offer(address=("10.8.0.7/24", "fd08::7/64"), dns=("10.8.0.1",), mtu=1400, notice="hello")


@pytest.fixture
def guest(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[QemuTap]:
    caplog.set_level(logging.INFO)
    made = QemuTap(str(tmp_path / "vm.sock"))
    yield made
    made.close()


def test_an_offer_for_a_guest_is_said_once(
    guest: QemuTap, caplog: pytest.LogCaptureFixture
) -> None:
    follower = Untaken(guest)
    for _ in range(2):
        follower.told(OFFER)
    follower.told(Offer(notice="only that"))
    assert caplog.messages == [
        "the server offers address 10.8.0.7/24 fd08::7/64, dns 10.8.0.1, mtu 1400:"
        f" set it up in the guest at {guest.name}"
    ]


def test_a_server_cannot_fill_the_log(guest: QemuTap, caplog: pytest.LogCaptureFixture) -> None:
    follower = Untaken(guest)
    for number in range(2 * MAX_SAID):
        follower.told(Offer(mtu=1000 + number))
    assert len(caplog.messages) == MAX_SAID


def test_where_a_device_is_set_up(
    guest: QemuTap, tap: MemoryTap, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert can_be_set_up(tap)
    assert not can_be_set_up(guest)
    monkeypatch.setattr(sys, "platform", "freebsd14")
    assert not can_be_set_up(tap)
    monkeypatch.undo()
    tap.host_change(is_here=False)
    assert not can_be_set_up(tap)

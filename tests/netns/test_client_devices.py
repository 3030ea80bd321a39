"""Devices that the client does not make: inherited, kept, in another namespace, not to be had."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.client_bed import MAC, ProgramBed, echoes, make_frame, on_the_tap
from tests.support.netns import Namespace
from tests.support.prerequisites import require
from tests.support.vpn import TAP
from vpnws.client.program.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.netns

FD = 9
PARENT = f"""
import os, sys
from vpnws.tap.tun_device import open_own
flags = int(sys.argv[1])
os.dup2(open_own("{TAP}", flags).fileno(), {FD})
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""A parent that opens a TAP, and becomes the client, which inherits it."""
PLAIN, WITH_HEADERS, WITH_INFORMATION = 0x1002, 0x5002, 0x0002


def parent(flags: int) -> list[str]:
    """Return a command that opens the TAP and then runs a command."""
    return [sys.executable, "-c", PARENT, str(flags)]


def carry(bed: ProgramBed, namespace: Namespace, number: int) -> None:
    with on_the_tap(namespace) as sock:
        sock.send(make_frame(number, 1000))
        assert echoes(sock, 1) == [make_frame(number, 1000)]


@pytest.mark.parametrize("flags", [PLAIN, WITH_HEADERS], ids=["plain", "vnet"])
def test_a_tap_is_inherited_from_the_parent(bed: ProgramBed, flags: int) -> None:
    client = bed.start_behind(
        parent(flags), "--mac", MAC, "--address", "10.8.0.2/24", f"fd:{FD}", bed.url
    )
    client.wait_until_connected()
    assert f"as {TAP} {MAC}" in client.log_text()
    assert "10.8.0.2/24" in bed.namespace.ip(f"-o address show dev {TAP}")
    carry(bed, bed.namespace, 1)
    assert client.stop() == Exit.STOPPED
    assert "Traceback" not in client.log_text()


def test_an_inherited_tap_may_be_in_a_container_that_the_client_is_not_in(bed: ProgramBed) -> None:
    require("nsenter")
    with Namespace("container") as container:
        back = ["nsenter", f"--net=/run/netns/{bed.namespace.name}"]
        way = [*container.command([]), *parent(PLAIN), *back]
        refused = bed.start_behind(way, "--address", "10.8.0.2/24", f"fd:{FD}", bed.url)
        assert refused.wait_for_end() == Exit.TAP
        assert f"{TAP} is in another network namespace" in refused.log_text()
        client = bed.start_behind(way, f"fd:{FD}", bed.url)
        client.wait_until_connected()
        container.ip(f"link set {TAP} up")
        carry(bed, container, 1)
        assert client.stop() == Exit.STOPPED
        assert TAP not in container.ip("-o link show")


def test_a_descriptor_that_is_no_tap_is_one_sentence(bed: ProgramBed) -> None:
    client = bed.start("fd:9", bed.url)
    assert client.wait_for_end() == Exit.TAP
    assert "fd:9 is not open here: the parent opens /dev/net/tun" in client.log_text()
    assert client.log_text().count("\n") == 1


def test_packet_information_before_the_frames_is_refused(bed: ProgramBed) -> None:
    client = bed.start_behind(parent(WITH_INFORMATION), f"fd:{FD}", bed.url)
    assert client.wait_for_end() == Exit.TAP
    assert f"fd:{FD} puts packet information before each frame of {TAP}" in client.log_text()


@pytest.fixture
def leftover(bed: ProgramBed) -> Iterator[None]:
    yield
    bed.namespace.ip(f"link delete {TAP}")


@pytest.mark.usefixtures("leftover")
def test_a_device_stays_if_told_so_and_keeps_its_mac(bed: ProgramBed) -> None:
    first = bed.connect("--persist")
    assert f"{TAP} stays when the client ends: ip link delete {TAP}" in first.log_text()
    mac = bed.server.requests[0].headers["X-vpn-ws-MAC"]
    assert first.stop() == Exit.STOPPED
    assert bed.has_tap()
    bed.namespace.ip(f"link set {TAP} address {MAC}")
    second = bed.connect()
    assert bed.server.requests[-1].headers["X-vpn-ws-MAC"] == MAC != mac
    carry(bed, bed.namespace, 1)
    assert second.stop() == Exit.STOPPED
    assert bed.has_tap()


def test_in_a_container_without_the_driver_it_gets_its_exact_lines(bed: ProgramBed) -> None:
    hidden = 'mount -t tmpfs tmpfs /dev/net && exec "$@"'
    client = bed.start_behind(["unshare", "--mount", "sh", "-c", hidden, "sh"], TAP, bed.url)
    assert client.wait_for_end() == Exit.TAP
    for line in (
        "docker run --device /dev/net/tun --cap-add NET_ADMIN",
        "lxc.mount.entry = /dev/net/tun dev/net/tun none bind,create=file 0 0",
        "devices.allow = c 10:200 rwm",
    ):
        assert line in client.log_text()
    assert client.log_text().count("\n") == 1

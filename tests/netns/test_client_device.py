"""The client's device while the program runs: changed, moved, deleted, or made by somebody else."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.support.client_bed import (
    MAC,
    WAIT_S,
    ProgramBed,
    echoes,
    make_frame,
    on_the_tap,
)
from tests.support.netns import Namespace
from tests.support.prerequisites import require
from tests.support.site import raw_socket
from tests.support.unprivileged import NOBODY, as_seen_by_users
from tests.support.vpn import TAP, Client
from tests.support.waiting import wait_for
from vpnws.client.program.exits import Exit

pytestmark = pytest.mark.netns

OTHER_MAC = "02:00:00:00:00:77"


def test_a_device_that_is_deleted_ends_the_program(bed: ProgramBed) -> None:
    client = bed.connect()
    bed.namespace.ip(f"link delete {TAP}")
    assert client.wait_for_end() == Exit.TAP
    assert f"the TAP device {TAP} was deleted" in client.log_text()


def test_a_device_that_is_deleted_while_the_server_is_away_ends_the_program(
    bed: ProgramBed,
) -> None:
    bed.server.status = HTTPStatus.BAD_GATEWAY
    client = bed.start(TAP, bed.url)
    client.wait_for_log("trying again in")
    bed.namespace.ip(f"link delete {TAP}")
    assert client.wait_for_end() == Exit.TAP
    assert f"the TAP device {TAP} was deleted" in client.log_text()
    assert "Traceback" not in client.log_text()


def test_a_greater_mtu_is_taken_and_told_and_frames_of_it_pass(bed: ProgramBed) -> None:
    client = bed.connect()
    bed.namespace.ip(f"link set {TAP} mtu 9000")
    client.wait_for_log(f"the MTU of {TAP} is 9000 now", within_s=WAIT_S)
    with on_the_tap(bed.namespace) as sock:
        sock.send(make_frame(1, 9014))
        assert echoes(sock, 1) == [make_frame(1, 9014)]
    assert client.stop() == Exit.STOPPED
    assert "longer than" not in client.log_text()


def test_a_frame_that_is_longer_than_the_mtu_is_told_once(bed: ProgramBed) -> None:
    client = bed.connect()
    for number in range(3):
        bed.link().send(make_frame(number, 9014))
    client.wait_for_log(f"longer than the MTU of {TAP} allows", within_s=WAIT_S)
    assert client.stop() == Exit.STOPPED
    assert client.log_text().count("longer than the MTU of") == 1
    assert "3 longer than the MTU allows" in client.log_text()


def test_a_new_mac_is_announced_by_a_new_connection(bed: ProgramBed) -> None:
    client = bed.connect()
    bed.namespace.ip(f"link set {TAP} address {MAC}")
    client.wait_until_connected(2)
    assert f"the MAC of {TAP} is {MAC} now" in client.log_text()
    assert bed.server.requests[1].headers["X-vpn-ws-MAC"] == MAC
    assert client.stop() == Exit.STOPPED


def test_down_up_and_another_name_are_told_and_do_not_end_it(bed: ProgramBed) -> None:
    client = bed.connect()
    bed.namespace.ip(f"link set {TAP} down")
    client.wait_for_log(f"{TAP} is down, so no frame passes", within_s=WAIT_S)
    bed.namespace.ip(f"link set {TAP} name other0")
    bed.namespace.ip("link set other0 up")
    client.wait_for_log("other0 is up", within_s=WAIT_S)
    assert f"the device {TAP} is called other0 now" in client.log_text()
    with closing(raw_socket(bed.namespace, "other0")) as sock:
        sock.settimeout(WAIT_S)
        sock.send(make_frame(1, 100))
        assert echoes(sock, 1) == [make_frame(1, 100)]
    bed.link().close(1012)
    client.wait_until_connected(2)
    assert " as other0 " in client.log_text()
    assert client.stop() == Exit.STOPPED


@pytest.mark.parametrize("is_connected", [True, False])
def test_a_device_that_moves_to_a_container_goes_on_there(
    bed: ProgramBed, is_connected: bool
) -> None:
    bed.server.status = None if is_connected else HTTPStatus.BAD_GATEWAY
    client = bed.start("--mac", MAC, "--address", "10.8.0.2/24", TAP, bed.url)
    client.wait_for_log("connected to" if is_connected else "trying again")
    with Namespace("container") as container:
        bed.namespace.ip(f"link set {TAP} netns {container.name}")
        container.ip(f"link set {TAP} mtu 9000 up")
        # Another device has the name now, and is not taken for ours.
        bed.namespace.ip(f"tuntap add {TAP} mode tap")
        client.wait_for_log(f"{TAP} is in another network namespace now", within_s=WAIT_S)
        bed.server.status = None
        client.wait_until_connected()
        with on_the_tap(container) as sock:
            sock.send(make_frame(1, 9014))
            assert echoes(sock, 1) == [make_frame(1, 9014)]
        made = len(bed.server.connections)
        bed.link().close(1012)
        wait_for(lambda: len(bed.server.connections) > made, WAIT_S, "the client to come back")
        assert bed.server.requests[-1].headers["X-vpn-ws-MAC"] == MAC
        assert client.stop() == Exit.STOPPED
        assert client.log_text().count("in another network namespace") == 1
        assert "Traceback" not in client.log_text()
    bed.namespace.ip(f"link delete {TAP}")


def test_a_device_of_another_namespace_that_is_deleted_ends_the_program(bed: ProgramBed) -> None:
    client = bed.connect()
    with Namespace("container") as container:
        bed.namespace.ip(f"link set {TAP} netns {container.name}")
        container.ip(f"link delete {TAP}")
        assert client.wait_for_end() == Exit.TAP
    assert f"the TAP device {TAP} was deleted" in client.log_text()


def test_the_sys_of_another_namespace_is_not_believed(bed: ProgramBed) -> None:
    require("nsenter")
    bed.namespace.ip("link add br0 type bridge")
    try:
        # Unlike `ip netns exec`, this leaves the machine's /sys in place.
        enter = ["nsenter", f"--net=/run/netns/{bed.namespace.name}"]
        client = bed.parts.enter_context(
            Client(None, "--bridge", "br0", TAP, bed.url, wrapper=enter)
        )
        client.wait_until_connected()
        assert client.stop() == Exit.STOPPED
    finally:
        bed.namespace.ip("link delete br0")


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ("link add tap8 type bridge", "the device tap8 exists already and is no TAP: name another"),
        ("tuntap add tap8 mode tun", "the device tap8 is a TUN device, which carries no Ethernet"),
        ("tuntap add tap8 mode tun multi_queue", "the device tap8 is a TUN device, which carries"),
        ("tuntap add tap8 mode tap multi_queue", "the device tap8 was made with several queues"),
    ],
)
def test_a_device_that_is_no_tap_of_ours_is_one_sentence(
    bed: ProgramBed, made: str, sentence: str
) -> None:
    bed.namespace.ip(made)
    try:
        client = bed.start("tap8", bed.url)
        assert client.wait_for_end() == Exit.TAP
        assert sentence in client.log_text()
        assert client.log_text().count("\n") == 1
    finally:
        bed.namespace.ip("link delete tap8")


AS_NOBODY = f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --bounding-set=-all"
SHORTEN = f"ip link set {TAP} txqueuelen 256"


@contextmanager
def device_for_nobody(bed: ProgramBed, queue: str = "") -> Iterator[None]:
    """A device that root has made for a user without privileges, and has set up."""
    require("setpriv")
    bed.namespace.ip(f"tuntap add {TAP} mode tap user {NOBODY}")
    try:
        bed.namespace.ip(f"link set {TAP} address {MAC} mtu 1400 {queue} up")
        bed.namespace.ip(f"address add 10.8.0.2/24 dev {TAP}")
        yield
    finally:
        bed.namespace.ip(f"link delete {TAP}")


@pytest.mark.parametrize(("queue", "advice"), [("", SHORTEN), ("txqueuelen 256", "")])
def test_a_user_needs_no_privileges_for_a_device_made_for_the_user(
    bed: ProgramBed, tmp_path: Path, queue: str, advice: str
) -> None:
    with device_for_nobody(bed, queue):
        client = bed.parts.enter_context(
            Client(
                bed.namespace,
                *("--mac", MAC, "--mtu", "1400", "--address", "10.8.0.2/24", TAP, bed.url),
                wrapper=[*as_seen_by_users(tmp_path), *AS_NOBODY.split()],
            )
        )
        client.wait_until_connected()
        with on_the_tap(bed.namespace) as sock:
            sock.send(make_frame(1, 100))
            assert echoes(sock, 1) == [make_frame(1, 100)]
        assert client.stop() == Exit.STOPPED
        assert advice in client.log_text()
        assert ("no permission" in client.log_text()) is bool(advice)


@pytest.mark.parametrize(
    ("options", "command"),
    [
        (["--mtu", "1300"], f"ip link set {TAP} mtu 1300"),
        (["--mtu", "1400", "--mac", OTHER_MAC], f"ip link set {TAP} address {OTHER_MAC}"),
        (
            ["--mtu", "1400", "--address", "10.8.0.3/24"],
            f"ip address replace 10.8.0.3/24 dev {TAP}",
        ),
    ],
)
def test_what_a_user_may_not_do_root_is_told_to_do(
    bed: ProgramBed, tmp_path: Path, options: list[str], command: str
) -> None:
    with device_for_nobody(bed, "txqueuelen 256"):
        client = bed.parts.enter_context(
            Client(
                bed.namespace,
                *("--quiet", *options, TAP, bed.url),
                wrapper=[*as_seen_by_users(tmp_path), *AS_NOBODY.split()],
            )
        )
        assert client.wait_for_end() == Exit.TAP_PERMISSION
        assert client.log_text().endswith(f"; or have root type: {command}\n")
        assert client.log_text().count("\n") == 1


def test_a_device_that_is_down_for_a_while_does_not_end_it(bed: ProgramBed) -> None:
    client = bed.connect()
    bed.namespace.ip(f"link set {TAP} down")
    bed.link().send(make_frame(1, 100))
    # Its answer comes after the client's look at the frame.
    assert bed.link().ping().wait(WAIT_S)
    bed.namespace.ip(f"link set {TAP} up")
    with on_the_tap(bed.namespace) as sock:
        sock.send(make_frame(2, 100))
        assert echoes(sock, 1) == [make_frame(2, 100)]
    assert client.stop() == Exit.STOPPED
    assert " refused by the device" in client.log_text()

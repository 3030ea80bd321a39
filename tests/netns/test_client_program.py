"""The whole program, as a user starts it, with a real TAP device in a network namespace of its own.

The namespace has nothing but `lo` and the client's TAP. The server is the websockets library's,
in this process, listening in that namespace; frames are put on the TAP by a packet socket there.
"""

import json
import signal
import socket
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.support.ca import CertificateAuthority
from tests.support.client_bed import (
    MAC,
    WAIT_S,
    ProgramBed,
    echoes,
    make_frame,
    on_the_tap,
)
from tests.support.echo_server import EchoServer
from tests.support.prerequisites import require
from tests.support.vpn import TAP
from tests.support.waiting import wait_for
from vpnws.client.program.exits import Exit

pytestmark = pytest.mark.netns


def test_frames_cross_both_ways_and_sigterm_leaves_nothing_behind(
    bed: ProgramBed, tmp_path: Path
) -> None:
    password = tmp_path / "pw"
    password.write_text("s3cret\n")
    client = bed.connect("--mac", MAC, "--user", "al", "--password-file", str(password))
    assert f"connected to {bed.url} as {TAP} {MAC}, offload off\n" in client.log_text()
    assert bed.server.requests[0].headers["X-vpn-ws-MAC"] == MAC
    assert bed.server.requests[0].headers["Authorization"] == "Basic YWw6czNjcmV0"
    with on_the_tap(bed.namespace) as sock:
        for size in (60, 1514):
            sock.send(make_frame(size, size))
            assert echoes(sock, 1) == [make_frame(size, size)]
    assert client.end_by(signal.SIGTERM) == Exit.STOPPED
    assert not bed.has_tap()
    wait_for(lambda: bed.server.closed_with, WAIT_S, "the server to see the close")
    assert bed.server.closed_with == [1000]
    assert "stopped by SIGTERM" in client.log_text()
    assert "Traceback" not in client.log_text()


def test_over_tls_a_crowd_of_frames_keeps_its_order_and_sigint_ends_it(
    bed: ProgramBed, tmp_path: Path
) -> None:
    require("openssl")
    authority = CertificateAuthority(tmp_path)
    context = authority.server_context("127.0.0.1")
    with EchoServer(bed.namespace, context=context) as secure:
        url = f"wss://127.0.0.1:{secure.port}/vpn"
        client = bed.start("--ca", str(authority.crt), TAP, url)
        client.wait_for_log(f"connected to {url}")
        with on_the_tap(bed.namespace) as sock:
            sent = [make_frame(number, 1400) for number in range(100)]
            for frame in sent:
                sock.send(frame)
            assert echoes(sock, len(sent)) == sent
        assert client.stop() == Exit.STOPPED
        assert "stopped by SIGINT" in client.log_text()


def test_the_interface_is_set_up_as_told(bed: ProgramBed) -> None:
    client = bed.connect(
        *("--mac", MAC, "--mtu", "1400", "--address", "10.8.0.2/24", "--address", "fd00:8::2/64")
    )
    (shown,) = json.loads(bed.namespace.ip(f"-j address show dev {TAP}"))
    assert shown["address"] == MAC
    assert shown["mtu"] == 1400
    assert "UP" in shown["flags"]
    addresses = {(one["local"], one["prefixlen"]) for one in shown["addr_info"]}
    assert {("10.8.0.2", 24), ("fd00:8::2", 64)} <= addresses
    assert client.stop() == Exit.STOPPED


def test_the_device_is_put_into_the_bridge(bed: ProgramBed) -> None:
    bed.namespace.ip("link add br0 type bridge")
    try:
        client = bed.connect("--bridge", "br0")
        (shown,) = json.loads(bed.namespace.ip(f"-j link show dev {TAP}"))
        assert shown["master"] == "br0"
        assert client.stop() == Exit.STOPPED
    finally:
        bed.namespace.ip("link del br0")


@pytest.mark.parametrize(
    ("device", "sentence"), [("br9", "there is no bridge br9: make it"), ("lo", "is not a bridge")]
)
def test_what_is_no_bridge_is_one_sentence(bed: ProgramBed, device: str, sentence: str) -> None:
    client = bed.start("--bridge", device, TAP, bed.url)
    assert client.wait_for_end() == Exit.TAP
    assert sentence in client.log_text()
    assert client.log_text().count("\n") == 1


def test_a_wrong_address_ends_the_program_with_a_sentence(bed: ProgramBed) -> None:
    client = bed.start("--address", "fd00::2/64", "--mtu", "1000", TAP, bed.url)
    assert client.wait_for_end() == Exit.TAP
    assert f"cannot give the address fd00::2/64 to {TAP}: " in client.log_text()
    assert "IPv6 needs an MTU of 1280 or more, and --mtu says 1000" in client.log_text()
    assert client.log_text().count("\n") == 1


def test_an_address_that_covers_the_servers_is_one_sentence(bed: ProgramBed) -> None:
    client = bed.start("--once", "--address", "10.8.0.2/24", TAP, "ws://10.8.0.7:8080/")
    assert client.wait_for_end() == Exit.CONNECT
    assert "--address 10.8.0.2/24 covers the server's own address" in client.log_text()
    assert client.log_text().count("\n") == 1


def test_a_device_in_use_is_exit_code_4(bed: ProgramBed) -> None:
    first = bed.connect()
    second = bed.start(TAP, bed.url)
    assert second.wait_for_end() == Exit.TAP_BUSY
    assert second.log_text() == f"vpnws-client: the TAP device {TAP} is in use by another process\n"
    assert first.stop() == Exit.STOPPED


@pytest.mark.parametrize(
    ("prefix", "by_root"),
    [
        (
            "setpriv --reuid 65534 --regid 65534 --clear-groups",
            f"; or have root type: ip tuntap add {TAP} mode tap user 65534; ip link set {TAP} up\n",
        ),
        ("setpriv --bounding-set=-net_admin", "with --cap-add NET_ADMIN)\n"),
    ],
    ids=["nobody", "root without CAP_NET_ADMIN"],
)
def test_without_the_right_to_make_devices_it_is_exit_code_3(
    bed: ProgramBed, prefix: str, by_root: str
) -> None:
    require("setpriv")
    client = bed.start(TAP, bed.url, prefix=prefix)
    assert client.wait_for_end() == Exit.TAP_PERMISSION
    assert "run as root" in client.log_text()
    assert client.log_text().endswith(by_root)
    assert client.log_text().count("\n") == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_at_first_ends_the_program(bed: ProgramBed, status: int) -> None:
    bed.server.status = HTTPStatus(status)
    client = bed.start(TAP, bed.url.replace("//", "//al:s3cret@"))
    assert client.wait_for_end() == Exit.REFUSED
    assert f"(HTTP {status})" in client.log_text()
    assert "s3cret" not in client.log_text()
    assert len(bed.server.requests) == 1


def test_an_unknown_certificate_at_first_ends_the_program(bed: ProgramBed, tmp_path: Path) -> None:
    require("openssl")
    context = CertificateAuthority(tmp_path).server_context("127.0.0.1")
    with EchoServer(bed.namespace, context=context) as secure:
        client = bed.start(TAP, f"wss://127.0.0.1:{secure.port}/")
        assert client.wait_for_end() == Exit.TLS
        assert "use --ca FILE for a private authority" in client.log_text()


def test_once_means_once(bed: ProgramBed) -> None:
    client = bed.start("--once", TAP, "ws://127.0.0.1:9/")
    assert client.wait_for_end() == Exit.CONNECT
    assert "cannot connect to 127.0.0.1:9: Connection refused" in client.log_text()


def test_a_lost_connection_is_made_again_and_refusals_no_longer_end_it(bed: ProgramBed) -> None:
    client = bed.connect("--mac", MAC)
    bed.server.status = HTTPStatus.FORBIDDEN
    bed.link().close(1012, "restart")
    client.wait_for_log("the server closed the connection: 1012 (restart); trying again in ")
    client.wait_for_log("(HTTP 403); trying again in ")
    with on_the_tap(bed.namespace) as sock:
        sock.send(make_frame(1, 100))
        bed.server.status = None
        client.wait_until_connected(2)
        sock.send(make_frame(2, 100))
        # The frame that was sent during the outage is not delivered late.
        assert echoes(sock, 1) == [make_frame(2, 100)]
    assert client.stop() == Exit.STOPPED
    assert "queued while not connected" in client.log_text()


@pytest.mark.parametrize("trouble", ["refused", "silent"])
def test_a_signal_ends_it_while_it_is_not_connected(bed: ProgramBed, trouble: str) -> None:
    listener = bed.namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    with listener:
        port = listener.getsockname()[1] if trouble == "silent" else 9
        client = bed.start("--quiet", TAP, f"ws://127.0.0.1:{port}/")
        wait_for(bed.has_tap, WAIT_S, "the device")
        if trouble == "silent":
            listener.accept()[0].detach()
        else:
            client.wait_for_log("trying again")
        assert client.stop() == Exit.STOPPED


def test_quiet_prints_nothing_while_all_is_well(bed: ProgramBed) -> None:
    client = bed.start("--quiet", TAP, bed.url)
    bed.link()
    assert client.stop() == Exit.STOPPED
    assert client.log_text() == ""


def test_the_kernel_may_number_the_device(bed: ProgramBed) -> None:
    client = bed.start("tap%d", bed.url)
    client.wait_for_log("connected to")
    assert f" as {TAP} " in client.log_text()
    assert client.stop() == Exit.STOPPED

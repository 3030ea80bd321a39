"""What a client sets up on a real machine, and that nothing of it is left, however it ends."""

from __future__ import annotations

import signal
import socket
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import websockets

from tests.support.client_bed import MAC, WAIT_S, ProgramBed, on_the_tap
from tests.support.frames import mac, router_advertisement
from tests.support.mounts import own_mounts
from tests.support.prerequisites import require, require_tap
from tests.support.roaming import URL, URL_6, RoamingSite, janitor_of, wait_for_end
from tests.support.site import INTERNET_ADDRESS, INTERNET_ADDRESS_6, url_of
from tests.support.traffic import ping
from tests.support.unprivileged import NOBODY, capabilities, users
from tests.support.vpn import TAP, Client, kill
from tests.support.waiting import wait_for
from vpnws.client.janitor.announcer import announce
from vpnws.client.program.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.netns

ADDRESSES = ("--address", "10.8.0.2/24", "--address", "fd08::2/64")
EVERYTHING = ("--default-route", "--gateway", "10.8.0.254", "--gateway", "fd08::fe")
NAMES = ("--dns", "10.8.0.254", "--route", "10.20.0.0/16 via 10.8.0.254")
RECONNECT_S = 40.0
SERVERS = ("10.99.0.1", "fd99::1")
HOSTILE = "$(touch /tmp/owned) `id` ; reboot"


@pytest.fixture(scope="module")
def site() -> Iterator[RoamingSite]:
    require_tap()
    require("nginx", "ping")
    with RoamingSite() as made:
        made.wait_for_uplink()
        yield made


@pytest.fixture(autouse=True)
def ended(site: RoamingSite) -> Iterator[None]:
    """Leave no client to the next test."""
    yield
    site.end_clients()


def wait_for_internet(site: RoamingSite) -> None:
    for address in (INTERNET_ADDRESS, INTERNET_ADDRESS_6):
        wait_for(partial(reaches, site, address), RECONNECT_S, f"a way to {address}")


def reaches(site: RoamingSite, address: str) -> bool:
    return ping(site.laptop, address, count=1).received == 1


def asks_in_the_vpn(site: RoamingSite) -> bool:
    return "nameserver 10.8.0.254" in site.laptop.run("cat /etc/resolv.conf").stdout


def start(site: RoamingSite, *options: str, url: str = URL) -> Client:
    """Start a client that leads everything through the VPN, and wait until that is so."""
    client = site.start(*ADDRESSES, *EVERYTHING, *NAMES, *options, TAP, url)
    client.wait_until_connected()
    wait_for_internet(site)
    return client


def pinned_by(site: RoamingSite) -> dict[str, str]:
    """Return which addresses are pinned, each with its gateway."""
    return {
        each["dst"]: each.get("gateway", each.get("type", ""))
        for each in site.routes()
        if each["dst"] in SERVERS
    }


def test_everything_leads_through_the_vpn_also_after_a_move_and_nothing_is_left(
    site: RoamingSite, tmp_path: Path
) -> None:
    before = site.state()
    assert ping(site.laptop, INTERNET_ADDRESS, count=1).received == 0
    note = tmp_path / "note"
    script = f"sh -c 'echo $1 $VPNWS_TAP $VPNWS_ADDRESS $VPNWS_REASON $(id -u) >> {note}' sh"
    client = start(site, "--exec", f"{script} up", "--exec-down", f"{script} down")
    assert pinned_by(site) == {"10.99.0.1": "192.168.50.1"}
    wait_for(partial(asks_in_the_vpn, site), WAIT_S, "the name server of the VPN")
    # The main process has no privileges; its TAP and the next connection work without.
    assert users(client.pids()[0]) == {NOBODY}
    assert capabilities(client.pids()[0]) == 0

    site.use(1)
    client.wait_for_log("connected to", 2, within_s=RECONNECT_S)
    wait_for_internet(site)
    assert pinned_by(site) == {"10.99.0.1": "172.20.0.1"}
    assert client.log_text().count("offload on") == 2

    assert client.end_by(signal.SIGTERM) == Exit.STOPPED
    site.use(0)
    assert site.state() == before
    words = [line.split() for line in note.read_text().splitlines()]
    assert [(line[0], line[-1]) for line in words] == [
        *(("up", "0"), ("down", "0"), ("up", "0"), ("down", "0"))
    ]
    assert words[0][1:4] == [TAP, "10.8.0.2/24", "fd08::2/64"]
    assert "Traceback" not in client.log_text()


def test_a_client_that_is_killed_leaves_nothing(site: RoamingSite) -> None:
    before = site.state()
    client = start(site, url=URL_6)
    assert pinned_by(site) == {"fd99::1": "fd50::1"}
    janitor = janitor_of(client)
    kill(client.pids()[0])
    wait_for_end(janitor)
    assert site.state() == before


def test_a_device_that_is_deleted_takes_nothing_along_that_stays(site: RoamingSite) -> None:
    before = site.state()
    client = start(site)
    site.laptop.ip(f"link delete {TAP}")
    assert client.wait_for_end() == Exit.TAP
    assert f"the TAP device {TAP} was deleted" in client.log_text()
    assert site.state() == before


def test_a_janitor_that_is_killed_ends_the_client_and_the_next_start_undoes_the_rest(
    site: RoamingSite,
) -> None:
    before = site.state()
    client = start(site)
    kill(janitor_of(client))
    assert client.wait_for_end() == Exit.JANITOR
    assert "its next start undoes the rest, and so does vpnws-client clean" in client.log_text()
    assert pinned_by(site) == {"10.99.0.1": "192.168.50.1"}

    again = start(site)
    assert "tap0: undone what a killed client had left" in again.log_text()
    assert again.end_by(signal.SIGINT) == Exit.STOPPED
    assert site.state() == before


def test_when_both_are_killed_clean_undoes_the_rest(site: RoamingSite) -> None:
    before = site.state()
    client = start(site)
    second = site.start("tap9", URL)
    second.wait_until_connected()
    for pid in (janitor_of(client), client.pids()[0]):
        kill(pid)
    assert site.state() != before
    said = site.clean()
    assert "tap0: undone what a killed client had left" in said
    assert "tap9: its client runs, so nothing is undone" in said
    assert second.end_by(signal.SIGTERM) == Exit.STOPPED
    assert site.state() == before


def test_the_server_may_give_everything(site: RoamingSite) -> None:
    before = site.state()
    client = site.start("--default-route", "--accept", "address,dns", TAP, url_of("given"))
    client.wait_until_connected()
    wait_for(partial(reaches, site, INTERNET_ADDRESS), RECONNECT_S, "a way to the internet")
    assert pinned_by(site) == {"10.99.0.1": "192.168.50.1"}
    wait_for(partial(asks_in_the_vpn, site), WAIT_S, "the name server of the VPN")
    assert "--default-route waits" not in client.log_text()
    kill(client.pids()[0])
    wait_for(lambda: not client.pids(), WAIT_S, "the janitor to end")
    assert site.state() == before


@pytest.mark.parametrize("mount", ["size=4k", "ro"], ids=["a full disk", "read-only"])
def test_without_a_journal_it_says_so_and_undoes_everything_all_the_same(
    site: RoamingSite, mount: str
) -> None:
    before = site.state()
    inside = (
        f"mkdir -p /run/vpnws-client; mount -t tmpfs -o {mount} tmpfs /run/vpnws-client;"
        ' head -c 8192 /dev/zero 2>/dev/null >/run/vpnws-client/fill || true; exec "$@"'
    )
    wrapper = own_mounts(inside)
    client = site.start(*ADDRESSES, *EVERYTHING, *NAMES, TAP, URL, wrapper=wrapper)
    client.wait_until_connected()
    wait_for_internet(site)
    client.wait_for_log("no journal can be kept (/run/vpnws-client")
    assert client.log_text().count("no journal can be kept") == 1
    assert client.end_by(signal.SIGTERM) == Exit.STOPPED
    assert site.state() == before


def test_it_needs_no_file_of_its_own_once_it_has_given_up_its_privileges(
    bed: ProgramBed, tmp_path: Path
) -> None:
    """The project may lie where only root can read it."""
    library = Path(websockets.__file__).parent
    lines = (
        "set -e",
        f"mount -t tmpfs -o mode=700 tmpfs {tmp_path}",
        f"cp -r vpnws {library} {tmp_path}",
        f"cd {tmp_path}",
        'exec "$@"',
    )
    wrapper = own_mounts("; ".join(lines))
    url = bed.url.replace("127.0.0.1", "localhost")
    client = bed.parts.enter_context(Client(bed.namespace, TAP, url, wrapper=wrapper))
    client.wait_until_connected()
    assert users(client.pids()[0]) == {NOBODY}
    # Each way that a connection can end, and what comes after it.
    bed.server.status = HTTPStatus.FORBIDDEN
    bed.link().close(1012, "restart")
    client.wait_for_log("(HTTP 403); trying again")
    bed.server.status = None
    client.wait_until_connected(2)
    assert client.end_by(signal.SIGTERM) == Exit.STOPPED
    assert "Traceback" not in client.log_text()
    assert "No module" not in client.log_text()


def test_a_command_gets_a_strangers_words_as_words(bed: ProgramBed, tmp_path: Path) -> None:
    note = tmp_path / "note"
    show = f"sh -c 'echo \"$VPNWS_REASON\" >> {note}'"
    client = bed.connect("--address", "10.8.0.2/24", "--exec-down", show)
    bed.link().close(1008, HOSTILE)
    wait_for(note.exists, WAIT_S, "the command")
    assert client.stop() == Exit.STOPPED
    assert HOSTILE in note.read_text()
    assert note.read_text().count("\n") == 1


def test_the_janitor_announces_an_address_in_the_vpn(bed: ProgramBed) -> None:
    bed.connect("--mac", MAC, "--address", "10.8.0.2/24")
    with on_the_tap(bed.namespace) as sock:
        bed.namespace.call(partial(announce, TAP, "10.8.0.77/24"))
        wanted = bytes((10, 8, 0, 77))
        while wanted not in (frame := sock.recv(2048)):
            pass
    # A gratuitous ARP: the address is both the sender's and the target's (RFC 5227).
    assert frame[12:14] == b"\x08\x06"
    assert frame[28:32] == frame[38:42] == wanted


def test_broadcasts_leave_through_the_vpn_where_that_is_asked_for(bed: ProgramBed) -> None:
    bed.namespace.ip("link add eth0 type veth peer name eth1")
    try:
        for words in (
            "link set eth0 up",
            "link set eth1 up",
            "address add 192.168.5.2/24 dev eth0",
        ):
            bed.namespace.ip(words)
        bed.namespace.ip("route add default via 192.168.5.1")
        client = bed.connect("--address", "10.8.0.2/24", "--broadcast")
        for address in ("255.255.255.255", "239.1.2.3"):
            wait_for(partial(leaves_by_tap, bed, address), WAIT_S, address)
            with on_the_tap(bed.namespace) as sock, bed.namespace.call(datagram_socket) as game:
                game.sendto(b"who plays?", (address, 27015))
                while not (frame := sock.recv(2048)).endswith(b"who plays?"):
                    pass
                assert frame[0] & 1
        assert client.stop() == Exit.STOPPED
        assert "proto 118" not in bed.namespace.ip("route")
    finally:
        bed.namespace.ip("link del eth0")


@pytest.mark.parametrize("asked", [False, True], ids=["not asked", "asked"])
def test_a_router_in_the_vpn_becomes_the_way_out_only_if_asked(
    bed: ProgramBed,
    asked: bool,
) -> None:
    client = bed.connect("--address", "fd08::2/64", *(("--default-route",) if asked else ()))
    with on_the_tap(bed.namespace):
        frame = router_advertisement(macs=bytes.fromhex("333300000001") + mac(0x0C))
        bed.link().send(frame)
        if asked:
            wait_for(lambda: "via fe80::1" in bed.namespace.ip("-6 route"), WAIT_S, "the route")
        else:
            wait_for(lambda: rx_packets(bed) > 0, WAIT_S, "the advertisement")
            assert "default" not in bed.namespace.ip("-6 route")
    assert client.stop() == Exit.STOPPED


def datagram_socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    return made


def leaves_by_tap(bed: ProgramBed, address: str) -> bool:
    return f"dev {TAP} " in bed.namespace.ip(f"route get {address}")


def rx_packets(bed: ProgramBed) -> int:
    path = f"/sys/class/net/{TAP}/statistics/rx_packets"
    return int(bed.namespace.run(["cat", path]).stdout)

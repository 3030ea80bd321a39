"""docs/migration.md: each option's counterpart is run, and so are vpn-ws's nginx locations."""

from __future__ import annotations

import json
import os
import pwd
import re
import shlex
import stat
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.live.server import Station
from tests.support.frames import mac
from tests.support.markdown import blocks, table
from tests.support.netns import Namespace
from tests.support.nginx import DEPLOY_CONF, Nginx
from tests.support.prerequisites import require, require_tap
from tests.support.raw_client import RawClient
from tests.support.service import ServiceError
from tests.support.site import raw_socket, uplink_lines, with_locations
from tests.support.unprivileged import as_seen_by_users
from tests.support.uwsgi import INI, REPOSITORY, Uwsgi
from tests.support.uwsgi_client import UwsgiClient
from tests.support.waiting import wait_for
from vpnws.client.program.parser import make_parser
from vpnws.wire.ethernet import BROADCAST, format_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.netns

PAGE = (REPOSITORY / "docs" / "migration.md").read_text()
ROWS = {shlex.split(row[0].strip("`"))[0]: row for row in table(PAGE, "vpn-ws")}
BLOCKS = blocks(PAGE)
SEED = ["--tuntap", "--exec", "--bridge", "--no-broadcast", "--no-multicast", "--uid", "--gid"]
GROUP = bytes.fromhex("01005e0000fb")
USER = pwd.getpwnam("www-data")


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_tap()
    require("nginx")


@pytest.fixture
def machine() -> Iterator[Namespace]:
    """Yield a namespace for a server and its TAP."""
    with Namespace("server") as namespace:
        yield namespace


def counterpart(*options: str) -> dict[str, str]:
    """Return the settings that the page gives for vpn-ws's options."""
    given = [item for option in options for item in re.findall("`([^`]+)`", ROWS[option][1])]
    return dict(item.split("=", 1) for item in given)


def station(server: Uwsgi, number: int) -> Station:
    """Join a station as a web server passes it on."""
    client = UwsgiClient(server.socket_path)
    joined = Station(client, mac(number))
    assert client.ask({"HTTP_X_VPN_WS_MAC": format_mac(mac(number))}).status == 101
    return joined.joined()


def wait_for_uplink(server: Uwsgi) -> None:
    wait_for(lambda: uplink_lines(server.log_text(), "up"), 5.0, "the uplink to be up")


def test_every_option_of_the_seed_is_on_the_page() -> None:
    addresses = ["/run/vpn.sock", "127.0.0.1:3000"]
    assert list(ROWS) == [*SEED, *addresses, "--help"]


class TestEachOption:
    def test_tuntap_is_a_tap_that_stations_and_each_other_reach(self, machine: Namespace) -> None:
        with Uwsgi(namespace=machine, placeholders=counterpart("--tuntap")) as server:
            wait_for_uplink(server)
            with raw_socket(machine, "vpn0") as tap:
                one, other = station(server, 1), station(server, 2)
                sent = one.send(BROADCAST)
                other.expect(sent)
                assert sent in (tap.recv(65536) for _ in range(20))
                from_there = BROADCAST + mac(3) + b"\x88\xb5" + bytes(46)
                tap.send(from_there)
                one.expect(from_there)
                one.client.close()
                other.client.close()

    def test_exec_is_run_and_its_failure_stops_the_start(self, machine: Namespace) -> None:
        given = counterpart("--tuntap", "--exec")
        with Uwsgi(namespace=machine, placeholders=given):
            assert "10.8.0.254/24" in machine.ip("-br address show dev vpn0")
        broken = given | {"vpnws-exec": "ip address add nonsense dev vpn0"}
        with pytest.raises(ServiceError, match=r"vpnws-exec .* failed for vpn0"):
            with Uwsgi(namespace=machine, placeholders=broken):
                pass
        assert "vpn0" not in machine.ip("-br link")

    def test_bridge_is_what_every_tap_is(self, machine: Namespace) -> None:
        assert counterpart("--bridge") == {}
        with Uwsgi(namespace=machine, placeholders=counterpart("--tuntap")) as server:
            wait_for_uplink(server)
            one = station(server, 1)
            with raw_socket(machine, "vpn0") as tap:
                for number in range(100, 120):
                    frame = BROADCAST + mac(number) + b"\x88\xb5" + bytes(46)
                    tap.send(frame)
                    one.expect(frame)
                unknown = one.send(mac(0x999))
                assert unknown in (tap.recv(65536) for _ in range(50))
            one.client.close()

    @pytest.mark.parametrize(
        ("option", "dropped", "passes"),
        [("--no-broadcast", BROADCAST, GROUP), ("--no-multicast", GROUP, BROADCAST)],
    )
    def test_no_broadcast_and_no_multicast_drop(
        self, machine: Namespace, option: str, dropped: bytes, passes: bytes
    ) -> None:
        with Uwsgi(namespace=machine, placeholders=counterpart(option)) as server:
            with station(server, 1) as one, station(server, 2) as other:
                assert not other.hears(one.send(dropped))
                other.expect(one.send(passes))

    def test_a_unix_socket_for_everybody(self, machine: Namespace, tmp_path: Path) -> None:
        given = counterpart("/run/vpn.sock")
        path = tmp_path / Path(given["vpnws-socket"]).name
        mode = f"--chmod-socket={given['chmod-socket']}"
        with Uwsgi(mode, namespace=machine, socket_path=path) as server:
            assert stat.S_IMODE(path.stat().st_mode) == 0o666
            station(server, 1).client.close()

    @pytest.mark.parametrize("address", ["127.0.0.1:3000", "[::1]:3000", ":3000"])
    def test_a_tcp_address(self, machine: Namespace, address: str) -> None:
        given = counterpart("127.0.0.1:3000")
        assert given == {"vpnws-socket": "127.0.0.1:3000"}
        assert address == given["vpnws-socket"] or f"`{address}`" in ROWS["127.0.0.1:3000"][2]
        with Uwsgi(namespace=machine, placeholders={"vpnws-socket": address}) as server:
            host = "::1" if "[" in address else "127.0.0.1"
            RawClient(host, 3000, namespace=machine).close()
            with RawClient("127.0.0.1", 8080, namespace=machine) as client:
                assert client.request().status == 426
            assert server.process.poll() is None


def test_the_whole_line_becomes_the_ini(machine: Namespace) -> None:
    (text,) = (block.text for block in BLOCKS if block.language == "ini")
    (line,) = (block.text for block in BLOCKS if block.language == "text")
    words = shlex.split(line)
    for option, value in (("--uid", "uid"), ("--gid", "gid")):
        assert counterpart(option) == {value: words[words.index(option) + 1]}
        assert f"\n{value} = {counterpart(option)[value]}\n" in text
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        run = Path(place) / "run"
        run.mkdir()
        os.chown(run, USER.pw_uid, USER.pw_gid)
        ini = Path(place) / "vpn.ini"
        ini.write_text(
            text.replace("/run/vpnws", str(run)).replace("/opt/vpnws/uwsgi.ini", str(INI))
        )
        path = run / "vpnws.sock"
        stage = Path(place) / "stage"
        stage.mkdir()
        with Uwsgi(
            ini=ini, namespace=machine, socket_path=path, wrapper=as_seen_by_users(stage)
        ) as server:
            wait_for_uplink(server)
            assert "10.8.0.254/24" in machine.ip("-br address show dev vpn0")
            for pid in (*server.worker_pids(), *server.mule_pids()):
                status = Path(f"/proc/{pid}/status").read_text()
                assert f"Uid:\t{USER.pw_uid}\t{USER.pw_uid}" in status
                assert f"Gid:\t{USER.pw_gid}\t{USER.pw_gid}" in status
                assert "CapEff:\t0000000000000000" in status
            with station(server, 1) as one, station(server, 2) as other:
                assert not other.hears(one.send(GROUP))
                other.expect(one.send(BROADCAST))
        assert "vpn0" not in machine.ip("-br link")


class Seed:
    """Speaks vpn-ws's control protocol, as its documentation has it."""

    def __init__(self, nginx: Nginx, machine: Namespace, path: str = "/vpn_admin") -> None:
        self._nginx = nginx
        self._machine = machine
        self._path = path

    def ask(self, query: str = "", *headers: tuple[str, str]) -> tuple[int, Any]:
        """Return the status and the JSON of a control request."""
        tls = self._nginx.ca.client_context()
        with RawClient("127.0.0.1", 443, namespace=self._machine, tls=tls) as client:
            answer = client.request(f"{self._path}{query}", headers)
        is_json = answer.headers["content-type"] == "application/json"
        return answer.status, json.loads(answer.body) if is_json else None

    def peers(self) -> list[dict[str, Any]]:
        """Return the peers that are listed."""
        status, answer = self.ask()
        assert (status, answer["status"]) == (200, "ok")
        return list(answer["peers"])


def test_vpn_wss_locations_work_with_the_change_that_the_page_names(machine: Namespace) -> None:
    stations, old, new = (block.text for block in BLOCKS if block.language == "nginx")
    mac_header = ("X-vpn-ws-MAC", "02:00:00:00:00:0a")
    forged = [("VPNWS_ENDPOINT", "control"), ("X-VPNWS-ENDPOINT", "control")]
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = place / "nginx.conf"
        # The page's own locations take the place of the shipped ones.
        shipped = DEPLOY_CONF.read_text().replace("location = /vpn {", "location = /shipped {")
        shipped = shipped.replace("location /vpn_admin", "location /shipped_admin")
        old = old.replace("/vpn_admin", "/old_admin")
        config.write_text(with_locations("\n".join((stations, old, new)), shipped))
        nginx = stack.enter_context(Nginx(machine, config=config))
        server = stack.enter_context(Uwsgi(namespace=machine, socket_path=nginx.socket_path))
        seed = Seed(nginx, machine)
        client = stack.enter_context(
            RawClient("127.0.0.1", 443, namespace=machine, tls=nginx.ca.client_context())
        )
        assert client.upgrade("/vpn", [mac_header, *forged]).status == 101
        (peer,) = seed.peers()
        assert (peer["MAC"], peer["bridge"], peer["macs"]) == ("02:00:00:00:00:0A", 0, [])
        assert peer["ts"] == time.ctime(peer["unix"])
        assert abs(peer["unix"] - time.time()) < 3600
        other_site = ("Origin", "https://evil.example")
        assert seed.ask(f"?kill={peer['id']}", other_site)[0] == 403
        assert seed.ask(f"?kill={peer['id']}") == (200, {"status": "ok"})
        assert client.read_close().close_code == 4001
        assert seed.peers() == []
        assert seed.ask(f"?kill={peer['id']}") == (404, {"status": "not found"})
        assert Seed(nginx, machine, "/old_admin").ask()[0] == 502
        server.wait_for_log("unavailable modifier requested: 1")
        with RawClient(
            "127.0.0.1", 443, namespace=machine, tls=nginx.ca.client_context()
        ) as stranger:
            assert stranger.upgrade("/vpn_admin", [mac_header]).status == 200
        assert seed.peers() == []


def test_the_clients_options_are_its_options() -> None:
    theirs = re.findall(r"--[a-z-]+", " ".join(row[1] for row in table(PAGE, "`vpn-ws-client`")))
    known = make_parser().format_help()
    assert [option for option in theirs if f"{option} " not in known] == []
    assert {"--crt", "--key", "--no-verify", "--bridge", "--address"} <= set(theirs)

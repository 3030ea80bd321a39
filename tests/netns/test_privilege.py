"""Who the server runs as, and who owns its TAP: from start through reload to end."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.netns import SERVER_ADDRESS, Lan
from tests.support.prerequisites import require, require_tap
from tests.support.service import ServiceError
from tests.support.traffic import ping
from tests.support.unprivileged import (
    DROPS,
    GATEWAY,
    NOBODY,
    NOBODY_NAME,
    NOGROUP_NAME,
    TAP,
    add_device,
    capabilities,
    devices,
    tap_server,
    users,
)
from tests.support.vpn import TAP as CLIENT_TAP
from tests.support.vpn import Client
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.uwsgi import Uwsgi

pytestmark = pytest.mark.netns

UP = f"uplink {TAP} up"
ADDRESS = {"vpnws-exec": f"ip address add {GATEWAY}/24 dev $VPNWS_TAP"}
URL = f"ws://{SERVER_ADDRESS}:8080/"
ABOVE = "uid = nobody\ngid = nogroup\nini = {ini}\n"
BELOW = "ini = {ini}\nuid = 65534\ngid = 65534\n"
INCLUDED = "uid = nobody\ngid = nogroup\ninclude = {ini}\n"
SECOND = {"vpnws-http": "127.0.0.1:8090"}


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_tap()
    require("ping", "unshare")


@pytest.fixture
def lan() -> Iterator[Lan]:
    """Yield a server's namespace and one station's; no TAP is left in the server's."""
    with Lan(1) as lan:
        yield lan


def join(lan: Lan) -> Client:
    """Have the station join."""
    client = Client(lan.stations[0], "--address", "10.8.0.1/24", CLIENT_TAP, URL)
    lan.parts.enter_context(client).wait_until_connected()
    return client


def wait_until_reached(lan: Lan) -> None:
    """Wait until the station gets an answer from behind the TAP."""
    wait_for(
        lambda: ping(lan.stations[0], GATEWAY, count=1, wait_s=0.3).received == 1,
        15.0,
        "the station to reach the TAP's address",
    )


def assert_without_rights(server: Uwsgi) -> None:
    """Check that master, workers and mules run as nobody and have no capability."""
    pids = {server.master_pid, *server.worker_pids(), *server.mule_pids()}
    assert len(pids) == 6
    assert {pid: (users(pid), capabilities(pid)) for pid in pids} == dict.fromkeys(
        pids, ({NOBODY}, 0)
    )


def end(server: Uwsgi, number: signal.Signals) -> None:
    """End the server by a signal and wait."""
    server.process.send_signal(number)
    assert server.process.wait(15) == 0


@pytest.mark.parametrize(
    ("arguments", "site"),
    [(DROPS, ""), ((), ABOVE), ((), BELOW), ((), INCLUDED)],
    ids=["command line", "above ini", "below ini", "include"],
)
def test_root_makes_the_tap_and_then_nobody_has_a_capability(
    lan: Lan, arguments: tuple[str, ...], site: str
) -> None:
    with tap_server(lan.server, *arguments, settings=ADDRESS, site=site) as server:
        server.wait_for_log(UP)
        assert_without_rights(server)
        assert f"persist on user {NOBODY_NAME}" in lan.server.ip(f"-d link show {TAP}")
        join(lan)
        wait_until_reached(lan)
    assert devices(lan.server) == []
    assert " ERROR " not in server.log_text()
    assert "egmentation" not in server.log_text()


@pytest.mark.parametrize("arguments", [(), DROPS], ids=["root", "dropped"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=str)
def test_the_stop_removes_the_device(
    lan: Lan, arguments: tuple[str, ...], number: signal.Signals
) -> None:
    with tap_server(lan.server, *arguments) as server:
        server.wait_for_log(UP)
        assert devices(lan.server) == [TAP]
        end(server, number)
        assert devices(lan.server) == []


def test_ctrl_c_reaches_master_and_mule_and_still_removes_the_device(lan: Lan) -> None:
    down = {"vpnws-exec-down": "sleep 0.5; echo went $VPNWS_TAP"}
    with tap_server(lan.server, *DROPS, settings=down) as server:
        server.wait_for_log(UP)
        os.killpg(server.process.pid, signal.SIGINT)
        assert server.process.wait(15) == 0
        assert f"went {TAP}" in server.log_text()
        assert devices(lan.server) == []


def test_a_reload_without_rights_keeps_the_device_and_its_address(lan: Lan) -> None:
    both = {"vpnws-exec": f"{ADDRESS['vpnws-exec']}; echo was run", "vpnws-exec-down": "echo down"}
    with tap_server(lan.server, *DROPS, settings=both) as server:
        server.wait_for_log(UP)
        client = join(lan)
        wait_until_reached(lan)
        before = lan.server.ip(f"-o link show {TAP}").split(":")[0]
        for count in (2, 3):
            server.process.send_signal(signal.SIGHUP)
            wait_for(
                lambda count=count: server.log_text().count(UP) == count,  # type: ignore[misc]
                20,
                "the mule of the reload",
            )
            client.wait_until_connected(count)
            wait_until_reached(lan)
        assert lan.server.ip(f"-o link show {TAP}").split(":")[0] == before
        assert_without_rights(server)
        assert server.log_text().count("was run\n") == 1
        assert server.log_text().count("down\n") == 0
    assert devices(lan.server) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=str)
def test_a_mule_that_ends_alone_leaves_the_device_to_the_next(
    lan: Lan, number: signal.Signals
) -> None:
    with tap_server(lan.server, *DROPS, settings=ADDRESS) as server:
        server.wait_for_log(UP)
        join(lan)
        wait_until_reached(lan)
        before = lan.server.ip(f"-o link show {TAP}").split(":")[0]
        os.kill(server.mule_pids()[0], number)
        wait_for(lambda: server.log_text().count(UP) == 2, 10, "the next mule")
        wait_until_reached(lan)
        assert lan.server.ip(f"-o link show {TAP}").split(":")[0] == before
    assert devices(lan.server) == []


@pytest.mark.parametrize(
    ("arguments", "uid"), [((), None), (DROPS, None), ((), NOBODY)], ids=["root", "dropped", "user"]
)
def test_an_admins_device_is_used_and_stays(
    lan: Lan, arguments: tuple[str, ...], uid: int | None
) -> None:
    add_device(lan.server, user=uid)
    lan.server.ip(f"address add {GATEWAY}/24 dev {TAP}")
    with tap_server(lan.server, *arguments, uid=uid) as server:
        server.wait_for_log(UP)
        join(lan)
        wait_until_reached(lan)
    assert devices(lan.server) == [TAP]
    assert f"{GATEWAY}/24" in lan.server.ip(f"address show {TAP}")


class TestAUser:
    def refusal(self, lan: Lan) -> str:
        with pytest.raises(ServiceError, match="status 10") as error:
            with tap_server(lan.server, uid=NOBODY):
                pass
        (sentence,) = [
            line for line in str(error.value).splitlines() if line.startswith("vpnws: cannot start")
        ]
        return sentence

    def test_without_a_device_is_told_how_to_get_one(self, lan: Lan) -> None:
        sentence = self.refusal(lan)
        assert f"no permission to open the TAP device {TAP}" in sentence
        assert sentence.endswith(
            f"ip tuntap add {TAP} mode tap user {NOBODY_NAME}; ip link set {TAP} up"
        )
        assert devices(lan.server) == []

    def test_with_somebody_elses_device_is_told_so(self, lan: Lan) -> None:
        add_device(lan.server, user=1)
        assert f"ip link delete {TAP}; ip tuntap add {TAP}" in self.refusal(lan)
        assert devices(lan.server) == [TAP]

    def test_is_told_that_the_device_is_down(self, lan: Lan) -> None:
        add_device(lan.server, user=NOBODY, up=False)
        with tap_server(lan.server, uid=NOBODY) as server:
            server.wait_for_log(UP)
            assert f"{TAP} is down: ip link set {TAP} up" in server.log_text()


def test_a_device_in_use_is_not_taken_from_the_server_that_has_it(lan: Lan) -> None:
    with tap_server(lan.server, *DROPS, settings=ADDRESS) as server:
        server.wait_for_log(UP)
        with pytest.raises(ServiceError, match=f"{TAP} is in use by another process"):
            with tap_server(lan.server, *DROPS, settings=SECOND):
                pass
        join(lan)
        wait_until_reached(lan)
    assert devices(lan.server) == []


def test_a_start_that_a_setting_stops_leaves_no_device(lan: Lan) -> None:
    with pytest.raises(ServiceError, match="vpnws-age = 1 is out of range"):
        with tap_server(lan.server, *DROPS, settings={"vpnws-age": "1"}):
            pass
    assert devices(lan.server) == []


def test_two_different_users_are_refused(lan: Lan) -> None:
    # Both may listen there.
    settings = {"vpnws-socket": "@vpnws-two-users"}
    with pytest.raises(ServiceError) as error:
        with tap_server(lan.server, *DROPS, settings=settings, site="uid = daemon\nini = {ini}\n"):
            pass
    assert "uid is nobody, and uwsgi.ini made the TAPs for daemon" in str(error.value)
    # What runs now as nobody may not remove it.
    assert f"a TAP of this start is left: no permission to open the TAP device {TAP}" in str(
        error.value
    )


def test_a_group_alone_drops_nothing(lan: Lan) -> None:
    with tap_server(lan.server, "--gid", NOGROUP_NAME) as server:
        server.wait_for_log(UP)
        assert users(server.mule_pids()[0]) == {0}
        assert capabilities(server.mule_pids()[0])


def test_without_a_tap_nobody_needs_a_right(lan: Lan) -> None:
    with tap_server(lan.server, uid=NOBODY, settings={"vpnws-mode": "", "vpnws-tap": ""}) as server:
        wait_for(server.mule_pids, 5, "the mule")
        assert_without_rights(server)
    assert devices(lan.server) == []

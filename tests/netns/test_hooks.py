"""vpnws-exec and vpnws-exec-down as an admin writes them: environment, quoting, failures, times."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support import processes
from tests.support.markdown import blocks
from tests.support.prerequisites import require, require_tap
from tests.support.service import ServiceError
from tests.support.unprivileged import (
    DROPS,
    NOBODY,
    TAP,
    devices,
    tap_server,
)
from tests.support.uwsgi import REPOSITORY
from tests.support.waiting import wait_for
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from tests.support.netns import Namespace

pytestmark = pytest.mark.netns

UP = f"uplink {TAP} up"
TWO_TAPS = {"vpnws-tap": "blue:vpn-blue red:vpn-red"}
IN_INI = """\
uid = nobody
gid = nogroup
set-placeholder = vpnws-exec={commands}
ini = {{ini}}
"""
QUOTED = """printf '<%s>' "a  b" 'c;d' "it's=$VPNWS_TAP"; echo; echo "# no comment" ; echo 'x"y'"""
QUOTED_OUTPUT = f"""<a  b><c;d><it's={TAP}>\n# no comment\nx"y\n"""


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_tap()
    require("unshare")


class TestUp:
    def test_it_finds_each_tap_in_its_environment_and_is_root(self, namespace: Namespace) -> None:
        commands = 'echo "of $VPNWS_NETWORK: $VPNWS_TAP $VPNWS_MAC by $(id -u)"'
        with tap_server(namespace, *DROPS, settings={**TWO_TAPS, "vpnws-exec": commands}) as server:
            for network in ("blue", "red"):
                device = f"vpn-{network}"
                mac = format_mac(namespace.mac(device))
                assert f"of {network}: {device} {mac} by 0\n" in server.log_text()

    def test_the_tap_is_up_when_it_runs(self, namespace: Namespace) -> None:
        commands = (
            "ip address add fd08::fe/64 dev $VPNWS_TAP; ip -6 route get fd08::1 | grep -o dev.*"
        )
        with tap_server(namespace, *DROPS, settings={"vpnws-exec": commands}) as server:
            assert f"dev {TAP} " in server.log_text()

    def test_quoting_passes_unharmed_on_the_command_line(self, namespace: Namespace) -> None:
        with tap_server(namespace, *DROPS, settings={"vpnws-exec": QUOTED}) as server:
            assert QUOTED_OUTPUT in server.log_text()

    def test_quoting_passes_unharmed_in_an_ini_where_a_percent_sign_is_written_twice(
        self, namespace: Namespace
    ) -> None:
        site = IN_INI.format(commands=QUOTED.replace("%", "%%"))
        with tap_server(namespace, site=site) as server:
            assert QUOTED_OUTPUT in server.log_text()

    def test_a_program_in_the_background_does_not_delay_the_start_and_lives(
        self, namespace: Namespace
    ) -> None:
        commands = "sleep 600 & echo child $!"
        with tap_server(namespace, *DROPS, settings={"vpnws-exec": commands}) as server:
            child = int(server.log_text().partition("child ")[2].split()[0])
            server.wait_for_log(UP)
            assert processes.is_alive(child)
            os.kill(child, signal.SIGKILL)

    @pytest.mark.parametrize(
        ("commands", "cause"),
        [
            ("echo first; ip address add nonsense dev $VPNWS_TAP; echo never", "status 1"),
            ("echo first; exit 7", "status 7"),
            ("echo first; nosuchcommand; echo never", "status 127"),
            ("echo first; kill -9 $$", "killed by signal 9"),
            ("echo first; if", "status 2"),
        ],
        ids=["a command", "exit", "not found", "killed", "syntax"],
    )
    def test_a_failure_stops_the_start_and_says_so(
        self, namespace: Namespace, commands: str, cause: str
    ) -> None:
        with pytest.raises(ServiceError, match="uWSGI ended at start, status 10") as error:
            with tap_server(namespace, *DROPS, settings={"vpnws-exec": commands}):
                pass
        sentence = (
            f"vpnws: cannot start: vpnws-exec ({commands}) failed for {TAP}, {cause}; it said: "
        )
        assert sentence in str(error.value)
        assert "never\n" not in str(error.value)
        assert devices(namespace) == []

    def test_a_failure_for_the_second_tap_takes_both_away(self, namespace: Namespace) -> None:
        commands = "test $VPNWS_NETWORK = blue"
        with pytest.raises(ServiceError, match="failed for vpn-red"):
            with tap_server(namespace, *DROPS, settings={**TWO_TAPS, "vpnws-exec": commands}):
                pass
        assert devices(namespace) == []

    def test_the_pages_example_does_what_it_says(self, namespace: Namespace) -> None:
        page = (REPOSITORY / "docs" / "install.md").read_text()
        (shown,) = [block.text for block in blocks(page) if "hooks" in block.tags]
        with tap_server(namespace, site=f"{shown}\nini = {{ini}}\n") as server:
            assert f"\n{TAP} is up\n" in server.log_text()
            assert "10.8.0.1/24" in namespace.ip(f"address show {TAP}")
            server.wait_for_log(UP)


class TestDown:
    SAYS = {"vpnws-exec-down": 'echo "down $VPNWS_NETWORK $VPNWS_TAP $VPNWS_MAC by $(id -u)"'}

    def test_it_runs_once_at_the_stop_as_the_user(self, namespace: Namespace) -> None:
        with tap_server(namespace, *DROPS, settings={**TWO_TAPS, **self.SAYS}) as server:
            server.wait_for_log("uplink vpn-red up")
            macs = {
                network: format_mac(namespace.mac(f"vpn-{network}")) for network in ("blue", "red")
            }
            assert "down " not in server.log_text()
            server.stop()
        for network, mac in macs.items():
            said = f"down {network} vpn-{network} {mac} by {NOBODY}\n"
            assert server.log_text().count(said) == 1
        assert devices(namespace) == []

    def test_it_runs_too_when_the_mule_was_killed_in_between(self, namespace: Namespace) -> None:
        with tap_server(namespace, *DROPS, settings=self.SAYS) as server:
            server.wait_for_log(UP)
            os.kill(server.mule_pids()[0], signal.SIGKILL)
            wait_for(lambda: server.log_text().count(UP) == 2, 10, "the next mule")
        assert server.log_text().count(f"down default {TAP}") == 1
        assert devices(namespace) == []

    def test_its_failure_is_said_and_does_not_keep_the_device(self, namespace: Namespace) -> None:
        down = {"vpnws-exec-down": "echo alas; false"}
        with tap_server(namespace, *DROPS, settings=down) as server:
            server.wait_for_log(UP)
        assert (
            f"ERROR vpnws-exec-down (echo alas; false) failed for {TAP}, status 1; it said: alas"
            in server.log_text()
        )
        assert devices(namespace) == []

    def test_the_master_waits_for_it(self, namespace: Namespace) -> None:
        down = {"vpnws-exec-down": "sleep 3; echo at last"}
        with tap_server(namespace, *DROPS, settings=down) as server:
            server.wait_for_log(UP)
        assert "at last\n" in server.log_text()
        assert devices(namespace) == []

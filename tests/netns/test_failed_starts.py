"""No start that fails leaves a TAP behind, whoever gives it up and at whichever point."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.prerequisites import require, require_tap
from tests.support.service import ServiceError
from tests.support.unprivileged import (
    DROPS,
    NOBODY,
    TAP,
    add_device,
    devices,
    tap_server,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.netns import Namespace

pytestmark = pytest.mark.netns

OURS: dict[str, tuple[dict[str, str], str]] = {
    "no directory": ({"vpnws-socket": "/nowhere/x.sock"}, "there is no directory /nowhere"),
    "no right to write": ({"vpnws-socket": "/etc/x.sock"}, "nobody may not write in /etc"),
    "a long path": ({"vpnws-socket": f"/tmp/{'x' * 100}"}, "a path has at most 102 bytes"),
    "not an address": ({"vpnws-http": "8080"}, "is not address:port"),
    "not this machine's": ({"vpnws-http": "192.0.2.1:8080"}, "this machine does not have that"),
    "a setting": ({"vpnws-age": "soon"}, "cannot start: vpnws-age = 'soon'"),
    "an unknown setting": ({"vpnws-agee": "60"}, "cannot start: vpnws-agee"),
    "two that do not fit": ({"vpnws-mode": "switch"}, "a bridge and a router need one"),
    "the admin's commands": ({"vpnws-exec": "false"}, "vpnws-exec (false) failed"),
    "a TAP's name": ({"vpnws-tap": f"{TAP} blue:name-of-17-bytes"}, "cannot start: "),
}
"""What our own checks find: settings, and a part of the sentence."""
UWSGIS = {
    "a socket of the admin's": (("--http-socket", "192.0.2.1:80"), "bind()"),
    "a backlog": (("--listen", "1000000"), "Listen queue size is greater than the system max"),
    "another engine": (("--threads", "2"), "cannot start: each worker has 2 cores"),
    "another module": (("--module", "nothing_there:application"), "No module named"),
    "a plugin": (("--need-plugin", "nothing_there"), "nothing_there"),
    "no root directory": (("--chroot", "/nowhere"), "chroot()"),
    "a log": (("--logto", "/nowhere/log"), ""),
    "a lock engine": (("--lock-engine", "x"), "unable to find lock engine"),
    "loaded by workers": (("--lazy-apps",), "lazy-apps is set"),
}
"""What uWSGI finds, after the TAPs have been made: options, and a part of what it says."""


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_tap()
    require("unshare")


def failure(namespace: Namespace, *arguments: str, **settings: str) -> str:
    """Return what a start says that fails."""
    given = {f"vpnws-{name.replace('_', '-')}": value for name, value in settings.items()}
    try:
        with tap_server(namespace, *arguments, settings=given) as server:
            # What a worker finds may come after the socket is there.
            server.wait_for_end()
            return server.log_text()
    except ServiceError as error:
        return str(error)


@pytest.mark.parametrize("case", OURS)
def test_what_we_find(namespace: Namespace, case: str) -> None:
    settings, said = OURS[case]
    with pytest.raises(ServiceError) as error:
        with tap_server(namespace, *DROPS, settings=settings):
            pass
    assert said in str(error.value)
    assert devices(namespace) == []


@pytest.mark.parametrize("drops", [(), DROPS], ids=["root", "dropped"])
@pytest.mark.parametrize("case", UWSGIS)
def test_what_uwsgi_finds(namespace: Namespace, case: str, drops: tuple[str, ...]) -> None:
    arguments, said = UWSGIS[case]
    assert said in failure(namespace, *drops, *arguments)
    assert devices(namespace) == []


def test_a_user_that_is_not_there(namespace: Namespace) -> None:
    assert "nosuchuser" in failure(namespace, "--uid", "nosuchuser")
    assert devices(namespace) == []


def test_a_user_that_may_not_open_taps(namespace: Namespace) -> None:
    with pytest.raises(ServiceError) as error:
        with tap_server(namespace, *DROPS, tun_mode="600"):
            pass
    assert "cannot start: nobody may not open /dev/net/tun, which vpnws-tap" in str(error.value)
    assert devices(namespace) == []


def test_a_file_where_the_socket_should_be(namespace: Namespace, tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    said = failure(namespace, socket=str(tmp_path / "precious"))
    assert "there is a file that is no socket" in said
    assert (tmp_path / "precious").is_file()
    assert devices(namespace) == []


def test_an_address_in_use_and_a_server_that_runs(namespace: Namespace) -> None:
    with tap_server(namespace) as server:
        server.wait_for_log(f"uplink {TAP} up")
        said = failure(namespace, tap="vpn1", socket=str(server.socket_path) + "2")
        assert "vpnws-http = 0.0.0.0:8080 cannot be listened at" in said
        assert devices(namespace) == [TAP]


def test_the_admins_device_stays(namespace: Namespace) -> None:
    add_device(namespace, user=NOBODY)
    failure(namespace, *DROPS, "--listen", "1000000")
    assert devices(namespace) == [TAP]


def test_a_reload_that_fails(namespace: Namespace) -> None:
    with tap_server(namespace, *DROPS, site="ini = {ini}\n") as server:
        server.wait_for_log(f"uplink {TAP} up")
        with server._ini.open("a") as file:
            file.write("lock-engine = x\n")
        os.kill(server.master_pid, signal.SIGHUP)
        server.leaves_nothing = False
        assert server.process.wait(20) != 0
    assert devices(namespace) == []

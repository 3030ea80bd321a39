"""DHCP clients of the system: how they are started and ended, and how their words are read."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.waiting import wait_for
from vpnws.client.dhcp import programs
from vpnws.client.dhcp.programs import Program, find
from vpnws.client.dhcp.report import END, REPORT_FD, SCRIPT, read_report
from vpnws.client.dhcp.system import SystemClient
from vpnws.client.waiting import StopRequest, Waiter
from vpnws.dhcp.client import Change
from vpnws.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vpnws.dhcp.grant import Grant

UDHCPC = {
    "ip": "10.8.0.9", "subnet": "255.255.0.0", "serverid": "10.8.0.1", "lease": "3600",
    "mtu": "1400", "router": "10.8.0.1 10.8.0.2", "dns": "9.9.9.9 8.8.8.8",
    "staticroutes": "10.1.0.0/16 10.8.0.1 0.0.0.0/0 10.8.0.3",
}  # fmt: skip
DHCLIENT = {
    "reason": "BOUND", "new_ip_address": "10.8.0.9", "new_subnet_mask": "255.255.0.0",
    "new_dhcp_server_identifier": "10.8.0.1", "new_dhcp_lease_time": "3600",
    "new_interface_mtu": "1400", "new_routers": "10.8.0.1 10.8.0.2",
    "new_domain_name_servers": "9.9.9.9 8.8.8.8",
    "new_rfc3442_classless_static_routes": "16 10 1 10 8 0 1 0 10 8 0 3",
}  # fmt: skip
"""What each passes to its script (busybox's networking/udhcp/dhcpc.c, dhclient-script(8))."""
WAIT_S = 10.0


def report(tmp_path: Path, variables: dict[str, str], *arguments: str) -> bytes:
    """Run the script as a DHCP client does, and return what it tells."""
    script = tmp_path / "script"
    script.write_text(SCRIPT)
    script.chmod(0o700)
    told_to = ["sh", "-c", f'exec {REPORT_FD}>&1 >&2; exec "$0" "$@"']
    command = [*told_to, str(script), *arguments]
    return subprocess.run(command, env=variables, check=True, stdout=subprocess.PIPE).stdout


class TestAReport:
    @pytest.mark.parametrize(
        ("variables", "arguments"),
        [(UDHCPC, ["bound"]), (DHCLIENT, [])],
        ids=["udhcpc", "dhclient"],
    )
    def test_tells_all_that_a_server_has_told(
        self, variables: dict[str, str], arguments: list[str], tmp_path: Path
    ) -> None:
        data = report(tmp_path, variables, *arguments)
        assert data.endswith(END)
        assert data.count(END) == 1
        grant = read_report(data.removesuffix(END)).grant
        assert grant is not None
        assert str(grant.interface) == "10.8.0.9/16"
        assert (grant.lease_s, grant.mtu_bytes) == (3600, 1400)
        assert grant.server == bytes((10, 8, 0, 1))
        assert [str(each) for each in grant.dns] == ["9.9.9.9", "8.8.8.8"]
        assert [(str(each.network), str(each.router)) for each in grant.routes] == [
            ("10.1.0.0/16", "10.8.0.1"),
            ("0.0.0.0/0", "10.8.0.3"),
        ]

    def test_of_a_router_is_a_default_route(self, tmp_path: Path) -> None:
        variables = {name: value for name, value in UDHCPC.items() if name != "staticroutes"}
        grant = read_report(report(tmp_path, variables, "renew").removesuffix(END)).grant
        assert grant is not None
        assert [str(each.router) for each in grant.routes] == ["10.8.0.1"]

    @pytest.mark.parametrize(
        ("event", "change"),
        [("deconfig", Change.REFUSED), ("EXPIRE", Change.ENDED), ("FAIL", Change.ENDED)]
        + [(event, None) for event in ("PREINIT", "leasefail", "nak", "STOP", "RELEASE", "")],
    )
    def test_without_an_address_says_why(self, event: str, change: Change | None) -> None:
        assert read_report(f"event={event}".encode()) == (None, change)

    def test_of_dhclient_that_found_no_server_does_not_take_an_old_lease(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(subprocess.CalledProcessError):
            report(tmp_path, {**DHCLIENT, "reason": "TIMEOUT"})

    @pytest.mark.parametrize(
        "words",
        [
            "address=10.8.0.9;reboot\0server=10.8.0.1",
            "address=224.0.0.1\0server=10.8.0.1",
            "address=10.8.0.9\0server=$(id)",
            "address=10.8.0.9",
            "",
        ],
    )
    def test_that_names_no_usable_address_grants_nothing(self, words: str) -> None:
        assert read_report(f"event=bound\0{words}".encode()) == (None, None)

    def test_with_nonsense_beside_an_address_grants_the_address(self) -> None:
        words = b"event=bound\0address=10.8.0.9\0server=10.8.0.1\0lease=9999999999\0mtu=x\0"
        grant = read_report(words + b"numbers=300 1\0routes=10.0.0.0/8\0dns=a b").grant
        assert grant is not None
        assert (grant.lease_s, grant.mtu_bytes, grant.routes, grant.dns) == (None, 0, (), ())

    @given(st.binary(max_size=300))
    def test_of_any_bytes_raises_nothing(self, data: bytes) -> None:
        read_report(data)
        read_report(b"event=bound\0address=10.8.0.9\0server=10.8.0.1\0" + data)


class TestPrograms:
    def test_are_found_or_named_with_the_remedy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        there = {"dhclient": "/sbin/dhclient", "busybox": "/bin/busybox"}
        monkeypatch.setattr(shutil, "which", lambda name, path: there.get(name))
        assert find("dhclient").words == ("/sbin/dhclient",)
        assert find("udhcpc").words == ("/bin/busybox", "udhcpc")
        there.clear()
        with pytest.raises(ConfigError, match="udhcpc is not on this system: install it"):
            find("udhcpc")

    def test_keep_their_files_to_root(self, tmp_path: Path) -> None:
        program = Program("dhclient", ("/sbin/dhclient",))
        program.write_files(tmp_path)
        assert stat.S_IMODE((tmp_path / "script").stat().st_mode) == 0o700
        command = program.command("tap0", tmp_path)
        assert command[-1] == "tap0"
        assert {str(tmp_path / name) for name in ("conf", "leases", "script")} < set(command)
        assert programs.NAMES == ("own", "udhcpc", "dhclient")


FAKE = """\
#!/bin/sh
while [ "$1" != -s ]; do shift; done
echo $$ >> {directory}/pids
trap 'echo released >> {directory}/log; exit 0' TERM
ip=10.8.0.9 subnet=255.255.255.0 serverid=10.8.0.1 lease=3600 "$2" deconfig
ip=10.8.0.9 subnet=255.255.255.0 serverid=10.8.0.1 lease=3600 "$2" bound
while [ ! -e {directory}/lose ]; do sleep 0.05; done
"$2" deconfig
while :; do sleep 0.05; done
"""
"""A udhcpc that gets its address without a server."""


class Bed:
    """A SystemClient with a program of the test's own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        fake = directory / "udhcpc"
        fake.write_text(FAKE.format(directory=directory))
        fake.chmod(0o755)
        self.stop = StopRequest()
        self.waiter = Waiter(self.stop, time.monotonic)
        self.changes: list[tuple[Change, str]] = []
        self.client = SystemClient(
            Program("udhcpc", (str(fake),)), "tap0", self.waiter, self._changed
        )

    def _changed(self, change: Change, grant: Grant | None) -> None:
        self.changes.append((change, str(grant.interface) if grant is not None else ""))

    def wait_for_changes(self, count: int) -> None:
        """Serve what is aside until there are `count` changes."""

        def are_there() -> bool:
            self.waiter.aside.serve(time.monotonic())
            return len(self.changes) >= count

        wait_for(are_there, WAIT_S, f"{count} changes")

    def pids(self) -> list[int]:
        """Return the programs that were started."""
        return list(map(int, (self.directory / "pids").read_text().split()))


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path)
    yield made
    made.client.close()
    made.waiter.close()
    made.stop.close()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class TestAtWork:
    def test_it_is_started_anew_at_each_connection_and_the_address_stays(self, bed: Bed) -> None:
        bed.client.connected(b"")
        bed.wait_for_changes(1)
        assert bed.changes == [(Change.BOUND, "10.8.0.9/24")]
        bed.client.connected(b"")
        bed.wait_for_changes(2)
        assert bed.changes[1:] == [(Change.KEPT, "10.8.0.9/24")]
        first, second = bed.pids()
        assert not is_alive(first)
        assert is_alive(second)

    def test_an_address_that_it_loses_is_gone(self, bed: Bed) -> None:
        bed.client.connected(b"")
        bed.wait_for_changes(1)
        (bed.directory / "lose").touch()
        bed.wait_for_changes(2)
        assert bed.changes[-1] == (Change.REFUSED, "")

    def test_it_gives_its_lease_up_before_the_station_leaves(self, bed: Bed) -> None:
        bed.client.connected(b"")
        bed.wait_for_changes(1)
        assert bed.client.leaving() == []
        assert (bed.directory / "log").read_text() == "released\n"
        assert not any(map(is_alive, bed.pids()))

    def test_it_ends_with_a_station_that_is_killed(self, bed: Bed) -> None:
        bed.client.connected(b"")
        bed.wait_for_changes(1)
        # The kernel closes the socket of a process that is killed.
        bed.client._socket.close()
        wait_for(lambda: not any(map(is_alive, bed.pids())), WAIT_S, "the program to end")
        assert (bed.directory / "log").read_text() == "released\n"

    def test_a_keeper_that_is_gone_is_told_of(
        self, bed: Bed, caplog: pytest.LogCaptureFixture
    ) -> None:
        bed.client.leaving()
        wait_for(lambda: _says(bed, caplog), WAIT_S, "the warning")
        assert "udhcpc does not run any more" in caplog.text


def _says(bed: Bed, caplog: pytest.LogCaptureFixture) -> bool:
    bed.client.connected(b"")
    return bool(caplog.messages)

"""DHCP as docs/modes.md sets it up: a whole class asks at once, and a lease is renewed."""

from __future__ import annotations

import re
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.support.markdown import blocks, commands
from tests.support.prerequisites import require, require_tap
from tests.support.routing import MODES_PAGE
from tests.support.service import Service
from tests.support.site import HTTP, RouterSite
from tests.support.vpn import TAP
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.netns import Namespace

pytestmark = pytest.mark.netns

STUDENTS = 20
LEASES_S = 30.0
BLOCKS = blocks(MODES_PAGE.read_text())
OBTAINED = "obtained from"


def told(program: str) -> str:
    """Return the page's last command for a program, which is the one of mode router."""
    found = [command.text for block in BLOCKS for command in commands(block)]
    return next(text for text in reversed(found) if program in text).removesuffix(" &")


class PageService(Service):
    """A command of the page, with this test's files."""

    leaves_nothing = False

    def __init__(self, namespace: Namespace, program: str, here: Path) -> None:
        super().__init__(namespace)
        self.name = program
        self._command = told(program).replace("/tmp/", f"{here}/")

    def command(self) -> str:
        """Return the command line."""
        return self._command

    def is_ready(self) -> bool:
        """Return whether it has said anything."""
        return bool(self.log_text())


@pytest.fixture(autouse=True)
def prerequisites() -> None:
    require_tap()
    require("dnsmasq", "busybox")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (script,) = (block.text for block in BLOCKS if "/tmp/lease.sh" in block.tags)
    (tmp_path / "lease.sh").write_text(script + "\n")
    (tmp_path / "lease.sh").chmod(0o755)
    return tmp_path


def test_a_whole_class_that_asks_at_once_gets_its_leases(here: Path) -> None:
    with RouterSite(STUDENTS) as site:
        site.wait_for_uplink()
        clients = [site.start_client(station, HTTP) for station in site.lan.stations]
        for client in clients:
            client.wait_until_connected()
        with PageService(site.lan.server, "dnsmasq", here) as server:
            asking = [
                site.parts.enter_context(PageService(station, "udhcpc", here))
                for station in site.lan.stations
            ]
            for each in asking:
                each.wait_for_log(OBTAINED, within_s=LEASES_S)
            log = server.log_text()
            given = re.findall(r"DHCPACK\(vpn0\) (10\.8\.0\.\d+) ", log)
            assert len(set(given)) == STUDENTS
            assert "no address available" not in log
            # Nobody had to ask for long: clients that give up after three requests are served too.
            for each in asking:
                assert each.log_text().count("discover") <= 3


def test_a_lease_is_renewed_and_given_up(here: Path) -> None:
    with RouterSite(1) as site:
        site.wait_for_uplink()
        site.client(site.lan.stations[0], HTTP)
        with PageService(site.lan.server, "dnsmasq", here):
            asking = site.parts.enter_context(PageService(site.lan.stations[0], "udhcpc", here))
            asking.wait_for_log(OBTAINED)
            # udhcpc renews at this signal as it does at half of the lease's time.
            asking.process.send_signal(signal.SIGUSR1)
            asking.wait_for_log(OBTAINED, 2)
            has_address = partial(addressed, site.lan.stations[0])
            assert has_address()
            asking.process.send_signal(signal.SIGUSR2)
            wait_for(lambda: not has_address(), 5, "the address to be given up")


def addressed(station: Namespace) -> bool:
    """Return whether the TAP has an IPv4 address."""
    return "inet 10.8.0." in station.ip(f"-4 address show dev {TAP}")

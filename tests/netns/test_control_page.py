"""The live page of a real switch: four stations, nginx with TLS, and a real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.support.browser import PHONE, Chromium, faults, overflow
from tests.support.netns import SERVER_ADDRESS
from tests.support.nginx import Nginx
from tests.support.prerequisites import require, require_root, require_tap
from tests.support.site import BridgeSite
from tests.support.traffic import ping

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.support.vpn import Client

pytestmark = pytest.mark.netns

HOSTILE: Final = "<img src=x onerror=globalThis.pwned=1>"
STATIONS: Final = ("ann", "bob", "cat", HOSTILE)
OPERATOR: Final = "olga"
PASSWORD: Final = "a-password"
MEGABITS: Final = re.compile(r"^\d+(\.\d)? Mbit/s$")


class PageSite(BridgeSite):
    """A bridge with four stations, an operator's desk, and deploy/nginx.conf."""

    def prepare(self) -> None:
        """Have nginx know the stations and the operator by name."""
        super().prepare()
        users = dict.fromkeys((*STATIONS, OPERATOR), PASSWORD)
        members = {"htpasswd": STATIONS, "htpasswd-operators": [OPERATOR]}
        self.nginx = Nginx(self.lan.server, users=users, members=members)

    def join_as(self, index: int, user: str) -> Client:
        """Start a station's client under a user's name."""
        return self.join(index, f"wss://{quote(user)}:{PASSWORD}@{SERVER_ADDRESS}/vpn")


@pytest.mark.timeout(180)
def test_an_operator_sees_and_steers_a_real_switch(tmp_path: Path) -> None:
    require_root()
    require_tap()
    require("nginx", "chromium", "iperf3", "ping")
    with PageSite(len(STATIONS) + 1) as site:
        clients = [site.join_as(index, user) for index, user in enumerate(STATIONS)]
        site.wait_until_reachable(0, 1)
        site.wait_until_reachable(2, 3)
        site.lan.stations[1].popen("iperf3 -s")
        site.lan.stations[3].popen("iperf3 -s")
        for index, rate in ((0, "8M"), (2, "2M")):
            target = site.address(index + 1)
            site.lan.stations[index].popen(
                ["sh", "-c", f"until iperf3 -c {target} -u -b {rate} -t 120; do sleep 0.2; done"]
            )
        with Chromium(site.lan.stations[-1], tmp_path) as chromium:
            # The password stands in the URL, and no slash at its end.
            url = f"https://{OPERATOR}:{PASSWORD}@{SERVER_ADDRESS}/vpn_admin"
            page = chromium.open(url, ignore_https_errors=True)
            see(page, tmp_path)
            kick(page, clients[1])
            block_and_unblock(page, site)
            assert chromium.said == []
        assert "ERROR" not in site.uwsgi.log_text()


def row(page: Page, user: str) -> str:
    """Return a selector of the row of a user's port."""
    return f"#ports-table tr:has(td.col-station:has-text({user!r}))"


def see(page: Page, directory: Path) -> None:
    """See every station with its address and rate, the TAP, and no markup."""
    expect(page.locator("#health")).to_have_text("Live")
    for index, user in enumerate(STATIONS):
        cells = page.locator(row(page, user))
        expect(cells.locator("td.col-ip")).to_contain_text(f"10.8.0.{index + 1}", timeout=40_000)
    for user, column in (("ann", "in"), ("bob", "out"), ("cat", "in"), (HOSTILE, "out")):
        expect(page.locator(row(page, user)).locator(f"td.col-{column}")).to_have_text(MEGABITS)
    expect(page.locator("#drawing")).to_contain_text("TAP vpn0")
    expect(page.locator("#processes-table")).to_contain_text("mule")
    expect(page.locator("#events-list")).to_contain_text("join")
    assert page.evaluate("globalThis.pwned") is None
    assert page.locator("img").count() == 0
    look(page, directory)


def look(page: Page, directory: Path) -> None:
    """Judge how it looks, and keep a picture of each look."""
    desk = page.viewport_size
    assert desk is not None
    for name, scheme, size in (
        ("light", "light", desk),
        ("dark", "dark", desk),
        ("phone", "dark", PHONE),
    ):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.set_viewport_size(size)
        page.screenshot(path=directory / f"{name}.png")
        assert overflow(page) == []
        assert faults(page) == []
    page.set_viewport_size(desk)


def kick(page: Page, client: Client) -> None:
    """Kick bob with a reason: his client says it, and it is an event."""
    page.locator(row(page, "bob")).get_by_role("button").click()
    page.get_by_role("button", name="Kick…").click()
    page.get_by_label("Reason").fill("the lesson is over")
    page.get_by_role("dialog").get_by_role("button", name="Kick").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    client.wait_for_log("the lesson is over")
    expect(page.locator("#events-list")).to_contain_text("the lesson is over")
    expect(page.locator("#detail .hint")).to_have_text("This port is gone.")


def block_and_unblock(page: Page, site: PageSite) -> None:
    """Block cat: no frame passes any more, until cat is unblocked."""
    page.locator(row(page, "cat")).get_by_role("button").click()
    for verb, received in (("Block", 0), ("Unblock", 1)):
        page.get_by_role("button", name=f"{verb}…").click()
        page.get_by_role("dialog").get_by_role("button", name=verb).click()
        expect(page.get_by_role("dialog")).to_be_hidden()
        marks = page.locator(row(page, "cat")).locator(".mark")
        expect(marks).to_have_text("" if received else "blocked")
        assert ping(site.lan.stations[2], site.address(0), count=1).received == received

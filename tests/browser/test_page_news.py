"""What the page says of news: events, drops in words, what is old, missing or hostile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from playwright.sync_api import expect

from tests.support.page_world import World
from vpnws.control.views import AddressView, BanView, Who

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Opener

pytestmark = pytest.mark.browser

MARKUP = (
    '<img src=x onerror="globalThis.pwned=1"><script>globalThis.pwned=1</script>&amp;"\'`${7*7}'
)
EVENTS = "#events-list li .event-text"


def one_station(**more: Any) -> World:
    """Return a world with one station."""
    world = World()
    world.add_station("bob", **more)
    return world


def test_what_a_station_sends_is_text_and_nothing_else(opened: Opener) -> None:
    """A hostile name in every field that a station, a user or a network can fill."""
    world = World()
    who = Who(user=MARKUP, dn=f"CN={MARKUP}", addr=MARKUP)
    port = world.add_station(
        MARKUP, MARKUP, who=who, macs=(MARKUP,), announced_mac=MARKUP, role=MARKUP, device=MARKUP,
        subprotocol=MARKUP, is_blocked=True, block_reason=MARKUP, allow=(MARKUP,), kind=MARKUP,
    )  # fmt: skip
    world.change(port.id, kind="station")
    world.drop_rates = {port.id: (MARKUP, 5)}
    world.addresses = [
        AddressView(
            network=MARKUP, ip=MARKUP, mac=MARKUP, port=port.id, who=who, source="arp", heard_s=0
        )
    ]
    world.bans = {"1": BanView(id=MARKUP, user=MARKUP, network=MARKUP, reason=MARKUP, until_s=2e9)}
    world.note(MARKUP, MARKUP, MARKUP, port=port.id, user=MARKUP)
    world.advance()
    page, server = opened(world)
    server.tick(2)
    page.locator("#ports-table tbody button").click()
    for place in ("#ports-table", "#detail", "#events-list", "#drops-list", "#bans", "#networks"):
        expect(page.locator(place)).to_contain_text(MARKUP)
    page.get_by_role("button", name="Ban…").click()
    expect(page.locator("#ask")).to_contain_text(MARKUP)
    assert page.evaluate("globalThis.pwned") is None
    assert page.locator("img, body script, iframe, [onerror]").count() == 0


class TestEvents:
    def test_they_come_newest_first_each_once_and_are_announced(self, opened: Opener) -> None:
        world = one_station()
        world.note("join", "bob has come", port="2.3")
        page, server = opened(world)
        expect(page.locator(EVENTS)).to_have_text(["bob has come"])
        world.advance()
        server.tell_event("storm", "bob floods", "warning", port="2.3")
        world.advance()
        server.tell_event("leave", "eve has gone", port="9.9")
        expect(page.locator(EVENTS)).to_have_text(["eve has gone", "bob floods", "bob has come"])
        log = page.get_by_role("log")
        expect(log).to_have_attribute("aria-live", "polite")
        expect(log.get_by_role("button")).to_have_text(["Show 2.3", "Show 2.3"])
        page.locator("#events-level").select_option("warnings")
        expect(page.locator(EVENTS).locator("visible=true")).to_have_text(["bob floods"])
        log.locator("button:visible").click()
        expect(page.get_by_role("heading", name="bob")).to_be_focused()

    def test_a_flood_of_them_keeps_the_newest(self, opened: Opener) -> None:
        page, server = opened(one_station())
        for number in range(1000):
            server.tell_event("join", f"number {number}")
        expect(page.locator(EVENTS).first).to_have_text("number 999")
        expect(page.locator(EVENTS)).to_have_count(200)


def test_drops_are_told_in_words_with_what_to_do_and_where(opened: Opener) -> None:
    world = one_station()
    (port,) = world.ports
    page, server = opened(world)
    expect(page.locator("#drops-hint")).to_have_text("No frame has been dropped")
    page.clock.install()
    page.reload()
    world.drop_rates = {port: ("egress_full", 37)}
    server.tick()
    page.clock.fast_forward(6000)
    server.tick()
    drops = page.locator("#drops-list li")
    expect(drops).to_contain_text("egress_full")
    expect(drops).to_contain_text("The queue is full: more is sent to the station")
    expect(drops).to_contain_text("If it lasts, look for a slow path to the station.")
    expect(page.locator("#drops-hint")).to_have_text("1 reason just now")
    drops.get_by_role("button", name=f"{port} bob").click()
    expect(page.locator("#detail .counts")).to_contain_text("egress_full 37 just now")


class TestOldNews:
    def test_a_stream_that_ends_is_opened_again(self, opened: Opener) -> None:
        page, server = opened(one_station())
        expect(page.locator("#health")).to_have_text("Live")
        server.cut()
        wait_for_stream(page, server)
        server.world.add_station("eve")
        server.tick()
        expect(page.locator("#ports-count")).to_have_text("2 ports")
        expect(page.locator("#health")).to_have_text("Live")

    def test_a_stream_that_is_refused_says_why_and_is_tried_again(self, opened: Opener) -> None:
        page, server = opened(one_station())
        server.script.stream_status = 503
        server.cut()
        banner = page.locator("#banners")
        expect(banner).to_contain_text("A process did not answer: try again.")
        expect(banner).to_contain_text("The page goes on trying.")
        expect(page.locator("#health")).to_have_text("Not live")
        server.script.stream_status = 200
        expect(page.locator("#health")).to_have_text("Live")
        expect(banner).to_be_empty()

    def test_silence_is_called_old(self, opened: Opener) -> None:
        world = one_station()
        page, server = opened(world)
        page.clock.install()
        page.reload()
        expect(page.locator("#health")).to_have_text("Live")
        page.clock.fast_forward(10_000)
        expect(page.locator("#banners")).to_contain_text("what you see is old")
        expect(page.locator("#banners")).to_contain_text("Last news 10 s ago")
        server.tick()
        expect(page.locator("#banners")).to_be_empty()

    def test_ports_of_a_process_that_does_not_answer_stay_and_are_marked(
        self, opened: Opener
    ) -> None:
        world = one_station()
        world.add_station("eve")
        page, server = opened(world)
        world.missing = ("worker 2",)
        server.tick()
        expect(page.locator("#banners")).to_contain_text("worker 2 did not answer")
        row = page.locator("#ports-table tr.missing")
        expect(row).to_contain_text("bob")
        expect(row).to_contain_text("no news")
        expect(page).to_have_title("(!) vpnws: 2 ports")
        world.missing = ()
        server.tick()
        expect(row).to_have_count(0)
        expect(page.locator("#banners")).to_be_empty()

    def test_a_port_that_went_while_its_process_answers_is_gone(self, opened: Opener) -> None:
        world = one_station()
        page, server = opened(world)
        world.ports.clear()
        world.rates.clear()
        server.tick()
        expect(page.locator("td.empty")).to_have_text("No port is open yet.")


def test_more_ports_than_the_stream_tells_are_counted(opened: Opener) -> None:
    world = World()
    for number in range(510):
        world.add_station(f"user{number}")
    page, _ = opened(world)
    expect(page.locator("#banners")).to_contain_text("The page shows 500 of 510 ports.")


def test_a_counter_that_starts_anew_is_no_negative_rate(opened: Opener) -> None:
    world = one_station(rates=(125_000, 0))
    (port,) = world.ports
    page, server = opened(world)
    server.tick(3)
    cell = page.locator("#ports-table td.col-in")
    expect(cell).to_have_text("1.0 Mbit/s")
    world.change(port, traffic=replace(world.ports[port].traffic, rx_bytes=5))
    server.tick(1)
    expect(cell).to_have_text("1.0 Mbit/s")


def wait_for_stream(page: Page, server: Any) -> None:
    """Wait until the page has opened its stream again."""
    while server.streams() == 0:
        page.wait_for_timeout(50)

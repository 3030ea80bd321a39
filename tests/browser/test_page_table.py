"""The table of ports: it sorts, searches, and changes in place, with 500 ports too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.page_world import World, mac_of
from vpnws.control.views import AddressView, Who

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Opener

pytestmark = pytest.mark.browser

SHOWN = "#ports-table tbody tr:not([hidden]) td.col-station .cell-text"
LONG_TASKS = """() => {
  globalThis.tasks = [];
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map((each) => each.duration)))
    .observe({type: "longtask"});
}"""


def world_of(*stations: tuple[str, str, int]) -> World:
    """Return a world with stations: name, network and rate."""
    world = World()
    for user, network, rate in stations:
        world.add_station(user, network, (rate, 2 * rate))
    return world


def names(page: Page) -> list[str]:
    """Return the stations in the order in which they are shown."""
    shown: list[str] = page.locator(SHOWN).all_inner_texts()
    return shown


def sort_by(page: Page, title: str) -> str | None:
    """Sort by a column, and return what a screen reader is told of the order."""
    head = page.get_by_role("columnheader", name=title, exact=True)
    head.get_by_role("button").click()
    order: str | None = head.get_attribute("aria-sort")
    return order


def test_it_sorts_by_each_column_both_ways(opened: Opener) -> None:
    page, server = opened(world_of(("bob", "red", 9000), ("al", "blue", 800), ("eve", "blue", 50)))
    server.tick(2)
    expect(page.locator("td.col-in").first).not_to_have_text("0 bit/s")
    assert names(page) == ["al", "bob", "eve"]
    assert sort_by(page, "Port") == "descending"
    assert names(page) == ["eve", "bob", "al"]
    assert sort_by(page, "Station") == "ascending"
    assert names(page) == ["al", "bob", "eve"]
    assert sort_by(page, "Station") == "descending"
    assert names(page) == ["eve", "bob", "al"]
    assert sort_by(page, "In") == "descending"
    assert names(page) == ["bob", "al", "eve"]
    assert sort_by(page, "In") == "ascending"
    assert names(page) == ["eve", "al", "bob"]
    sort_by(page, "Network")
    assert names(page)[2] == "bob"
    assert page.locator("th[aria-sort]").count() == 1


SEARCHES = {
    "BOB": ["bob"],
    mac_of(2): ["al"],
    mac_of(2).replace(":", "-").upper(): ["al"],
    mac_of(2).replace(":", ""): ["al"],
    "10.8.0.77": ["eve"],
    "blue 1.": ["al"],
    "blocked": ["eve"],
    "nobody": [],
}
"""What a person may search for, and who is found."""


def test_a_search_finds_by_what_a_person_knows(opened: Opener) -> None:
    world = world_of(("bob", "red", 0), ("al", "blue", 0), ("eve", "blue", 0))
    eve = list(world.ports.values())[2]
    world.change(eve.id, is_blocked=True)
    world.addresses.append(
        AddressView(
            network="blue", ip="10.8.0.77", mac=eve.macs[0], port=eve.id, who=Who(user="eve"),
            source="arp", heard_s=world.now_s,
        )
    )  # fmt: skip
    page, server = opened(world)
    expect(page.locator("td.col-ip").get_by_text("10.8.0.77")).to_have_count(1)
    for query, found in SEARCHES.items():
        page.keyboard.press("/")
        page.keyboard.type(query)
        server.tell()
        expect(page.locator(SHOWN)).to_have_text(found)
        expect(page.locator("#ports-count")).to_have_text(f"{len(found)} of 3 ports")
        expect(page.locator("td.empty")).to_be_visible(visible=not found)
        page.keyboard.press("Escape")
        expect(page.locator(SHOWN)).to_have_count(3)
        page.locator("#ports-search").blur()


def test_a_network_shows_its_ports_and_shows_all_again(opened: Opener) -> None:
    page, _ = opened(world_of(("bob", "red", 0), ("al", "blue", 0)))
    button = page.get_by_role("button", name="red", exact=True)
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    assert names(page) == ["bob"]
    expect(page.locator("#ports-network")).to_have_value("=red")
    page.locator("#ports-network").select_option("all")
    expect(button).to_have_attribute("aria-pressed", "false")
    assert len(names(page)) == 2


def test_500_ports_change_in_place(opened: Opener, capsys: pytest.CaptureFixture[str]) -> None:
    """No row is made, moved or removed while its figures change; how long that takes is told."""
    world = World()
    for number in range(500):
        world.add_station(f"user{number}", f"net{number % 5}", (1000 * number, 500 * number))
    page, server = opened(world)
    expect(page.locator("#ports-table tbody tr:not([hidden])")).to_have_count(500)
    page.locator("tbody tr button").nth(7).click()
    page.evaluate(LONG_TASKS)
    page.evaluate(
        """() => {
          globalThis.moves = 0;
          const observer = new MutationObserver((records) => { moves += records.length; });
          for (const place of ["#ports-table tbody", "#drawing svg", "#drawing g", "#networks"]) {
            observer.observe(document.querySelector(place), {childList: true});
          }
        }"""
    )
    facts = page.locator(".facts")
    for _ in range(20):
        before = facts.inner_text()
        server.tick()
        expect(facts).not_to_have_text(before, use_inner_text=True)
    assert page.evaluate("moves") == 0
    with capsys.disabled():
        print(f" [tasks over 50 ms, of 20 states of 500 ports: {page.evaluate('tasks')}] ", end="")


def test_ports_come_and_go(opened: Opener) -> None:
    world = world_of(("bob", "red", 0), ("al", "blue", 0))
    page, server = opened(world)
    world.add_station("eve", "blue")
    server.tick()
    expect(page.locator(SHOWN)).to_have_text(["al", "bob", "eve"])
    del world.ports[next(iter(world.ports))]
    world.rates.clear()
    server.tell()
    expect(page.locator(SHOWN)).to_have_text(["al", "eve"])

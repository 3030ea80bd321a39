"""How the page looks, on a desk and on a phone, in light and in dark, and to a screen reader."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.support.browser import DESK, PHONE, faults, overflow
from tests.support.page_world import World

if TYPE_CHECKING:
    from playwright.sync_api import Page, ViewportSize

    from tests.browser.conftest import Opener

pytestmark = pytest.mark.browser

NARROWEST: ViewportSize = {"width": 320, "height": 640}
"""The width that WCAG 2.2 asks for (1.4.10 Reflow)."""
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": DESK, "color_scheme": "light"},
    "dark": {"viewport": DESK, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light", "has_touch": True},
    "dark phone": {"viewport": PHONE, "color_scheme": "dark", "has_touch": True},
}
CELLS = """() => [...document.querySelectorAll("#drawing [data-port]")].map((each) => {
  const read = (name) => Number(each.getAttribute(name));
  const [x, y, width, height] = ["x", "y", "width", "height"].map(read);
  const [, , right, bottom] = each.ownerSVGElement.getAttribute("viewBox").split(" ").map(Number);
  return {x, y, width, height, isInside: x >= 0 && x + width <= right && y + height <= bottom};
})"""
"""Where the ports of the drawing are."""


def busy_world(stations: int = 12) -> World:
    """Return a world in which something of every kind can be seen."""
    world = World()
    world.add_trunks((9000, 8000))
    world.add_tap("vpn0", "blue", (5000, 70_000))
    for number in range(stations):
        network = ("blue", "red", "a network with a long name")[number % 3]
        user = f"user{number}" if number else "a user whose name is much too long for its place"
        world.add_station(user, network, (1000 * number, 90_000 * number))
    first, second, third = list(world.ports)[-3:]
    world.change(first, is_blocked=True, block_reason="it floods")
    world.drop_rates = {second: ("egress_full", 37), third: ("storm", 5)}
    world.note("join", "port 1.9 user=eve joined", port=first)
    world.note("drops", "port 1.9 user=eve drops 1 frames", "warning", port=second)
    world.note("process_hung", "worker 2 hangs", "error")
    return world


def fill(page: Page, world: World, server: Any) -> None:
    """Let time pass, have a process go missing, select a port and see its drops."""
    server.tick(3)
    world.missing = ("worker 2",)
    server.tick(2)
    expect(page.locator("#banners")).to_contain_text("worker 2 did not answer")
    page.locator("#ports-table tr.dropping button").first.click()
    expect(page.locator("#events-list li")).to_have_count(3)


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_no_fault_and_nothing_reaches_past_the_edge(opened: Opener, look: str) -> None:
    """Contrast, names, roles and order are axe-core's to judge: WCAG 2.2, A and AA."""
    world = busy_world()
    page, server = opened(world, **LOOKS[look])
    fill(page, world, server)
    assert faults(page) == []
    assert overflow(page) == []
    page.get_by_role("button", name="Ban…").click()
    assert faults(page) == []
    assert overflow(page) == []


@pytest.mark.parametrize("stations", [2, 30, 490])
def test_the_drawing_is_readable_at_every_width(opened: Opener, stations: int) -> None:
    """Every port is in the drawing, none covers another, and each is large enough to be seen."""
    world = busy_world(stations)
    page, server = opened(world)
    shown = sum(port.kind != "trunk" for port in world.ports.values())
    for size in (DESK, PHONE, NARROWEST):
        page.set_viewport_size(size)
        server.tick()
        width = page.locator("#drawing").evaluate("each => each.clientWidth")
        expect(page.locator("#drawing > svg")).to_have_attribute("width", str(width))
        cells = page.evaluate(CELLS)
        assert len(cells) == shown
        assert all(cell["isInside"] and cell["width"] >= 10 for cell in cells)
        assert len({(cell["x"], cell["y"]) for cell in cells}) == shown
        assert [cell for cell in cells if any(covers(cell, other) for other in cells)] == []
        assert overflow(page) == []


def covers(cell: dict[str, float], other: dict[str, float]) -> bool:
    """Return whether two places have a point in common, and are not the same."""
    return (
        cell is not other
        and cell["x"] < other["x"] + other["width"]
        and other["x"] < cell["x"] + cell["width"]
        and cell["y"] < other["y"] + other["height"]
        and other["y"] < cell["y"] + cell["height"]
    )


def test_a_port_is_chosen_in_the_drawing_and_its_plot_moves(opened: Opener) -> None:
    world = World()
    port = world.add_station("bob", "blue", (125_000, 250_000))
    page, server = opened(world)
    server.tick(3)
    page.locator(f"[data-port='{port.id}']").click()
    caption = page.locator("#detail figcaption")
    expect(caption).to_contain_text("In 1.0 Mbit/s")
    expect(caption).to_contain_text("Out 2.0 Mbit/s")
    read = "each => each.toDataURL()"
    before = page.locator("#detail canvas").evaluate(read)
    world.rates[port.id] = (500_000, 0)
    server.tick(10)
    expect(caption).to_contain_text("In 4.0 Mbit/s")
    assert page.locator("#detail canvas").evaluate(read) != before


def test_motion_is_left_out_for_whoever_wants_none(opened: Opener) -> None:
    for wish, duration in (("no-preference", "0.4s, 0.4s"), ("reduce", "0s")):
        page, _ = opened(busy_world(50), reduced_motion=wish)
        style = "each => getComputedStyle(each).transitionDuration"
        assert page.locator(".lamp .colour").first.evaluate(style) == duration

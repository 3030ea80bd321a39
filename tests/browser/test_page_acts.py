"""What a person does on the page: kick, block, ban and capture, with the keyboard alone too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.page_server import CAPTURE, Change
from tests.support.page_world import World

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.browser.conftest import Opener

pytestmark = pytest.mark.browser

MAX_TABS = 60
"""More presses of Tab than any part of a page with few ports is away."""


def few() -> World:
    """Return a world with three stations and a TAP."""
    world = World()
    for user in ("ada", "bob", "eve"):
        world.add_station(user)
    world.add_tap("vpn0")
    return world


def port_of(world: World, user: str) -> str:
    """Return a user's port."""
    (port,) = [port.id for port in world.ports.values() if port.who.user == user]
    return port


def select(page: Page, port: str) -> None:
    """Select a port in the table."""
    page.locator("#ports-table").get_by_role("button", name=f"Port {port},").click()


def ask(page: Page, action: str) -> Locator:
    """Press an action's button of the selected port, and return the dialog."""
    page.get_by_role("group", name="Actions on this port").get_by_role(
        "button", name=action
    ).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog


def tab_to(page: Page, name: str) -> None:
    """Press Tab until something of this name has the focus, and shows it."""
    for _ in range(MAX_TABS):
        page.keyboard.press("Tab")
        focus = page.locator(":focus")
        label = focus.get_attribute("aria-label") or focus.inner_text()
        if label.startswith(name):
            outline = focus.evaluate("each => getComputedStyle(each).outlineStyle")
            assert outline != "none"
            return
    pytest.fail(f"Tab does not lead to {name!r}")


def test_a_kick_by_the_keyboard_alone(opened: Opener) -> None:
    world = few()
    port = port_of(world, "bob")
    page, server = opened(world)
    tab_to(page, f"Port {port}")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="bob")).to_be_focused()
    tab_to(page, "Kick")
    page.keyboard.press("Enter")
    reason = page.get_by_label("Reason")
    expect(reason).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Kick…")).to_be_focused()
    assert server.changes == []
    page.keyboard.press("Enter")
    page.keyboard.type("you flood the network")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expected = Change("POST", f"ports/{port}/kick", {"reason": "you flood the network"})
    assert server.changes == [expected]
    server.tell()
    expect(page.locator("#detail .hint")).to_have_text("This port is gone.")
    page.get_by_role("heading", name="bob").press("Escape")
    expect(page.locator("#detail")).to_be_hidden()


def test_the_arrow_keys_go_from_port_to_port_and_escape_returns(opened: Opener) -> None:
    world = few()
    page, _ = opened(world)
    buttons = page.locator("#ports-table tbody button")
    buttons.first.focus()
    page.keyboard.press("ArrowDown")
    expect(buttons.nth(1)).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    expect(buttons.last).to_be_focused()
    page.keyboard.press("Enter")
    expect(buttons.last).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(buttons.last).to_be_focused()
    expect(buttons.last).to_have_attribute("aria-pressed", "false")


def test_block_with_a_reason_and_unblock(opened: Opener) -> None:
    world = few()
    port = port_of(world, "eve")
    page, server = opened(world)
    select(page, port)
    dialog = ask(page, "Block…")
    dialog.get_by_label("Reason").fill("a test")
    dialog.get_by_role("button", name="Block").click()
    expect(dialog).to_be_hidden()
    server.tell()
    expect(page.locator("#detail")).to_contain_text("blocked: a test")
    dialog = ask(page, "Unblock…")
    expect(dialog).to_contain_text("It was blocked because of this: a test")
    dialog.get_by_role("button", name="Unblock").click()
    expect(dialog).to_be_hidden()
    assert [change.path for change in server.changes] == [
        f"ports/{port}/block",
        f"ports/{port}/unblock",
    ]


def test_a_ban_names_whom_where_and_for_how_long_and_is_lifted(opened: Opener) -> None:
    world = few()
    page, server = opened(world)
    select(page, port_of(world, "bob"))
    dialog = ask(page, "Ban…")
    dialog.get_by_label("In", exact=True).select_option("all networks")
    dialog.get_by_label("For").select_option("1 day")
    dialog.get_by_label("Reason").fill("floods")
    dialog.get_by_role("button", name="Ban").click()
    expect(page.locator("#bans")).to_contain_text("bob, 1 d more: floods")
    body = {"user": "bob", "network": "", "for_s": 86_400, "reason": "floods"}
    assert server.changes == [Change("POST", "bans", body)]
    page.get_by_role("button", name="Lift the ban on bob").click()
    page.get_by_role("dialog").get_by_role("button", name="Lift the ban").click()
    expect(page.locator("#bans")).to_be_hidden()
    assert server.changes[-1].method == "DELETE"


def test_only_what_is_possible_is_offered(opened: Opener) -> None:
    world = few()
    page, _ = opened(world)
    select(page, "3.9")
    actions = page.get_by_role("group", name="Actions on this port").get_by_role("button")
    expect(actions).to_have_text(["Capture…"])
    select(page, port_of(world, "ada"))
    expect(actions).to_have_text(["Kick…", "Block…", "Ban…", "Capture…"])


def test_a_refusal_is_shown_in_the_dialog_and_a_second_try_is_possible(opened: Opener) -> None:
    world = few()
    page, server = opened(world)
    select(page, port_of(world, "bob"))
    server.script.refusal = (503, "worker 2 did not answer: try again")
    dialog = ask(page, "Kick…")
    dialog.get_by_role("button", name="Kick").click()
    expect(dialog.get_by_role("alert")).to_have_text("worker 2 did not answer: try again")
    server.script.refusal = None
    dialog.get_by_role("button", name="Kick").click()
    expect(dialog).to_be_hidden()
    assert len(server.changes) == 1


def test_a_token_that_has_changed_is_asked_for_again(opened: Opener) -> None:
    world = few()
    page, server = opened(world)
    for user, token in (("ada", "before"), ("bob", "after")):
        server.script.token = token
        select(page, port_of(world, user))
        ask(page, "Kick…").get_by_role("button", name="Kick").click()
        expect(page.get_by_role("dialog")).to_be_hidden()
        server.tell()
    assert [change.path.split("/")[-1] for change in server.changes] == ["kick", "kick"]


class TestCapture:
    def test_it_is_saved_when_its_time_is_over(self, opened: Opener) -> None:
        world = few()
        port = port_of(world, "bob")
        page, server = opened(world)
        server.script.capture_lasts.set()
        select(page, port)
        dialog = ask(page, "Capture…")
        dialog.get_by_label("Seconds").fill("5")
        dialog.get_by_label("Only frames that are dropped").check()
        with page.expect_download() as download:
            dialog.get_by_role("button", name="Capture").click()
        assert Path(download.value.path()).read_bytes() == CAPTURE
        assert download.value.suggested_filename.startswith(f"vpnws-port-{port}-")
        assert f"capture?port={port}&seconds=5&dropped=1" in server.requests[-1]
        expect(dialog.get_by_role("status")).to_contain_text("Saved as vpnws-port")
        dialog.get_by_role("button", name="Close").click()
        expect(dialog).to_be_hidden()

    def test_it_is_stopped_and_saved(self, opened: Opener) -> None:
        page, _ = opened(few())
        page.get_by_role("button", name="Capture network blue").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Capture").click()
        expect(dialog.get_by_role("status")).to_contain_text("so far")
        with page.expect_download() as download:
            dialog.get_by_role("button", name="Stop and save").click()
        assert Path(download.value.path()).read_bytes().startswith(CAPTURE)

    def test_a_refusal_is_shown_and_closing_the_dialog_ends_the_capture(
        self, opened: Opener
    ) -> None:
        page, server = opened(few())
        server.script.refusal = (409, "there are 4 captures already: end one")
        page.get_by_role("button", name="Capture network blue").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Capture").click()
        expect(dialog.get_by_role("alert")).to_have_text("there are 4 captures already: end one")
        server.script.refusal = None
        dialog.get_by_role("button", name="Capture").click()
        expect(dialog.get_by_role("status")).to_contain_text("so far")
        page.keyboard.press("Escape")
        assert server.script.capture_lasts.wait(10), "the server goes on capturing"

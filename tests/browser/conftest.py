"""One Chromium for a module, and a page on a world of the test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.support.browser import Chromium
from tests.support.page_server import PageServer
from tests.support.prerequisites import require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from tests.support.page_world import World


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """Yield a browser."""
    require("chromium")
    with Chromium() as browser:
        yield browser


class Opener(Protocol):
    """Opens the page."""

    def __call__(self, world: World, **options: Any) -> tuple[Page, PageServer]:
        """Serve the world and open the page; `options` are those of `Chromium.open`."""


@pytest.fixture
def opened(chromium: Chromium) -> Iterator[Opener]:
    """Yield what opens the page; afterwards no page has had an error or broken the policy."""
    servers: list[PageServer] = []
    pages: list[Page] = []

    def open_page(world: World, **options: Any) -> tuple[Page, PageServer]:
        server = PageServer(world)
        servers.append(server.__enter__())
        pages.append(chromium.open(server.url, **options))
        return pages[-1], server

    yield open_page
    for page in pages:
        page.context.close()
    for server in servers:
        server.__exit__(None, None, None)
    said, chromium.said = chromium.said, []
    assert said == []

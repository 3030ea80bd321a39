"""A real Chromium without a window, driven over a pipe: it opens no port.

Playwright brings a Chromium of its own; this is Debian's, which install-tools.sh installs.
"""

from __future__ import annotations

import stat
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from playwright.sync_api import sync_playwright

from .assembly import Assembly
from .tools import tool_path

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page, ViewportSize

    from .netns import Namespace

WAIT_MS: Final = 15_000
DESK: Final[ViewportSize] = {"width": 1440, "height": 1000}
PHONE: Final[ViewportSize] = {"width": 360, "height": 780}
AXE: Final = files("axe_playwright_python").joinpath("axe.min.js").read_text()
_AXE_RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


class Chromium(Assembly):
    """The browser for as long as the `with` block lasts, in a namespace if one is given."""

    def __init__(self, namespace: Namespace | None = None, directory: Path | None = None) -> None:
        """`directory` is where a script that enters `namespace` may be written."""
        self._namespace = namespace
        self._directory = directory
        self.said: list[str] = []
        """What pages complained of: errors of scripts, and what the policy forbade."""

    def build(self) -> None:
        """Start it."""
        playwright = self.parts.enter_context(sync_playwright())
        program = tool_path("chromium") or "chromium"
        browser = playwright.chromium.launch(executable_path=self._entered(program))
        self.parts.callback(browser.close)
        self._browser = browser

    def _entered(self, program: str) -> str:
        if self._namespace is None or self._directory is None:
            return program
        script = self._directory / "chromium-in-namespace"
        command = " ".join(self._namespace.command([program]))
        script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return str(script)

    def open(self, url: str, *, has_state: bool = True, **options: Any) -> Page:
        """Open a page in a profile of its own and wait until it shows a state.

        `options` are those of Playwright's `new_context`.
        """
        context = self._browser.new_context(**{"viewport": DESK, **options})
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.goto(url)
        if has_state:
            page.wait_for_selector("#figures dd")
        return page

    def _hear(self, kind: str, text: str) -> None:
        # The browser has a line of its own for a refused request, of which the page tells.
        if kind == "error" and not text.startswith("Failed to load resource"):
            self.said.append(text)


def faults(page: Page) -> list[str]:
    """Return what axe-core finds wrong with a page as it is: rules and places."""
    page.evaluate(AXE)
    found = page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", list(_AXE_RULES)
    )
    return [
        f"{fault['id']}: {node['target']} {node['failureSummary']}"
        for fault in found["violations"]
        for node in fault["nodes"]
    ]


def overflow(page: Page) -> list[str]:
    """Return what reaches past a page's right edge, so that it would scroll sideways."""
    found: list[str] = page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth;
          if (document.documentElement.scrollWidth <= width) return [];
          return [...document.querySelectorAll("body *")]
            .filter((each) => each.getBoundingClientRect().right > width + 0.5)
            .map((each) => `${each.tagName} ${each.id} ${each.className}`);
        }"""
    )
    return found

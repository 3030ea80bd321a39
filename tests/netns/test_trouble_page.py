"""docs/trouble.md: its commands, typed at a station that can reach another, show what it says."""

from __future__ import annotations

import pytest

from tests.support.markdown import blocks, commands
from tests.support.netns import SERVER_ADDRESS, Lan
from tests.support.prerequisites import require, require_tap
from tests.support.shell import Shell
from tests.support.uwsgi import REPOSITORY, Uwsgi
from tests.support.vpn import ClientBed

pytestmark = pytest.mark.netns

PAGE = blocks((REPOSITORY / "docs" / "trouble.md").read_text())
HTTP = f"ws://{SERVER_ADDRESS}:8080/"


class Bed(ClientBed):
    """A switch and the page's two stations."""

    def __init__(self) -> None:
        super().__init__(Lan(2))

    def build(self) -> None:
        """Start the switch, and let both join."""
        self.parts.enter_context(self.lan)
        self.parts.enter_context(Uwsgi(namespace=self.lan.server, http="0.0.0.0:8080"))
        for index, station in enumerate(self.lan.stations):
            self.connect(station, HTTP, "--address", f"{self.address(index)}/24")
        self.wait_until_reachable(1, 0)


def test_what_it_types_at_b_shows_what_it_says() -> None:
    require_tap()
    require("ip", "ping", "bash")
    typed = [command for block in PAGE if block.tags == ["trouble"] for command in commands(block)]
    assert len(typed) >= 5
    with Bed() as bed, Shell(bed.lan.stations[1].name) as shell:
        for command in typed:
            shell.type(command.text, command.output)

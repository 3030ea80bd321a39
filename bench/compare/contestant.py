"""The base of all contestants: each joins two stations, and its processes can be named."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tests.support.assembly import Assembly
from tests.support.tools import tool_path
from tests.support.traffic import ping
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.compare.bed import Bed
    from tests.support.netns import Namespace

START_S = 20.0


class SkippedError(Exception):
    """The contestant cannot take part here; the text says why."""


class Contestant(Assembly, ABC):
    """Two stations of a LAN of its own that reach each other through the server, in a `with` block.

    A subclass says how to start what carries the frames; all processes that are in the LAN's
    namespaces after that are the contestant's.
    """

    name: ClassVar[str]
    sentence: ClassVar[str]
    tools: ClassVar[Sequence[str]] = ()
    renamed: ClassVar[Mapping[str, str]] = {}
    """Better names for processes than the kernel's."""

    def __init__(self, lan: Bed) -> None:
        """Plan it in a bed that is not yet entered."""
        self.lan = lan
        self.pids: dict[str, list[int]] = {}

    def build(self) -> None:
        """Start it, and wait until the stations reach each other. Raises `SkippedError`."""
        missing = [tool for tool in self.tools if tool_path(tool) is None]
        if missing:
            raise SkippedError(f"not installed: {', '.join(missing)}")
        self.directory = Path(self.parts.enter_context(tempfile.TemporaryDirectory()))
        self.start()
        wait_for(self._is_reachable, START_S, f"{self.name} to join the stations")
        self.pids = self._processes()

    @abstractmethod
    def start(self) -> None:
        """Enter the LAN and everything else in `parts`. Raises `SkippedError`."""

    @property
    def stations(self) -> list[Namespace]:
        """The namespaces of the two stations."""
        return self.lan.stations

    def address(self, index: int) -> str:
        """Return station `index`'s IPv4 address inside the VPN."""
        return f"10.8.0.{index + 1}"

    def _is_reachable(self) -> bool:
        return ping(self.stations[0], self.address(1), count=1, wait_s=0.5).received == 1

    def _processes(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        places = {"server": self.lan.server, "st0": self.stations[0], "st1": self.stations[1]}
        for place, namespace in places.items():
            for pid in namespace.pids():
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                found.setdefault(f"{self.renamed.get(name, name)} {place}", []).append(pid)
        return found

"""What every contestant is: something that joins two stations, and whose processes can be told."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from tests.support.prerequisites import tool_path
from tests.support.traffic import ping
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from bench.compare.bed import Bed
    from tests.support.netns import Namespace

START_S = 20.0


class SkippedError(Exception):
    """The contestant cannot take part here; the text says why."""


class Contestant(ABC):
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

    def __enter__(self) -> Self:
        missing = [tool for tool in self.tools if tool_path(tool) is None]
        if missing:
            raise SkippedError(f"not installed: {', '.join(missing)}")
        with ExitStack() as stack:
            self.directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            self.start(stack)
            wait_for(self._is_reachable, START_S, f"{self.name} to join the stations")
            self.pids = self._processes()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @abstractmethod
    def start(self, stack: ExitStack) -> None:
        """Enter the LAN and start everything; `stack` ends it. Raises `SkippedError`."""

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

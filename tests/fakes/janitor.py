"""A janitor in memory: it notes what it is asked, and answers at once or when a test says so."""

from __future__ import annotations

import socket
from collections import deque
from typing import TYPE_CHECKING

from vpnws.client.janitor.messages import Answer, Call, PinOne, Want
from vpnws.errors import JanitorError

if TYPE_CHECKING:
    from vpnws.client.janitor.changes import Change
    from vpnws.client.janitor.machine import ChangeError
    from vpnws.client.janitor.messages import Request


class FakeJanitor:
    """A Janitor."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self.fd = self._near.fileno()
        self.asked: list[Request] = []
        """Every request, in order."""
        self.fails: dict[type[Change], ChangeError] = {}
        """What it says of a change of that kind."""
        self.is_slow = False
        """Whether no answer comes in time."""
        self.is_gone = False
        self.is_closed = False
        self.last_words: list[str] = []
        self._answers: deque[Answer] = deque()

    def send(self, request: Request) -> int:
        """Note a request, and have its answer ready."""
        if self.is_gone:
            raise JanitorError("the janitor is gone")
        self.asked.append(request)
        if not self.is_slow:
            self._answers.append(self._answer(request))
        return len(self.asked)

    def ask(self, request: Request, within_s: float = 0.0) -> Answer | None:
        """Note a request; return its answer."""
        del within_s
        self.send(request)
        return None if self.is_slow else self._answers.pop()

    def read(self) -> Answer | None:
        """Return the next answer."""
        return self._answers.popleft() if self._answers else None

    def tell(self, sentence: str) -> None:
        """Say something that was not asked for."""
        self._answers.append(Answer(said=(sentence,)))
        self._far.send(b"\0")

    def close(self) -> list[str]:
        """Note the end."""
        self.is_closed = True
        self._near.close()
        self._far.close()
        return self.last_words

    @property
    def wanted(self) -> tuple[Change, ...]:
        """What it was last asked to have."""
        return next(each.changes for each in reversed(self.asked) if isinstance(each, Want))

    @property
    def pinned(self) -> list[str]:
        """What it was asked to pin."""
        return [each.address for each in self.asked if isinstance(each, PinOne)]

    @property
    def calls(self) -> list[tuple[bool, str]]:
        """Which commands it was asked to run, and for which reason."""
        return [
            (each.is_up, each.variables["VPNWS_REASON"])
            for each in self.asked
            if isinstance(each, Call)
        ]

    def _answer(self, request: Request) -> Answer:
        kinds = {type(each) for each in request.changes} if isinstance(request, Want) else set()
        failures = (error for kind, error in self.fails.items() if kind in kinds)
        return Answer(len(self.asked), tuple(failures))

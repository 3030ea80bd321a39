"""Says each sentence once, and then from time to time how often it would have been said again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.server.loop import Loop

FOLD_S: Final = 600.0
"""After a sentence is said, it is only counted for this long."""
MAX_SENTENCES: Final = 64
"""Sentences that are counted apart; with more, further ones are not said until there is room."""
LOOK_EVERY_S: Final = 10.0
"""It is looked this often whether a count is due."""


@dataclass(slots=True)
class _Said:
    at_s: float
    again: int = 0


class Once:
    """Sentences of one kind that one process says."""

    def __init__(self, loop: Loop, say: Callable[[str, int], None]) -> None:
        """`say` is called with a sentence, and with how often it was true since it was said."""
        self._loop = loop
        self._say = say
        self._said: dict[str, _Said] = {}
        self._ticker = loop.every(LOOK_EVERY_S, self._look)

    def note(self, sentence: str) -> None:
        """Say `sentence`, or count it."""
        said = self._said.get(sentence)
        if said is not None:
            said.again += 1
        elif len(self._said) < MAX_SENTENCES:
            self._said[sentence] = _Said(self._loop.now())
            self._say(sentence, 1)

    def _look(self) -> None:
        now = self._loop.now()
        for sentence, said in list(self._said.items()):
            if now >= said.at_s + FOLD_S:
                del self._said[sentence]
                if said.again:
                    self._said[sentence] = _Said(now)
                    self._say(sentence, said.again)

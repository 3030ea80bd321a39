"""Says a thing of each kind once, and then from time to time how often it would have been said."""

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
    sentence: str = ""
    again: int = 0


class Once:
    """What one process says, kind by kind; by default each sentence is a kind of its own."""

    def __init__(
        self,
        loop: Loop,
        say: Callable[[str, str, int], None],
        *,
        fold_s: float = FOLD_S,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        """`say` is called with a kind, its latest sentence, and how often that is said by it.

        After something of a kind is said, more of it is only counted for `fold_s`; whether a count
        is due is looked at every `look_every_s`.
        """
        self._loop = loop
        self._say = say
        self._fold_s = fold_s
        self._said: dict[str, _Said] = {}
        self._ticker = loop.every(look_every_s, self._look)

    def note(self, sentence: str, kind: str = "", count: int = 1) -> None:
        """Say `sentence`, which stands for `count` events, or count it."""
        kind = kind or sentence
        said = self._said.get(kind)
        if said is not None:
            said.again += count
            said.sentence = sentence
        elif len(self._said) < MAX_SENTENCES:
            self._said[kind] = _Said(self._loop.now())
            self._say(kind, sentence, count)

    def close(self) -> None:
        """Say the counts so far, and look no more."""
        self._ticker.close()
        for kind, said in self._said.items():
            if said.again:
                self._say(kind, said.sentence, said.again)

    def _look(self) -> None:
        now = self._loop.now()
        for kind, said in list(self._said.items()):
            if now - said.at_s >= self._fold_s:
                del self._said[kind]
                if said.again:
                    self.note(said.sentence, kind, said.again)

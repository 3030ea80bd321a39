"""Reads what a server says in texts: shows its notices, and passes on what it offers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from vpnws.text import one_line
from vpnws.wire.offer import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vpnws.wire.offer import Offer

MAX_NOTICES: Final = 8
"""Notices of one connection that are shown; further ones are not."""
MAX_TEXTS: Final = 64
"""Texts of one connection that are read; further ones are not."""

log = logging.getLogger(__name__)


class Texts:
    """The text messages of one connection; a text that is not understood is ignored."""

    def __init__(self, told: Callable[[Offer], None]) -> None:
        """`told` gets each text that could be read."""
        self._told = told
        self._read = 0
        self._shown: set[str] = set()

    def take(self, texts: Iterable[str]) -> None:
        """Show the notices among `texts`, each once, and pass on the offers."""
        for text in texts:
            if self._read < MAX_TEXTS:
                self._read += 1
                offer = decode(text)
                if offer is not None:
                    self._show(one_line(offer.notice))
                    self._told(offer)

    def _show(self, notice: str) -> None:
        if notice and notice not in self._shown and len(self._shown) < MAX_NOTICES:
            self._shown.add(notice)
            log.info("the server says: %s", notice)


def ignore(_: Offer) -> None:
    """Do nothing with what the server offers."""

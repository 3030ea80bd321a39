"""Shows the notices that a server sends as text: JSON objects with a member "notice"."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Final

from vpnws.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_NOTICES: Final = 8
"""Notices of one connection that are shown; further ones are not."""
MAX_TEXT_CHARACTERS: Final = 4096
"""A longer text is not read."""
MAX_TEXTS: Final = 64
"""Texts of one connection that are read; further ones are not."""

log = logging.getLogger(__name__)


class Notices:
    """The text messages of one connection; a text that is not understood is ignored."""

    def __init__(self) -> None:
        self._read = 0
        self._shown: set[str] = set()

    def take(self, texts: Iterable[str]) -> None:
        """Show the notices among `texts`, each once."""
        for text in texts:
            if self._read < MAX_TEXTS:
                self._read += 1
                self._show(_notice_of(text))

    def _show(self, notice: str) -> None:
        if notice and notice not in self._shown and len(self._shown) < MAX_NOTICES:
            self._shown.add(notice)
            log.info("the server says: %s", notice)


def _notice_of(text: str) -> str:
    """Return the notice in `text` as one line for the log, empty if there is none."""
    if len(text) > MAX_TEXT_CHARACTERS:
        return ""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    notice = content.get("notice") if isinstance(content, dict) else None
    return one_line(notice) if isinstance(notice, str) else ""

"""The client's log: a line of text for people, or a JSON object for programs."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Final

FORMATS: Final = ("text", "json")


class JsonFormatter(logging.Formatter):
    """Makes each record one line: an object with `time`, `level`, `event` and `message`.

    `event` is what has happened, as one word from the record's `event`, and "message" where a
    record has none. A traceback is in `traceback`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created, UTC)
        content = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "message"),
            "message": record.getMessage(),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False)


def start_log(program: str, *, form: str = "text", quiet: bool = False) -> None:
    """Write the log to stderr in `form`, one of FORMATS; with `quiet` only warnings and errors."""
    # Without this, a line that cannot be written to stderr would cause a traceback.
    logging.raiseExceptions = False
    handler = logging.StreamHandler()
    text = logging.Formatter(f"{program}: %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else text)
    level = logging.WARNING if quiet else logging.INFO
    logging.basicConfig(handlers=[handler], level=level, force=True)

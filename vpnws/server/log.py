"""The server's log: each process writes lines to stderr, and none ever waits for a reader.

A log may be a pipe that nobody reads, or a terminal that is stopped. A worker that waits there
forwards nothing, and uWSGI's master that waits there does not end.
"""

from __future__ import annotations

import json
import logging
import os
import stat
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

STDERR: Final = 2
"""The descriptor that uWSGI writes its own log to as well."""
TEXT: Final = "text"
JSON: Final = "json"
"""The forms that a log can have: the values of `vpnws-log`."""
MAX_LINE_BYTES: Final = 4096
"""A longer line of JSON gets a shorter message. A pipe takes so much whole or not at all (PIPE_BUF,
pipe(7))."""
MAX_CUT_CHARACTERS: Final = 40
"""If a line is still too long without its message, each of its texts is cut off here."""
_CUT: Final = "..."

log = logging.getLogger("vpnws")


class JsonFormatter(logging.Formatter):
    """Makes each record one object of JSON, with the event and its fields if it is one."""

    def __init__(self, process: str) -> None:
        """`process` is what the lines call it."""
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, at most MAX_LINE_BYTES with its end."""
        # What comes from the environment may have lone surrogates, which are no UTF-8.
        message = record.getMessage().encode(errors="backslashreplace")
        fields: Mapping[str, object] = getattr(record, "fields", {})
        line = self._encode(record, message.decode(), fields)
        excess_bytes = len(line) + 1 - MAX_LINE_BYTES
        if excess_bytes > 0:
            kept = message[: max(0, len(message) - excess_bytes - len(_CUT))]
            shorter = kept.decode(errors="ignore") + _CUT
            line = self._encode(record, shorter, fields)
            if len(line) + 1 > MAX_LINE_BYTES:
                line = self._encode(record, shorter, {name: _cut(fields[name]) for name in fields})
        return line.decode()

    def _encode(
        self, record: logging.LogRecord, message: str, fields: Mapping[str, object]
    ) -> bytes:
        event: str | None = getattr(record, "event", None)
        # Not by msgspec: programs of the start may run without what pip has installed.
        return json.dumps(
            {
                "time": iso_time(record.created),
                "process": self._process,
                "level": record.levelname.lower(),
                **({"event": event} if event else {}),
                "message": message,
                **fields,
            },
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()


def _cut(value: object) -> object:
    if isinstance(value, str) and len(value) > MAX_CUT_CHARACTERS:
        return value[:MAX_CUT_CHARACTERS] + _CUT
    return value


class LineHandler(logging.Handler):
    """Writes each record as one line, or drops it where writing would wait."""

    def __init__(self, fd: int, process: str, form: str = TEXT) -> None:
        """Write to `fd`, under the name of `process`, in a form of `vpnws-log`."""
        super().__init__()
        self.setFormatter(
            JsonFormatter(process)
            if form == JSON
            else logging.Formatter(f"%(asctime)s vpnws[{process}] %(levelname)s %(message)s")
        )
        self._fd = fd
        self._dropped = 0
        self.dropped_total = 0
        """Lines that could not be written since the process began."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; first say how many could not be written, if it goes on."""
        self.tell_dropped()
        if self._dropped or not self._write(record):
            self._dropped += 1
            self.dropped_total += 1

    def tell_dropped(self) -> None:
        """Say how many lines could not be written, if there are any and it goes on."""
        if not self._dropped:
            return
        lost = logging.makeLogRecord(
            {
                "msg": "%d lines of this log were dropped, because nobody read it",
                "args": (self._dropped,),
                "levelno": logging.WARNING,
                "levelname": "WARNING",
            }
        )
        if self._write(lost):
            self._dropped = 0

    def _write(self, record: logging.LogRecord) -> bool:
        # A pipe takes a line of up to MAX_LINE_BYTES whole or not at all.
        try:
            os.write(self._fd, f"{self.format(record)}\n".encode(errors="backslashreplace"))
        except OSError:
            return False
        return True


def log_as(process: str, form: str = TEXT) -> None:
    """Log under the name `process` to stderr, which uWSGI writes to its own log.

    `form` is a value of `vpnws-log`; text for any other.
    """
    log.handlers[:] = [LineHandler(STDERR, process, form)]
    log.setLevel(logging.INFO)


def say(sentence: str, form: str, level: int = logging.CRITICAL) -> None:
    """Say in a program of the start what is wrong, in the `form` of the log."""
    if form == JSON:
        log_as("start", JSON)
        log.log(level, "%s", sentence)
    else:
        print(f"vpnws: {sentence}", file=sys.stderr)


def iso_time(unix_s: float) -> str:
    """Return a Unix time as ISO 8601 has it: in UTC, with milliseconds."""
    there = datetime.fromtimestamp(unix_s, UTC).replace(tzinfo=None)
    return f"{there.isoformat(timespec='milliseconds')}Z"


def tell_dropped() -> None:
    """Say how many lines this process had to drop, as soon as its log is read again.

    Call it every second: without it, a quiet process would say so with its next line only.
    """
    for handler in log.handlers:
        if isinstance(handler, LineHandler):
            handler.tell_dropped()


def lines_dropped() -> int:
    """Return how many lines this process had to drop since it began."""
    handlers = (handler for handler in log.handlers if isinstance(handler, LineHandler))
    return sum(handler.dropped_total for handler in handlers)


def never_wait(fd: int) -> None:
    """See that writes to `fd`, here and in children, fail where they would have to wait.

    A pipe or a terminal is opened anew, so that others who write there, such as a shell, do not
    notice. Where that is not possible, and on a socket, the description that all share is changed.
    A file is left alone: it never makes a writer wait for a reader.
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISFIFO(mode) or os.isatty(fd):
        try:
            own = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            os.set_blocking(fd, False)
        else:
            os.dup2(own, fd)
            os.close(own)
    elif stat.S_ISSOCK(mode):
        os.set_blocking(fd, False)

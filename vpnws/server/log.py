"""The server's log: each process writes lines to stderr, and none ever waits for a reader.

A log may be a pipe that nobody reads, or a terminal that is stopped. A worker that waits there
forwards nothing, and uWSGI's master that waits there does not end.
"""

from __future__ import annotations

import logging
import os
import stat
from typing import Final

STDERR: Final = 2
"""The descriptor that uWSGI writes its own log to as well."""

log = logging.getLogger("vpnws")


class LineHandler(logging.Handler):
    """Writes each record as one line, or drops it where writing would wait."""

    def __init__(self, fd: int, process: str) -> None:
        """Write to `fd`, under the name of `process`."""
        super().__init__()
        self.setFormatter(
            logging.Formatter(f"%(asctime)s vpnws[{process}] %(levelname)s %(message)s")
        )
        self._fd = fd
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; first say how many could not be written, if it goes on."""
        self.tell_dropped()
        if self._dropped or not self._write(record):
            self._dropped += 1

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
        # A pipe takes a line up to PIPE_BUF bytes (4 KiB) whole or not at all (pipe(7)).
        try:
            os.write(self._fd, f"{self.format(record)}\n".encode(errors="backslashreplace"))
        except OSError:
            return False
        return True


def log_as(process: str) -> None:
    """Log under the name `process` to stderr, which uWSGI writes to its own log."""
    log.handlers[:] = [LineHandler(STDERR, process)]
    log.setLevel(logging.INFO)


def tell_dropped() -> None:
    """Say how many lines this process had to drop, as soon as its log is read again.

    Call it every second: without it, a quiet process would say so with its next line only.
    """
    for handler in log.handlers:
        if isinstance(handler, LineHandler):
            handler.tell_dropped()


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

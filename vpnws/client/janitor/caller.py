"""The client's end of the janitor: sends requests, and hears what became of them."""

from __future__ import annotations

import os
import select
import socket
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from vpnws.client.janitor.messages import (
    MAX_MESSAGE_BYTES,
    Answer,
    decode_answer,
    encode_request,
)
from vpnws.errors import JanitorError

if TYPE_CHECKING:
    from vpnws.client.janitor.messages import Request

ANSWER_S: Final = 5.0
"""How long the client waits for an answer where it needs one to go on."""
END_S: Final = 60.0
"""A janitor that has not undone everything after this time is left behind; it goes on by itself."""
_GONE: Final = (
    "the janitor, the process that undoes what was set up on this machine, is gone: so the client"
    " ends too; its next start undoes the rest, and so does vpnws-client clean"
)


class Janitor:
    """A janitor that runs."""

    def __init__(self, sock: socket.socket, pid: int) -> None:
        """`sock` leads to it; `pid` is its process, our child."""
        self._socket = sock
        self._socket.setblocking(False)
        self._pid = pid
        self._number = 0
        self._waiting: deque[Answer] = deque()
        self.fd = sock.fileno()
        """Becomes readable when it answers, or is gone."""

    def send(self, request: Request) -> int:
        """Send a request; return its number, which the answer has too. Raises JanitorError."""
        self._number += 1
        try:
            self._socket.send(encode_request(self._number, request))
        except OSError as error:
            raise JanitorError(_GONE) from error
        return self._number

    def read(self) -> Answer | None:
        """Return the next answer, None if there is none yet. Raises JanitorError if it is gone."""
        return self._waiting.popleft() if self._waiting else self._receive()

    def ask(self, request: Request, within_s: float = ANSWER_S) -> Answer | None:
        """Send a request, and return its answer; None if it does not come in time.

        Answers to earlier requests wait for `read`. Raises JanitorError if the janitor is gone.
        """
        number = self.send(request)
        until_s = time.monotonic() + within_s
        while self._is_readable(until_s):
            answer = self._receive()
            if answer is not None and answer.number == number:
                return answer
            if answer is not None:
                self._waiting.append(answer)
        return None

    def close(self) -> list[str]:
        """Have it undo everything; return what it has to say when that is done, or END_S later.

        Closing it again does nothing.
        """
        said: list[str] = []
        if self._socket.fileno() < 0:
            return said
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        until_s = time.monotonic() + END_S
        with suppress(JanitorError):
            while self._is_readable(until_s):
                answer = self.read()
                said += answer.said if answer is not None else ()
        self._socket.close()
        with suppress(ChildProcessError):
            os.waitpid(self._pid, os.WNOHANG if time.monotonic() >= until_s else 0)
        return said

    def _receive(self) -> Answer | None:
        try:
            data = self._socket.recv(MAX_MESSAGE_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            raise JanitorError(_GONE) from error
        if not data:
            raise JanitorError(_GONE)
        return decode_answer(data)

    def _is_readable(self, until_s: float) -> bool:
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        return bool(poller.poll(1000 * max(0.0, until_s - time.monotonic())))

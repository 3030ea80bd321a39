"""The janitor's process: serves requests until the client is gone, then undoes everything."""

from __future__ import annotations

import logging
import select
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vpnws.client.janitor import journal
from vpnws.client.janitor.journal import DIRECTORY, Lock, Place
from vpnws.client.janitor.ledger import Ledger
from vpnws.client.janitor.left import undo_left
from vpnws.client.janitor.machine import ChangeError, Machine
from vpnws.client.janitor.messages import (
    MAX_MESSAGE_BYTES,
    Answer,
    Call,
    KeepPins,
    PinOne,
    Request,
    Want,
    decode_request,
    encode_answer,
)
from vpnws.client.janitor.scripts import SCRIPT_S, Scripts

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from pathlib import Path

    from vpnws.client.janitor.deeds import Deed

LOCK_S: Final = 2 * SCRIPT_S + 5.0
"""How long a janitor waits for the one before it, of the same device, to have undone everything. If
it takes longer, this one keeps no journal."""
_LOOK_EVERY_MS: Final = 50
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Powers:
    """What a client may ask for; it is decided before it speaks with anybody."""

    tap: str
    kinds: frozenset[str]
    """The names of the changes that it may ask for."""
    up: tuple[str, ...] = ()
    down: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    """Files of the client that it may not remove itself once it has no privileges."""
    directory: Path = DIRECTORY
    """Where the journal is kept."""


class JanitorProcess:
    """Serves one client."""

    def __init__(self, sock: socket.socket, powers: Powers, machine: Machine) -> None:
        """`sock` leads to the client."""
        self._socket = sock
        self._powers = powers
        self._machine = machine
        self._place = Place.of(powers.directory, powers.tap)
        self._lock: Lock | None = None
        self._trouble = ""
        self._has_said_trouble = False
        self._files = {path: _number(path) for path in powers.files}
        self._ledger = Ledger(machine, powers.tap, self._write)
        self._scripts = Scripts(powers.up, powers.down, time.monotonic, self._say)

    def run(self) -> None:
        """Serve until the client is gone or has said that it ends; then undo everything."""
        self._begin()
        try:
            self._serve()
        finally:
            self._end()

    def _end(self) -> None:
        """Undo everything, whatever becomes of the rest."""
        try:
            for path, number in self._files.items():
                # The next client may have put its own there already.
                if number and _number(path) == number:
                    with suppress(OSError):
                        path.unlink()
            self._scripts.finish()
        finally:
            for sentence in self._ledger.undo_all():
                self._say(sentence)
            if self._lock is not None:
                self._lock.release()

    def _begin(self) -> None:
        """Take over from a janitor before us, and undo what was left by those that were killed."""
        try:
            self._powers.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._lock = Lock.take(self._place, LOCK_S)
            if self._lock is None:
                self._trouble = f"{self._place.lock}: the janitor before has not ended"
                return
            for line in undo_left(self._machine, self._powers.directory, self._place):
                log.info("%s", line)
        except OSError as error:
            self._trouble = f"{self._powers.directory}: {error.strerror}"

    def _serve(self) -> None:
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        while True:
            if poller.poll(_LOOK_EVERY_MS if self._scripts.is_busy else None):
                data = self._receive()
                if not data:
                    return
                self._answer(data)
            self._scripts.step()

    def _receive(self) -> bytes:
        """Return the next request, nothing once the client is gone."""
        try:
            return self._socket.recv(MAX_MESSAGE_BYTES)
        except ConnectionResetError:
            # It was killed before it had read all answers (unix(7)).
            return b""

    def _answer(self, data: bytes) -> None:
        number = 0
        try:
            number, request = decode_request(data)
            failures = self._do(request)
        except ValueError as error:
            failures = [ChangeError(f"a request that makes no sense: {error}")]
        self._say_trouble()
        self._send(Answer(number, tuple(failures)))

    def _do(self, request: Request) -> list[ChangeError]:
        match request:
            case Want():
                kinds = {type(each).__name__ for each in request.changes}
                if not kinds <= self._powers.kinds:
                    return [ChangeError(f"not allowed by the options: {', '.join(sorted(kinds))}")]
                return self._ledger.want(request.changes)
            case PinOne():
                return self._ledger.pin(request.address)
            case KeepPins():
                self._ledger.unpin(request.addresses)
            case Call():
                self._scripts.call(request.variables, is_up=request.is_up)
        return []

    def _write(self, deeds: Sequence[Deed]) -> None:
        """Write the journal, if that can be."""
        if self._lock is not None:
            try:
                journal.write(self._place, deeds)
            except OSError as error:
                self._trouble = self._trouble or f"{self._place.path}: {error.strerror}"

    def _say_trouble(self) -> None:
        """Say once that there is no journal, if there is something that should be in it."""
        if self._trouble and not self._has_said_trouble and self._ledger.has_something:
            self._has_said_trouble = True
            self._say(
                f"no journal can be kept ({self._trouble}): should this program and its janitor be"
                " killed both, or the power fail, what they set up stays"
            )

    def _say(self, sentence: str) -> None:
        """Tell the client; if it is gone, the log."""
        if not self._send(Answer(said=(sentence,))):
            log.warning("%s", sentence)

    def _send(self, answer: Answer) -> bool:
        """Send an answer, unless the client is gone or does not read; return whether it was."""
        try:
            self._socket.send(encode_answer(answer))
        except OSError:
            return False
        return True


def _number(path: Path) -> int:
    """Return what tells a file from another one of its name, 0 if there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0

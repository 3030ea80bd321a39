"""What goes on inside the VPN during an outage: pings all the time, and one TCP connection."""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tests.support.crew import Crew
from tests.support.service import Service
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.netns import Namespace

PORT: Final = 7007
EVERY_S: Final = 0.1
_REPLY: Final = re.compile(r"^\[([0-9.]+)\] [0-9]+ bytes from .* time=([0-9.]+) ms", re.MULTILINE)


class Pings(Service):
    """ping(8) ten times a second, from the start of a `with` block to its end."""

    name = "ping"
    may_end = True

    def __init__(self, namespace: Namespace, address: str) -> None:
        """Ping `address` from `namespace`."""
        super().__init__(namespace)
        self._address = address

    def command(self) -> list[str]:
        """Return the command line: -D writes when each answer came."""
        return ["stdbuf", "-oL", "ping", "-n", "-D", "-i", str(EVERY_S), self._address]

    def first_after_s(self, moment_s: float, within_s: float) -> float:
        """Return how long after `moment_s` of time.time() the first answer came.

        An answer to a ping from before does not count. Raises TimeoutError if there is none within
        `within_s` from now.
        """

        def first() -> float:
            for time_s, rtt_ms in _REPLY.findall(self.log_text()):
                if float(time_s) - float(rtt_ms) / 1000 > moment_s:
                    return float(time_s)
            return 0.0

        return wait_for(first, within_s, "an answer to a ping") - moment_s


class Echoes(Crew):
    """A TCP server that sends everything back to whoever connects."""

    def __init__(self, namespace: Namespace, address: str) -> None:
        """Listen at `address` of `namespace` from the start of the `with` block on."""
        self._listener = namespace.call(lambda: socket.create_server((address, PORT)))
        self._listener.settimeout(EVERY_S)
        super().__init__(self._serve)

    def _serve(self) -> None:
        taken: list[socket.socket] = []
        with self._listener:
            while not self.stop.is_set():
                with suppress(TimeoutError):
                    taken.append(self._listener.accept()[0])
                for sock in taken:
                    _send_back(sock)
        for sock in taken:
            sock.close()


class TcpInside:
    """One TCP connection through the VPN that should outlive every outage."""

    def __init__(self, namespace: Namespace, address: str) -> None:
        """Connect to the Echoes at `address`."""
        self._socket = namespace.call(lambda: socket.create_connection((address, PORT), 10.0))
        self._sent = 0
        self._got = b""

    def send(self) -> None:
        """Send a line, and do not wait for it."""
        self._sent += 1
        self._socket.send(b"%08d" % self._sent)

    def goes_on(self, within_s: float) -> bool:
        """Tell whether all that was sent comes back, and a new line too."""
        self.send()
        self._socket.settimeout(EVERY_S)
        wanted = b"".join(b"%08d" % number for number in range(1, self._sent + 1))
        until_s = time.monotonic() + within_s
        while self._got != wanted and time.monotonic() < until_s:
            try:
                data = self._socket.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                return False
            if not data:
                return False
            self._got += data
        return self._got == wanted

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def _send_back(sock: socket.socket) -> None:
    sock.settimeout(0.0)
    try:
        data = sock.recv(4096)
        if data:
            sock.sendall(data)
    except OSError:
        # Nothing has come, or the station is gone.
        return

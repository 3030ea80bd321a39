"""Reloads servers under load at the moment when uWSGI's own threads wake, and counts dead masters.

uWSGI's master looks once a second whether its workers have ended, and a thread of its cache wakes
every three seconds. Both clocks begin when the master has forked, so each third second is where
they meet. Several servers take turns at random, each with stations that send all the time.
"""

from __future__ import annotations

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from bench.program import make_parser, tell
from tests.live.server import TwoWorkers
from tests.support.crew import Crew
from tests.support.frames import frame, mac
from tests.support.waiting import wait_for
from vpnws.wire.ethernet import BROADCAST, format_mac

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.raw_client import RawClient

RELOADS: Final = 500
SERVERS: Final = 8
PERIOD_S: Final = 3.0
"""How often uWSGI's cache sweeper wakes."""
MASTER_S: Final = 1.004
"""How long after a SIGHUP the master looks whether all has ended, and executes itself anew."""
SPREAD_S: Final = (-0.006, 0.002)
"""A reload is aimed this far beside the moment, because no two runs take the same time."""
BACK_S: Final = 20.0
"""A server that does not serve within this time after a reload counts as dead."""
FORKED: Final = "spawned uWSGI worker 2"
"""What uWSGI logs right before it starts its threads."""
LAST_WORDS: Final = 12
"""Of a master that died, so many lines of the log are shown."""
FRAME_EVERY_S: Final = 0.005
FRAME_BYTES: Final = 60
_NOTICED_EVERY_S: Final = 0.001


class Load(Crew):
    """A station at each worker that sends broadcasts, and comes back after each reload."""

    def __init__(self, server: TwoWorkers) -> None:
        self._server = server
        super().__init__(*(partial(self._work, worker) for worker in (1, 2)))
        self.frames = 0
        self.joins = 0

    def _work(self, worker: int) -> None:
        station = mac(worker)
        while not self.stop.is_set():
            # The server is away for a moment, or tells the station to come back.
            with suppress(OSError, EOFError), self._server.connect(worker) as client:
                if client.upgrade(headers=[("X-vpn-ws-MAC", format_mac(station))]).status == 101:
                    self.joins += 1
                    self._send(client, frame(BROADCAST, station, FRAME_BYTES))
            self.stop.wait(0.02)

    def _send(self, client: RawClient, broadcast: bytes) -> None:
        while not self.stop.wait(FRAME_EVERY_S):
            client.send_frame(broadcast)
            self.frames += 1
            with suppress(TimeoutError):
                client.read_message(0.001)


@dataclass(slots=True)
class Result:
    """What became of the reloads of one server, or of all."""

    server: str
    reloads: int = 0
    dead: int = 0
    joins: int = 0
    frames: int = 0
    last_words: list[str] = field(default_factory=list)

    def add(self, other: Result) -> None:
        """Count what `other` counted too."""
        self.reloads += other.reloads
        self.dead += other.dead
        self.joins += other.joins
        self.frames += other.frames
        self.last_words += other.last_words

    def shown(self) -> dict[str, str]:
        """Return its cells of the table."""
        return {name: f"{value:,}" if name != "server" else value for name, value in self.cells()}

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**dict(self.cells()), "last_words": self.last_words}

    def cells(self) -> list[tuple[str, Any]]:
        """Return what is counted, by name."""
        names = ("server", "reloads", "dead", "joins", "frames")
        return [(name, getattr(self, name)) for name in names]


class Reloader:
    """Reloads servers one after another until all reloads are used up; a dead one is replaced."""

    def __init__(self, name: str, reloads: int) -> None:
        self.result = Result(name)
        self._left = reloads

    def run(self) -> Result:
        """Do all the reloads."""
        while self._left:
            with TwoWorkers({}) as server, Load(server) as load:
                server.leaves_nothing = False
                self._reload(server)
            self.result.joins += load.joins
            self.result.frames += load.frames
        return self.result

    def _reload(self, server: TwoWorkers) -> None:
        """Reload `server` until the reloads are used up or it is dead."""
        # Not counted: it tells when the master has forked, and so how its clocks go.
        forked_s = reload(server, time.monotonic())
        while self._left and forked_s is not None:
            self._left -= 1
            self.result.reloads += 1
            forked_s = reload(server, next_aim(forked_s, time.monotonic()))
        if forked_s is None:
            self.result.dead += 1
            self.result.last_words += server.log_text().splitlines()[-LAST_WORDS:]


def next_aim(forked_s: float, now_s: float) -> float:
    """Return when to send SIGHUP so that the master executes itself when its threads wake."""
    periods = 1
    while (at_s := forked_s + periods * PERIOD_S - MASTER_S) < now_s + 0.5:
        periods += 1
    return at_s + random.uniform(*SPREAD_S)


def reload(server: TwoWorkers, at_s: float) -> float | None:
    """Send SIGHUP at `at_s`; return when the master has forked again, None if it has died."""
    (log,) = server.logs()
    _sleep_until(at_s)
    with log.open() as said:
        said.seek(0, os.SEEK_END)
        os.kill(server.master_pid, signal.SIGHUP)
        words = ""

        def forked_or_dead() -> bool:
            nonlocal words
            words += said.read()
            return FORKED in words or server.process.poll() is not None

        with suppress(TimeoutError):
            wait_for(forked_or_dead, BACK_S, "the reload", interval_s=_NOTICED_EVERY_S)
    return time.monotonic() if FORKED in words else None


def _sleep_until(at_s: float) -> None:
    time.sleep(max(0.0, at_s - time.monotonic()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench from the command line; return 1 if a master died."""
    parser = make_parser("reloads", __doc__)
    parser.add_argument("--reloads", type=int, default=RELOADS, help="of all servers together")
    parser.add_argument("--servers", type=int, default=SERVERS, help="that run at one time")
    options = parser.parse_args(arguments)
    shares = [options.reloads // options.servers] * options.servers
    shares[0] += options.reloads % options.servers
    began_s = time.monotonic()
    with ThreadPoolExecutor(options.servers) as pool:
        reloaders = [Reloader(str(n + 1), share) for n, share in enumerate(shares)]
        results = list(pool.map(Reloader.run, reloaders))
    total = Result("all")
    for result in results:
        total.add(result)
    tell(options, "reloads", "reloads", [*results, total])
    print(f"{time.monotonic() - began_s:.0f} s")
    for line in total.last_words:
        print(line)
    return 1 if total.dead else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""A whole VPN on one machine: a LAN of namespaces, uWSGI, nginx with TLS, and real clients.

stations[i]: vpnws-client -- tap0 10.8.0.(i+1)/24, fd08::(i+1)/64
     | wss://10.99.0.1/vpn           (the road: see netns.py)
server: nginx (deploy/nginx.conf) -- unix socket -- uWSGI (uwsgi.ini)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from . import processes
from .netns import SERVER_ADDRESS, Lan, Namespace
from .nginx import Nginx
from .traffic import ping
from .uwsgi import REPOSITORY, Uwsgi
from .waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

JOIN_S = 15.0
TAP = "tap0"
LOGIN = "alice:wonderland@"


class Client:
    """A running vpnws-client in a namespace, and its log."""

    def __init__(self, namespace: Namespace, log: Path, url: str, *options: str) -> None:
        """Start it; `options` stand before the device and the `url`."""
        self.namespace = namespace
        self._log = log
        with log.open("w") as sink:
            self.process = namespace.popen(
                [sys.executable, "-m", "vpnws.client", *options, TAP, url],
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=REPOSITORY,
            )

    def log_text(self) -> str:
        """Return what it has printed so far."""
        return self._log.read_text(errors="replace")

    def wait_for_log(self, text: str, count: int = 1) -> None:
        """Wait until it has printed `text` so often. Raises `TimeoutError`."""
        what = f"the client to say {text!r}"
        try:
            wait_for(lambda: self.log_text().count(text) >= count, JOIN_S, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it said:\n{self.log_text()}") from None

    def stop(self) -> int:
        """End it as Ctrl-C does and return its exit code."""
        self.process.send_signal(signal.SIGINT)
        code: int = self.process.wait(10)
        return code


class Vpn:
    """A VPN from the start of a `with` block to its end; clients join one by one."""

    def __init__(
        self, stations: int = 2, *arguments: str, placeholders: Mapping[str, str] | None = None
    ) -> None:
        """`stations` is how many namespaces there are; the rest is uWSGI's."""
        self.lan = Lan(stations)
        self._arguments = arguments
        self._placeholders = placeholders
        self._clients = 0
        self.nginx = Nginx(self.lan.server)

    def prepare(self, stack: ExitStack) -> None:
        """Make what the server finds when it starts; a subclass has more than nothing."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            stack.enter_context(self.lan)
            self.prepare(stack)
            stack.enter_context(self.nginx)
            self.uwsgi = stack.enter_context(
                Uwsgi(
                    *self._arguments,
                    namespace=self.lan.server,
                    socket_path=self.nginx.socket_path,
                    placeholders=self._placeholders,
                )
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is not None:
                for log in sorted(self._directory.glob("client*")):
                    print(f"--- {log.name}:\n{log.read_text(errors='replace')[-4000:]}")
        finally:
            self._stack.__exit__(kind, error, trace)

    @staticmethod
    def address(index: int) -> str:
        """Return station `index`'s IPv4 address in the VPN."""
        return f"10.8.0.{index + 1}"

    @staticmethod
    def address_6(index: int) -> str:
        """Return station `index`'s IPv6 address in the VPN."""
        return f"fd08::{index + 1:x}"

    def join(self, index: int, url: str | None = None, *options: str) -> Client:
        """Start station `index`'s client and wait until it is connected; by default over TLS."""
        self._clients += 1
        client = Client(
            self.lan.stations[index],
            self._directory / f"client-{index}-{self._clients}",
            url or f"wss://{LOGIN}{SERVER_ADDRESS}/vpn",
            *("--address", f"{self.address(index)}/24"),
            *("--address", f"{self.address_6(index)}/64"),
            *(("--ca", str(self.nginx.ca.crt)) if not url or url.startswith("wss") else ()),
            *options,
        )
        self._stack.callback(processes.stop, client.process)
        client.wait_for_log("connected to")
        return client

    def join_all(self) -> list[Client]:
        """Have every station join."""
        return [self.join(index) for index in range(len(self.lan.stations))]

    def wait_until_reachable(self, one: int, other: int) -> None:
        """Wait until station `one` can ping station `other`."""
        wait_for(
            lambda: ping(self.lan.stations[one], self.address(other), count=1).received == 1,
            JOIN_S,
            f"station {one} to reach station {other}",
        )


def kill(pid: int) -> None:
    """Kill a process the way nothing survives."""
    os.kill(pid, signal.SIGKILL)

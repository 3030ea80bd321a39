"""vpnws as it is deployed: two clients, nginx with TLS and passwords, uWSGI with two workers."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from bench.compare.contestant import Contestant, SkippedError
from tests.support.nginx import Nginx
from tests.support.vpn import Vpn
from vpnws.client.program.parser import make_parser

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.compare.bed import Bed

WORKERS = 2
NO_OFFLOAD = "--no-offload"


class BenchVpn(Vpn):
    """The tests' VPN on a given LAN, with as many nginx workers as uWSGI has."""

    def __init__(self, lan: Bed) -> None:
        """Plan it on `lan`, which it enters itself."""
        super().__init__(2, f"--processes={WORKERS}")
        self.lan = lan
        self.nginx = Nginx(lan.server, worker_processes=WORKERS)


class Vpnws(Contestant):
    """Both stations on one worker of two."""

    name = "vpnws"
    sentence = "vpnws through nginx and TLS, both stations on the same uWSGI worker"
    tools = ("nginx", "openssl", "uwsgi")
    renamed: ClassVar = {"python": "client", "python3": "client"}
    workers: ClassVar[Sequence[int]] = (1, 1)
    """The uWSGI worker of each station."""
    options: ClassVar[Sequence[Sequence[str]]] = ((), ())
    """Options of each station's client."""

    def start(self) -> None:
        """Start the server and have both stations join."""
        known = make_parser().format_help()
        lacking = {one for each in self.options for one in each if one not in known}
        if lacking:
            raise SkippedError(f"this vpnws-client does not know {', '.join(sorted(lacking))}")
        vpn = self.parts.enter_context(BenchVpn(self.lan))
        for index, worker in enumerate(self.workers):
            with only_worker(vpn, worker):
                vpn.join(index, "", *self.options[index])


class VpnwsApart(Vpnws):
    """The two stations on different workers, so that frames cross a trunk."""

    name = "vpnws-apart"
    sentence = "the same, the stations on different uWSGI workers"
    workers = (1, 2)


class VpnwsPlain(Vpnws):
    """One station without offload, and one with it."""

    name = "vpnws-plain"
    sentence = f"the same, station 0 with {NO_OFFLOAD}: the switch cuts and checksums for it"
    options = ((NO_OFFLOAD,), ())


@contextmanager
def only_worker(vpn: Vpn, number: int) -> Iterator[None]:
    """Stop the other workers for a while, so that this one accepts every connection."""
    others = [pid for index, pid in enumerate(vpn.uwsgi.worker_pids(), 1) if index != number]
    try:
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)

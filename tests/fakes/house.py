"""A whole server and its stations in one process: the master, the workers, the mule and the LAN.

Everything of vpnws/server runs as it ships, from the WSGI entry to the trunks. What is not vpnws is
a fake: the loop with its clock, uWSGI, the stations' connections, the machine's TAPs. The seed
decides in which order the processes and stations do what they could do at the same time.
"""

from __future__ import annotations

import copy
import gc
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.fakes.devices import FakeDevices
from tests.fakes.manual_loop import ManualLoop
from tests.fakes.station import Station
from tests.fakes.uwsgi import GOOD_OPTIONS, FakeMaster, FakeUwsgi, ProcessEnded
from tests.fakes.watchers import World
from tests.fakes.wire import Wire
from vpnws.server.hooks.mule import HooksMule
from vpnws.server.peers import kept_claims
from vpnws.server.start import Server, start
from vpnws.server.uplink.mule import Mule
from vpnws.server.web.app import Application
from vpnws.wire.records import SUBPROTOCOL

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from vpnws.control.views import FindingView
    from vpnws.server.node import Node

MULE: Final = 0
"""The mule's place among the processes; workers are counted from 1."""
HOOKS_MULE: Final = 3
"""The number that uWSGI gives the process for hooks."""
KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="


@dataclass
class Process:
    """One process of the server after its fork: its own copy of what the master made."""

    loop: ManualLoop
    uwsgi: FakeUwsgi
    server: Server
    application: Application

    @property
    def node(self) -> Node:
        """The worker's node."""
        node = self.application._node
        assert node is not None
        return node


@dataclass
class House:
    """A server of `workers` workers, and of a mule if `tap` names a TAP (see vpnws-tap)."""

    seed: int = 0
    workers: int = 2
    tap: str = ""
    settings: dict[str, str] = field(default_factory=dict)
    """Other placeholders without their prefix, such as {"age": "60"}."""
    findings: tuple[FindingView, ...] = ()
    """What the doctor finds on the machine; another tuple takes effect at the next look."""

    hooks_with: dict[str, Any] = field(default_factory=dict)
    """What the process for hooks gets instead of threads, a shell and a web server."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.loop = ManualLoop(World(shuffler=self.random))
        self.devices = FakeDevices()
        self.environment: dict[str, str] = {}
        mode = "bridge" if self.tap else "switch"
        placeholders = {"mode": mode, "tap": self.tap, **self.settings}
        options = {f"vpnws-{name}": text.encode() for name, text in placeholders.items() if text}
        self.master = FakeMaster(
            self.loop,
            workers=self.workers,
            options={**GOOD_OPTIONS, **options},
            cache_items=int(self.settings.get("fdb-items", "16384")),
        )
        for network, device in (word.rpartition(":")[::2] for word in self.tap.split()):
            self.devices.make(
                device, mac=b"\x02\x0a" + (network or "default").encode()[:4].ljust(4)
            )
        self.processes: dict[int, Process] = {}
        self.stations: list[Station] = []
        self._begin()

    def _begin(self) -> None:
        """Let the master make what is shared, and fork every process."""
        self.server = start(
            self.loop, FakeUwsgi(self.master, self.loop), self.devices, self.environment
        )
        for worker in range(1, self.workers + 1):
            self.start(worker)
        if self.tap:
            self.start(MULE)
        self.start_hooks()
        self.loop.settle()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number in list(self.processes):
            self.kill(number)
        self.kill_hooks()
        for station in self.stations:
            station.stop_reading()
            station.hang_up()
        for end in self.server._bus._ends.values():
            end.close()
        kept_claims.remove(self.environment)

    def start(self, number: int) -> Process:
        """Fork a worker, or the mule, from the master."""
        process = self.processes[number] = self._fork(number, 1 if number == MULE else 0)
        if number == MULE:
            process.loop.spawn(Mule(process.server))
        return process

    def start_hooks(self) -> Process:
        """Fork the process for hooks."""
        self.hooks = process = self._fork(0, HOOKS_MULE)
        process.loop.spawn(HooksMule(process.server, lambda *_: self.findings, **self.hooks_with))
        return process

    def _fork(self, worker: int, mule: int) -> Process:
        loop = self.loop.fork()
        uwsgi = FakeUwsgi(self.master, loop, worker=worker, mule=mule)
        # A fork has copies of all descriptors, so that closing some closes nobody else's.
        bus = copy.copy(self.server._bus)
        bus._ends = {pair: end.dup() for pair, end in self.server._bus._ends.items()}
        server = copy.copy(self.server)
        mailboxes = copy.copy(self.server._mailboxes)
        mailboxes._ends = [
            (inside.dup(), outside.dup()) for inside, outside in self.server._mailboxes._ends
        ]
        server.loop, server.uwsgi, server._bus = loop, uwsgi, bus
        server._mailboxes = mailboxes
        process = Process(loop, uwsgi, server, Application(server))
        uwsgi.fork_hook()
        gc.unfreeze()
        return process

    def kill(self, number: int) -> None:
        """Let a process die at once, as by SIGKILL: the kernel closes its descriptors."""
        _end(self.processes.pop(number))
        for device in list(self.devices.devices.values()) if number == MULE else []:
            if device.opened is not None:
                device.opened.close()
        self.loop.settle()

    def kill_hooks(self) -> None:
        """Let the process for hooks die at once."""
        _end(self.hooks)
        self.loop.settle()

    def signal_mule(self, number: int) -> None:
        """Send the mule a signal that ends it, and see that it ends itself."""
        try:
            self.processes[MULE].loop.send_signal(number)
        except ProcessEnded:
            return
        raise AssertionError("the mule goes on")

    def reload(self) -> None:
        """Ask every worker to end for a reload."""
        for number, process in self.processes.items():
            if number != MULE:
                process.loop.reload()
        self.loop.settle()

    def reload_all(self) -> None:
        """Reload the server: every process ends, and the master starts anew without its cache."""
        self.reload()
        for number in list(self.processes):
            self.kill(number)
        self.kill_hooks()
        for end in self.server._bus._ends.values():
            end.close()
        self.master.empty_caches()
        self.environment["UWSGI_RELOADS"] = "1"
        self._begin()

    def connect(
        self,
        worker: int = 1,
        *,
        network: str = "",
        offload: bool = False,
        wire: Wire | None = None,
        has_spoken: bool = True,
        **variables: str,
    ) -> Station:
        """Connect a station to `worker`; `variables` are what the web server says besides.

        With `has_spoken` it hears floods like a station that has sent a frame.
        """
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "HTTP_UPGRADE": "websocket",
            "HTTP_SEC_WEBSOCKET_KEY": KEY,
            "HTTP_SEC_WEBSOCKET_VERSION": "13",
            **variables,
        }
        if network:
            environ["VPNWS_NETWORK"] = network
        if offload:
            environ["HTTP_SEC_WEBSOCKET_PROTOCOL"] = SUBPROTOCOL
        wire = wire or Wire(self.loop)
        process = self.processes[worker]
        request = process.uwsgi.serve(process.application, environ, wire.near)
        station = Station(self.loop, wire, request, worker)
        self.stations.append(station)
        self.loop.settle()
        node = process.application._node
        if has_spoken and node is not None and node.links and request.status.startswith("101"):
            node.switch.networks.hear(list(node.links.values())[-1].port)
        return station


def _end(process: Process) -> None:
    """Let the kernel close what a process had open."""
    process.loop.kill()
    for end in process.server._bus._ends.values():
        end.close()
    process.uwsgi.close_all()

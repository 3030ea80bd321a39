"""Network namespaces, and a small LAN of them: one server and N stations on a Linux bridge.

        server namespace                              station namespaces
  +--------------------------+
  |  lan0 (bridge)           |      veth       +---------------------------+
  |  10.99.0.1/24            |      pairs      |  eth0 10.99.0.11/24       |  stations[0]
  |  fd99::1/64              |                 |       fd99::11/64         |
  |    +-- lan1 -------------------------------+                           |
  |    |                     |                 +---------------------------+
  |    |                     |                 +---------------------------+
  |    +-- lan2 -------------------------------+  eth0 10.99.0.12/24       |  stations[1]
  |    :                     |                 |       fd99::12/64         |
  +--------------------------+                 +---------------------------+

This is the road that the VPN's own connections take; no frame of it leaves these namespaces.
"""

from __future__ import annotations

import ctypes
import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, Unpack

from . import processes
from .assembly import Assembly
from .processes import Command, Options, words

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping

T = TypeVar("T")

MAX_STATIONS = 200
SERVER_ADDRESS = "10.99.0.1"
SERVER_ADDRESS_6 = "fd99::1"

_CLONE_NEWNET = 0x40000000
_serial = itertools.count(1)

# Without duplicate address detection an IPv6 address works at once; without router solicitations
# an idle link is quiet, and a capture shows what the test did.
_PREPARE = """
cd /proc/sys/net/ipv6/conf 2>/dev/null && for scope in all default; do
    echo 0 > $scope/accept_dad; echo 0 > $scope/dad_transmits; echo 0 > $scope/router_solicitations
done
ip link set lo up
"""


class Namespace(Assembly):
    """A network namespace that lives as long as the `with` block.

    Its name is unique on the machine. At the end every process in it is ended, by id, whoever
    started it, and the namespace is removed.
    """

    def __init__(self, label: str) -> None:
        """Name it after `label`; nothing is made before the `with` block is entered."""
        self.name = f"vpnws-{os.getpid()}-{next(_serial)}-{label}"
        self._started: list[subprocess.Popen[str]] = []

    def build(self) -> None:
        """Make the namespace."""
        self.parts.callback(self._delete)
        processes.run(["ip", "netns", "add", self.name])
        self.run(["sh", "-c", _PREPARE])
        self.parts.callback(self._end_processes)

    def command(self, command: Command) -> list[str]:
        """Return a command line that runs `command` in here by exec."""
        return ["ip", "netns", "exec", self.name, *words(command)]

    def run(
        self,
        command: Command,
        *,
        timeout_s: float = 30.0,
        check: bool = True,
        input_text: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in here to its end; raises as `processes.run` does."""
        return processes.run(
            self.command(command),
            timeout_s=timeout_s,
            check=check,
            input_text=input_text,
            env=env,
        )

    def popen(self, command: Command, **options: Unpack[Options]) -> subprocess.Popen[str]:
        """Start a command in here, in a session of its own; it is ended with the namespace."""
        process = processes.start(self.command(command), **options)
        self._started.append(process)
        return process

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in a thread that has entered the namespace, and return its result.

        A socket belongs for ever to the namespace it was made in, so one made here works anywhere.
        """

        def entered() -> T:
            _enter_network_namespace(self.name)
            return function()

        with ThreadPoolExecutor(max_workers=1) as pool:
            return pool.submit(entered).result()

    def ip(self, arguments: str, *, check: bool = True) -> str:
        """Run `ip <arguments>` on the namespace and return what it prints."""
        return processes.run(["ip", "-n", self.name, *arguments.split()], check=check).stdout

    def pids(self) -> list[int]:
        """Return the ids of all processes in the namespace."""
        listing = processes.run(["ip", "netns", "pids", self.name]).stdout
        return [pid for pid in map(int, listing.split()) if processes.is_alive(pid)]

    def mac(self, device: str) -> bytes:
        """Return the MAC of a device."""
        text = self.run(["cat", f"/sys/class/net/{device}/address"]).stdout
        return bytes.fromhex(text.strip().replace(":", ""))

    def _delete(self) -> None:
        # An interrupt while it was being made leaves it there or not.
        if Path(f"/run/netns/{self.name}").exists():
            processes.run(["ip", "netns", "del", self.name])

    def _end_processes(self) -> None:
        for process in reversed(self._started):
            processes.stop(process)
            _close_pipes(process)
        processes.kill(self.pids())


class Lan(Assembly):
    """The LAN of the picture above, for as long as the `with` block lasts."""

    def __init__(self, stations: int = 2, *, mtu_bytes: int = 1500) -> None:
        """Plan a LAN with this many stations. Raises `ValueError` past `MAX_STATIONS`."""
        if not 0 <= stations <= MAX_STATIONS:
            raise ValueError(f"a Lan has 0 to {MAX_STATIONS} stations, not {stations}")
        self.server = Namespace("server")
        self.stations = [Namespace(f"st{number}") for number in range(1, stations + 1)]
        self._mtu_bytes = mtu_bytes

    def build(self) -> None:
        """Make the server's namespace with its bridge, then station after station."""
        self.parts.enter_context(self.server)
        make_bridge(self.server, name="lan0")
        self.server.ip(f"link set lan0 mtu {self._mtu_bytes}")
        give(self.server, "lan0", SERVER_ADDRESS, SERVER_ADDRESS_6)
        for index, station in enumerate(self.stations):
            self.parts.enter_context(station)
            self._join(index, station)

    @staticmethod
    def address(index: int) -> str:
        """Return the IPv4 address of `stations[index]`."""
        return f"10.99.0.{11 + index}"

    @staticmethod
    def address_6(index: int) -> str:
        """Return the IPv6 address of `stations[index]`; its digits read as the IPv4 one's."""
        return f"fd99::{11 + index}"

    def unplug(self, index: int) -> None:
        """Pull the cable of `stations[index]`: both ends stay up, and nothing passes."""
        self.server.ip(f"link set lan{index + 1} nomaster")

    def plug(self, index: int) -> None:
        """Put the cable back that `unplug` pulled."""
        self.server.ip(f"link set lan{index + 1} master lan0")

    def _join(self, index: int, station: Namespace) -> None:
        port = f"lan{index + 1}"
        self.server.ip(f"link add {port} type veth peer name eth0 netns {station.name}")
        self.server.ip(f"link set {port} mtu {self._mtu_bytes} master lan0 up")
        give(station, "eth0", self.address(index), self.address_6(index))
        station.ip(f"link set eth0 mtu {self._mtu_bytes} up")


def make_bridge(namespace: Namespace, *ports: str, name: str = "br0") -> None:
    """Make a bridge that forwards at once, with these ports."""
    namespace.ip(f"link add {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
    for port in ports:
        namespace.ip(f"link set {port} master {name}")
    namespace.ip(f"link set {name} up")


def give(namespace: Namespace, device: str, ipv4: str, ipv6: str) -> None:
    """Give a device an address of each kind; the IPv6 one works at once."""
    namespace.ip(f"address add {ipv4}/24 dev {device}")
    namespace.ip(f"address add {ipv6}/64 dev {device} nodad")


def _enter_network_namespace(name: str) -> None:
    # os.setns came with Python 3.12. The call moves the calling thread only.
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(fd, _CLONE_NEWNET):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), name)
    finally:
        os.close(fd)


def _close_pipes(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()

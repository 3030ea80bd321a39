"""Makes and watches traffic inside namespaces: ping, iperf3, tcpdump."""

from __future__ import annotations

import json
import re
import signal
import struct
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import processes
from .processes import CommandError
from .service import Service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .netns import Namespace

_LISTEN = "0A"  # proc_net_tcp: the state of a listening socket
_PCAP_HEADER_BYTES = 24
_PCAP_RECORD = struct.Struct("=IIII")

_SUMMARY = re.compile(r"(\d+) packets transmitted, (\d+) received")
_REPLY = re.compile(r"time=([\d.]+) ms(.*)")


@dataclass(frozen=True, slots=True)
class PingResult:
    """What ping counted: requests, requests answered, duplicate answers, and times."""

    sent: int
    received: int
    duplicates: int
    rtts_ms: list[float]


def ping(
    namespace: Namespace,
    address: str,
    *,
    count: int = 3,
    interval_s: float = 0.1,
    size_bytes: int = 56,
    wait_s: float = 1.0,
    extra: Sequence[str] = (),
) -> PingResult:
    """Ping from a namespace; no answer is a result, not an error, and so is no route (0 sent).

    `size_bytes` is the length of the ICMP payload (28 less than the IPv4 packet, 48 less than the
    IPv6 one); `wait_s` is how long to wait for the last answers. Raises `CommandError` when ping
    itself cannot work (bad address or option).
    """
    options = f"-n -c {count} -i {interval_s} -s {size_bytes} -W {wait_s}".split()
    done = namespace.run(
        ["ping", *options, *extra, address],
        timeout_s=count * max(interval_s, wait_s) + 10,
        check=False,
    )
    if "Network is unreachable" in done.stderr:
        return PingResult(0, 0, 0, [])
    if not _SUMMARY.search(done.stdout):
        raise CommandError(f"ping {address}: {done.stderr.strip() or done.stdout}")
    return parse_ping(done.stdout)


def parse_ping(text: str) -> PingResult:
    """Read the output of iputils' ping. Raises `ValueError` when it has no summary line."""
    summary = _SUMMARY.search(text)
    if not summary:
        raise ValueError(f"ping printed no summary: {text!r}")
    replies = _REPLY.findall(text)
    rtts_ms = [float(rtt) for rtt, note in replies if "DUP" not in note]
    sent, received = map(int, summary.groups())
    return PingResult(sent, received, len(replies) - len(rtts_ms), rtts_ms)


def iperf3(
    client: Namespace,
    server: Namespace,
    address: str,
    *,
    seconds: float = 2.0,
    port: int = 5201,
    extra: Sequence[str] = (),
) -> dict[str, Any]:
    """Run iperf3 from one namespace to another and return the client's parsed JSON.

    `address` is the server's; `extra` goes to the client (`-R`, `-u -b 10M`, `-P 2`). The server
    serves this one test and is stopped on every path. Raises `CommandError` with iperf3's reason.
    """
    with IperfServer(server, port):
        done = client.run(
            ["iperf3", "-c", address, "-p", str(port), "-t", str(seconds), "-J", *extra],
            timeout_s=seconds + 30,
            check=False,
        )
    result: dict[str, Any] = json.loads(done.stdout or "{}")
    if done.returncode or "error" in result:
        raise CommandError(f"iperf3 to {address}: {result.get('error') or done.stderr}")
    return result


class IperfServer(Service):
    """iperf3's server, which ends after one test."""

    name = "iperf3"
    start_s = 5.0

    def __init__(self, namespace: Namespace, port: int) -> None:
        super().__init__(namespace)
        self._port = port

    def command(self) -> list[str]:
        """Return the command line."""
        return ["iperf3", "-s", "-1", "-p", str(self._port)]

    def is_ready(self) -> bool:
        """Return whether it listens."""
        return is_listening(self.process.pid, self._port)


def is_listening(pid: int, port: int) -> bool:
    """Return whether anything listens on a TCP port in the network namespace of a process."""
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        except (FileNotFoundError, OSError):
            continue
        for line in lines:
            _slot, local, _remote, state, *_rest = line.split()
            if state == _LISTEN and int(local.rpartition(":")[2], 16) == port:
                return True
    return False


class Capture(Service):
    """tcpdump on one interface for as long as the `with` block lasts.

    Inside the block `count()` is live; after it `frames` has the frames' bytes and `lines` what
    tcpdump prints of each. Raises `ServiceError` when tcpdump cannot start.
    """

    name = "tcpdump"
    start_s = 5.0
    stop_signal = signal.SIGINT

    def __init__(
        self,
        namespace: Namespace,
        interface: str,
        bpf_filter: str = "",
        *,
        direction: str = "inout",
        settle_s: float = 0.2,
    ) -> None:
        """Plan a capture; `settle_s` is how long it goes on for frames still on their way.

        `direction` is tcpdump's -Q: `in`, `out` or `inout`, as the interface sees it.
        """
        super().__init__(namespace)
        self.frames: list[bytes] = []
        self.lines: list[str] = []
        self._arguments = ["-i", interface, "-Q", direction, bpf_filter]
        self._settle_s = settle_s

    def command(self) -> list[str]:
        """Return the command line, by which each frame is in the file as soon as it is seen."""
        options = ["--immediate-mode", "-U", "-n", "-Z", "root", "-w", str(self._pcap)]
        return ["tcpdump", *options, *self._arguments]

    def is_ready(self) -> bool:
        """Return whether it listens."""
        return "listening on" in self.log_text()

    def finish(self) -> None:
        """Let the last frames arrive, stop it and read what it has seen."""
        time.sleep(self._settle_s)
        super().finish()
        self.frames = read_pcap(self._pcap.read_bytes())
        self.lines = self._describe()

    def count(self) -> int:
        """Return how many frames were seen so far."""
        return len(read_pcap(self._pcap.read_bytes()) if self._pcap.exists() else self.frames)

    @property
    def _pcap(self) -> Path:
        return self.directory / "pcap"

    def _describe(self) -> list[str]:
        command = ["tcpdump", "-r", str(self._pcap), "-n", "-e", "-t", "-Z", "root"]
        return processes.run(command).stdout.splitlines()


def capture(namespace: Namespace, interface: str, bpf_filter: str = "") -> Capture:
    """Return a `Capture`, to be used in a `with` statement."""
    return Capture(namespace, interface, bpf_filter)


def read_pcap(data: bytes) -> list[bytes]:
    """Return the frames of a pcap file in this machine's byte order, but not one cut short."""
    frames: list[bytes] = []
    at = _PCAP_HEADER_BYTES
    while at + _PCAP_RECORD.size <= len(data):
        _s, _us, stored_bytes, _original = _PCAP_RECORD.unpack_from(data, at)
        at += _PCAP_RECORD.size
        if at + stored_bytes > len(data):
            break
        frames.append(data[at : at + stored_bytes])
        at += stored_bytes
    return frames

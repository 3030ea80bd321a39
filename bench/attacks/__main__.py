"""An innocent's ping while stations attack the switch: before, in and after the attack.

One worker of a real uWSGI has many idle stations, some innocent ones that ping each other 100 times
a second, and one or ten attackers of a kind. The worker runs on the last processor, all stations on
the others. Attackers have the lowest priority, and bytes that are made before. Worker and innocents
have, where root allows it, a higher one than what else runs on the machine. So what is measured is
the switch, and not the CPU time that stations or others take. The first row of each round is
without an attack. With several trees the same attack hits each of them in turn, so that a busy
moment of the machine hits all alike. A server that has not recovered is replaced by a new one.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench.attacks import attackers, crowd, innocents
from bench.attacks.kinds import ATTACKS, Attack
from bench.processes import pin_apart
from bench.program import make_parser, tell
from tests.support.uwsgi import INI, Uwsgi

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from typing import Self

    from bench.attacks.innocents import Pings

IDLE: Final = 2000
ATTACK_S: Final = 4.0
SETTLE_S: Final = 2.0
"""After an attack, until memory is looked at: the worker frees what it kept for its attackers."""
COUNTS: Final = (1, 10)
REPEATS: Final = 2
NO_ATTACK: Final = Attack("none")
_SETTINGS: Final = {
    "vpnws-max-ports": "20000",
    "vpnws-ping-every": "3600",
    "vpnws-dead-after": "7200",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """How the innocents fared in one attack."""

    p50_ms: float
    p99_ms: float
    sent: int
    lost: int
    recovery_s: float
    memory_mb: float
    """How much the worker grew in the attack."""
    kept_mb: float
    """How much of that it still has afterwards."""
    log_lines: int


@dataclass(frozen=True, slots=True)
class Row:
    """The samples of one attack on one tree."""

    attack: str
    attackers: int
    tree: str
    samples: list[Sample]

    def shown(self) -> dict[str, str]:
        """Return the cells of the table: medians, and the worst p99."""
        p99 = [sample.p99_ms for sample in self.samples]
        return {
            "attack": self.attack,
            "attackers": str(self.attackers),
            "tree": self.tree,
            "p50 ms": f"{self._median('p50_ms'):.1f}",
            "p99 ms": f"{statistics.median(p99):.1f}",
            "worst": f"{max(p99):.1f}",
            "lost %": f"{100 * self._sum('lost') / max(1, self._sum('sent')):.1f}",
            "recovery s": f"{self._median('recovery_s'):.1f}",
            "MB": f"{self._median('memory_mb'):.0f}",
            "kept": f"{self._median('kept_mb'):.0f}",
            "log lines": f"{self._median('log_lines'):.0f}",
        }

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)

    def _median(self, name: str) -> float:
        values: list[float] = [getattr(sample, name) for sample in self.samples]
        return statistics.median(values)

    def _sum(self, name: str) -> int:
        return sum(getattr(sample, name) for sample in self.samples)


@contextmanager
def child(target: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """Run `target(*arguments, connection)` in a process; return our end of the connection."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=target, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()
        ours.close()


class Bed:
    """One tree's server with its idle and its innocent stations, made anew when it is spoiled."""

    def __init__(self, tree: Path, idle: int) -> None:
        """Start nothing yet."""
        self.name = tree.name
        self._tree = tree
        self._idle = idle
        self._stack = ExitStack()
        self._is_ready = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self) -> None:
        self._stack.close()
        stack = self._stack
        self._server = stack.enter_context(
            Uwsgi(
                placeholders=_SETTINGS,
                workers=1,
                ini=self._tree / "uwsgi.ini",
                env={"PYTHONPATH": str(self._tree)},
            )
        )
        self._path = self._server.socket_path
        (self._worker,) = self._server.worker_pids()
        pin_apart([self._worker])
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, self._worker, innocents.NICE)
        stack.enter_context(child(crowd.hold, self._path, self._idle)).recv()
        self._innocents = stack.enter_context(child(innocents.run, self._path))
        self._innocents.recv()
        self._is_ready = True

    def suffer(self, attack: Attack, count: int, attack_s: float) -> Sample:
        """Measure one attack by `count` attackers."""
        if not self._is_ready:
            self._start()
        memory_mb, lines = self._memory_mb(), self._log_lines()
        with child(attackers.attack, self._path, attack, count) as attacker:
            attacker.recv()
            self._innocents.send("begin")
            self._innocents.recv()
            began_s = time.monotonic()
            attacker.send(attack_s)
            ended_s = attacker.recv()
            attacked_mb = self._memory_mb()
            self._innocents.send("over")
            pings = self._innocents.recv()
            attacker.send("over")
            time.sleep(0.1)
        time.sleep(SETTLE_S)
        sample = _sample(
            pings,
            began_s,
            ended_s,
            attacked_mb - memory_mb,
            self._memory_mb() - memory_mb,
            self._log_lines() - lines,
        )
        self._is_ready = sample.recovery_s < innocents.MAX_RECOVERY_S
        return sample

    def _memory_mb(self) -> float:
        pages = int(Path(f"/proc/{self._worker}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def _log_lines(self) -> int:
        return self._server.log_text().count("\n")


def _sample(
    pings: Pings, began_s: float, ended_s: float, memory_mb: float, kept_mb: float, lines: int
) -> Sample:
    pairs = list(zip(pings.sent_s, pings.took_s, strict=True))
    during = [took_s for sent_s, took_s in pairs if began_s <= sent_s < ended_s]
    lost = sum(took_s < 0 for took_s in during)
    # A ping that is lost took at least as long as it was waited for.
    took = sorted(took_s if took_s >= 0 else innocents.MAX_RECOVERY_S for took_s in during)
    late = [sent_s + took_s for sent_s, took_s in pairs if took_s > innocents.LATE_S]
    recovery_s = innocents.MAX_RECOVERY_S if lost else max(0.0, max(late, default=0.0) - ended_s)
    return Sample(
        1000 * statistics.median(took),
        1000 * took[len(took) * 99 // 100],
        len(during),
        lost,
        recovery_s,
        memory_mb,
        kept_mb,
        lines,
    )


def measure(options: argparse.Namespace) -> list[Row]:
    """Start a bed for each tree, let each suffer every attack in turn, and stop them."""
    affinity = os.sched_getaffinity(0)
    plans = [(NO_ATTACK, 0)]
    wanted = [attack for attack in ATTACKS if options.only in attack.name]
    plans += [(attack, count) for attack in wanted for count in options.attackers]
    samples: dict[tuple[str, int, str], list[Sample]] = {}
    try:
        with ExitStack() as stack:
            beds = [stack.enter_context(Bed(tree.resolve(), options.idle)) for tree in options.tree]
            for _ in range(options.repeats):
                for attack, count in plans:
                    for bed in beds:
                        sample = bed.suffer(attack, count, options.attack_s)
                        samples.setdefault((attack.name, count, bed.name), []).append(sample)
                        print(attack.name, count, bed.name, sample, file=sys.stderr)
    finally:
        os.sched_setaffinity(0, affinity)
    return [Row(*key, values) for key, values in samples.items()]


def attacks_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = make_parser("attacks", __doc__)
    parser.add_argument(
        "--tree", type=Path, action="append", metavar="DIR", help="a checkout; may be repeated"
    )
    parser.add_argument("--idle", type=int, default=IDLE, help="idle stations")
    parser.add_argument("--attackers", type=int, nargs="+", default=COUNTS, help="how many")
    parser.add_argument("--attack-s", type=float, default=ATTACK_S, help="seconds of an attack")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="samples per figure")
    parser.add_argument("--only", default="", help="attacks with this in their names")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark as the command line says."""
    options = attacks_parser().parse_args(arguments)
    options.tree = options.tree or [INI.parent]
    tell(options, "attacks", "ms", measure(options))


if __name__ == "__main__":
    main()

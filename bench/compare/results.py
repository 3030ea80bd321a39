"""What was measured: samples, and what they say together."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from bench.measure import Spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.compare.measures import Values

CLEAN = "clean"
LINE = "line alone"
"""Paths that are not bad ones: the bare road, and the delay line that does nothing."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one contestant on one path in one round."""

    contestant: str
    path: str
    round: int
    measure: str
    values: Values


@dataclass
class Results:
    """All samples of a run, who could not take part, and what failed on the way."""

    samples: list[Sample] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def spread(
        self, contestant: str, measures: Sequence[str], figure: str, path: str = CLEAN
    ) -> Spread | None:
        """Return median and quartiles of a figure over some measures; None without a sample."""
        values = [
            sample.values[figure]
            for sample in self.samples
            if (sample.contestant, sample.path) == (contestant, path)
            and sample.measure in measures
            and figure in sample.values
        ]
        return Spread.of(values) if values else None

    def contestants(self, path: str = CLEAN) -> list[str]:
        """Return who was measured on a path, in order of first appearance."""
        return list(dict.fromkeys(one.contestant for one in self.samples if one.path == path))

    def paths(self) -> list[str]:
        """Return the paths, in order."""
        return list(dict.fromkeys(one.path for one in self.samples))

    def plain(self) -> dict[str, Any]:
        """Return all of it for JSON, samples and spreads."""
        return {
            "skipped": self.skipped,
            "failures": self.failures,
            "samples": [asdict(sample) for sample in self.samples],
            "spreads": list(self._spreads()),
        }

    def _spreads(self) -> Iterator[dict[str, Any]]:
        keys = dict.fromkeys(
            (sample.contestant, sample.path, sample.measure, figure)
            for sample in self.samples
            for figure in sample.values
        )
        for contestant, path, measure, figure in keys:
            spread = self.spread(contestant, [measure], figure, path)
            if spread:
                names = {"contestant": contestant, "path": path, "measure": measure}
                yield {**names, "figure": figure, **asdict(spread)}

"""A lane of the delay line: rate, queue, loss, delay and jitter, over time that is made up."""

from __future__ import annotations

import statistics

import pytest

from bench.compare.lane import OVERHEAD_BYTES, Lane, Path
from bench.compare.paths import BAD_PATHS, QUEUE_BYTES, RATE_BIT_S

START_S = 1000.0
STEP_S = 0.0001


def numbered(count: int, size: int = 100) -> list[bytes]:
    return [number.to_bytes(8, "big").ljust(size, b"\0") for number in range(count)]


def passed(lane: Lane, frames: list[bytes], every_s: float) -> dict[int, float]:
    """Send frames at a steady pace; return when each that arrived was due, by its number."""
    arrivals: dict[int, float] = {}

    def collect(until_s: float) -> None:
        while (due_s := lane.next_s()) is not None and due_s <= until_s:
            for frame in lane.due(due_s):
                arrivals[int.from_bytes(frame[:8], "big")] = due_s

    for index, frame in enumerate(frames):
        now_s = START_S + index * every_s
        collect(now_s)
        lane.push(frame, now_s)
    collect(START_S + 1e6)
    return arrivals


class TestDelay:
    def test_a_path_that_does_nothing_passes_all_at_once(self) -> None:
        lane = Lane(Path())
        lane.push(b"frame", START_S)
        assert lane.due(START_S) == [b"frame"]
        assert lane.next_s() is None

    def test_a_frame_is_not_due_early(self) -> None:
        lane = Lane(Path(delay_s=0.02))
        lane.push(b"frame", START_S)
        assert lane.next_s() == pytest.approx(START_S + 0.02)
        assert lane.due(START_S + 0.0199) == []
        assert lane.due(START_S + 0.0201) == [b"frame"]

    def test_jitter_spreads_evenly_around_the_delay_and_keeps_the_order(self) -> None:
        lane = Lane(Path(delay_s=0.02, jitter_s=0.002))
        arrivals = passed(lane, numbered(100_000), STEP_S)
        delays = [at_s - START_S - number * STEP_S for number, at_s in arrivals.items()]
        assert 0.018 <= min(delays) < 0.0185
        assert 0.0215 < max(delays) <= 0.022 + 1e-9
        assert statistics.mean(delays) == pytest.approx(0.02, abs=0.0002)
        assert 0.0006 < statistics.stdev(delays) < 0.0012
        assert list(arrivals) == sorted(arrivals)

    def test_with_reordering_frames_overtake(self) -> None:
        lane = Lane(Path(delay_s=0.02, jitter_s=0.002, reorder=True))
        arrivals = passed(lane, numbered(1000), STEP_S)
        assert len(arrivals) == 1000
        assert list(arrivals) != sorted(arrivals)

    def test_a_jitter_that_would_reorder_is_refused(self) -> None:
        with pytest.raises(ValueError, match="without reordering"):
            Path(delay_s=0.05, jitter_s=0.02)


class TestLoss:
    def test_is_as_often_as_asked_and_counted(self) -> None:
        lane = Lane(Path(loss=0.01))
        arrivals = passed(lane, numbered(50_000), STEP_S)
        assert lane.counters.frames == 50_000
        assert len(arrivals) + lane.counters.lost == 50_000
        assert lane.counters.lost == pytest.approx(500, rel=0.2)

    def test_is_the_same_for_the_same_seed_only(self) -> None:
        def lost(seed: int, salt: int) -> set[int]:
            lane = Lane(Path(loss=0.05, seed=seed), salt)
            return set(range(1000)) - set(passed(lane, numbered(1000), STEP_S))

        assert lost(1, 0) == lost(1, 0)
        assert len({frozenset(lost(*pair)) for pair in ((1, 0), (1, 1), (2, 0))}) == 3

    @pytest.mark.parametrize("loss", [-0.1, 1.1])
    def test_that_is_no_probability_is_refused(self, loss: float) -> None:
        with pytest.raises(ValueError, match="no such path"):
            Path(loss=loss)


class TestRate:
    def test_is_that_of_the_wire(self) -> None:
        lane = Lane(Path(rate_bit_s=100e6, queue_bytes=1 << 30))
        arrivals = passed(lane, numbered(1000, 1514), 0.0)
        took_s = arrivals[999] - START_S
        assert took_s == pytest.approx(1000 * 8 * (1514 + OVERHEAD_BYTES) / 100e6)

    def test_a_full_queue_drops_the_newest_and_bounds_the_wait(self) -> None:
        lane = Lane(Path(rate_bit_s=RATE_BIT_S, queue_bytes=QUEUE_BYTES))
        arrivals = passed(lane, numbered(1000, 1514), 0.0)
        assert lane.counters.dropped == 1000 - len(arrivals)
        assert sorted(arrivals) == list(range(len(arrivals)))
        assert len(arrivals) == pytest.approx(QUEUE_BYTES / 1538, abs=2)
        assert max(arrivals.values()) - START_S == pytest.approx(0.04, rel=0.02)

    def test_a_slow_sender_never_waits(self) -> None:
        lane = Lane(Path(rate_bit_s=100e6, queue_bytes=2000))
        arrivals = passed(lane, numbered(100, 1514), 0.001)
        assert lane.counters.dropped == 0
        for number, at_s in arrivals.items():
            assert at_s - START_S - number * 0.001 == pytest.approx(8 * 1538 / 100e6)


def test_a_quiet_while_changes_nothing() -> None:
    lane = Lane(Path(delay_s=0.02, jitter_s=0.002, rate_bit_s=100e6, queue_bytes=5000))
    arrivals = passed(lane, numbered(200), 10.0)
    assert len(arrivals) == 200
    assert all(0.018 <= at_s - START_S - n * 10.0 <= 0.0221 for n, at_s in arrivals.items())


@pytest.mark.parametrize("name", BAD_PATHS)
def test_the_benchmarks_paths_lose_what_they_say(name: str) -> None:
    said = float(name.removeprefix("loss-").rstrip("%")) / 100
    assert BAD_PATHS[name].loss == said

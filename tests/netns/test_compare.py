"""The comparison runs for real, and so does its delay line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.compare import __main__ as program
from bench.compare import measures, rounds
from bench.compare.bed import Bed
from bench.compare.lane import Lane
from bench.compare.lane import Path as BadPath
from bench.compare.measures import Durations
from bench.compare.results import CLEAN, LINE
from tests.support import processes
from tests.support.prerequisites import require, require_root, require_tap
from tests.support.traffic import ping
from tests.support.uwsgi import REPOSITORY
from tests.support.waiting import wait_for

pytestmark = pytest.mark.netns

SHORTEST = Durations(
    tcp_s=1,
    udp_s=0.1,
    udp_probes=1,
    request_s=0.1,
    ping_s=0.1,
    bad_tcp_s=1,
    bad_request_s=0.3,
)


@pytest.fixture(scope="module", autouse=True)
def prerequisites() -> None:
    require_root()
    require_tap()
    require("nginx", "iperf3", "ping", "openvpn", "tincd")


def namespaces() -> set[str]:
    return set(processes.run(["ip", "netns", "list"]).stdout.split())


def stack_of(pid: int) -> str:
    """Return where a Python program is, for the report of a test that waits in vain."""
    py_spy = Path(sys.executable).with_name("py-spy")
    return processes.run([str(py_spy), "dump", "--pid", str(pid)], check=False).stdout


def ours(pid: int) -> set[str]:
    return {name for name in namespaces() if name.startswith(f"vpnws-{pid}-")}


def test_the_whole_run_tells_everything_in_three_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "QUICK", SHORTEST)
    monkeypatch.setattr(measures, "SPEED_UP_S", 0)
    table_file, chart_file = tmp_path / "compare.json", tmp_path / "compare.svg"
    asked = ["--quick", "--only", "vpnws", "bridge", "--paths", CLEAN, "loss-1%"]
    code = program.main([*asked, "--json", str(table_file), "--svg", str(chart_file)])
    assert code == 0
    assert ours(os.getpid()) == set()
    written = json.loads(table_file.read_text())
    assert written["failures"] == []
    taken = {(one["contestant"], one["path"], one["measure"]) for one in written["samples"]}
    for name in ("vpnws", "bridge"):
        clean = {measure for who, path, measure in taken if (who, path) == (name, CLEAN)}
        assert clean == set(rounds.clean_measures(SHORTEST))
        assert (name, "loss-1%", "tcp1 down") in taken
    assert ("bridge", LINE, "udp64") in taken
    assert written["machine"]["congestion control"]
    told = capsys.readouterr().out
    assert "Targets (ratios of medians)" in told
    assert "nginx server" in told
    ElementTree.fromstring(chart_file.read_text())


@pytest.mark.parametrize("name", ["openvpn-tcp", "openvpn-udp", "tinc", "vpnws-apart"])
def test_every_other_contestant_joins_its_stations(name: str) -> None:
    with program.CONTESTANTS[name](Bed()) as one:
        found = measures.requests(one, "udp", 0.1)
        assert found["per_s"] > 0
        assert {"server", "st0", "st1"} == {process.split()[-1] for process in one.pids}
    assert ours(os.getpid()) == set()


def test_a_congestion_control_is_everywhere_in_a_bed() -> None:
    with Bed("reno") as bed:
        for namespace in (bed.server, *bed.stations):
            told = namespace.run(["sysctl", "-n", "net.ipv4.tcp_congestion_control"]).stdout
            assert told.strip() == "reno"


class TestDelayLine:
    def test_a_ping_takes_as_long_as_the_path_says(self) -> None:
        with Bed(is_long=True) as bed:
            station, there = bed.stations[0], bed.address(1)
            assert ping(station, there).received == 3
            bed.line.become(BadPath(delay_s=0.03, jitter_s=0.002))
            rtts_ms = ping(station, there, count=20, interval_s=0.02).rtts_ms
        assert len(rtts_ms) == 20
        # Never less than the path's own time; how much more is the machine's business.
        assert min(rtts_ms) >= 2 * 28
        assert sorted(rtts_ms)[10] < 2 * 28 + 200

    def test_it_loses_what_the_seed_says_and_counts_it(self) -> None:
        with Bed(is_long=True) as bed:
            # Learns the MAC, which a lost request would keep from it for a second.
            ping(bed.stations[0], bed.address(1))
            path = BadPath(delay_s=0.001, loss=0.3)
            bed.line.become(path)
            answered = ping(
                bed.stations[0], bed.address(1), count=60, interval_s=0.01, wait_s=0.2
            ).received
            lanes = bed.line.become(path)["lanes"]
        assert 0 < answered < 60
        for salt, counted in enumerate(lanes):
            lane = Lane(path, salt)
            for _ in range(counted["frames"]):
                lane.push(b"frame", 0.0)
            assert counted["frames"] > 0
            assert counted["lost"] == lane.counters.lost
            assert counted["dropped"] == 0


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.compare", "--only", "openvpn-tcp", "--paths", "clean"]
    said = tmp_path / "said"
    with said.open("w") as output:
        process = processes.start(command, cwd=REPOSITORY, stdout=output)
    try:
        wait_for(lambda: len(ours(process.pid)) == 3, 20.0, "the comparison to start")
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(45)
        assert process.poll() == 130, said.read_text() + stack_of(process.pid)
        assert ours(process.pid) == set()
    finally:
        processes.stop(process)

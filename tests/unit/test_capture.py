"""Captures over all processes: what is in them, what ends them, and that nothing stays on."""

from __future__ import annotations

import errno
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.control import Operator
from tests.fakes.house import MULE, House
from tests.fakes.station import record_of
from tests.fakes.wire import Wire
from tests.support.captures import comments, statistics, tshark
from tests.support.frames import frame, mac
from vpnws.control.captures import MAX_CAPTURES
from vpnws.control.recording import MAX_RECORDING_BYTES
from vpnws.ctl.commands.blocks import Blocks
from vpnws.server.inspect.mirroring import LEASE_S
from vpnws.wire.ethernet import BROADCAST, ZERO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.station import Station
    from tests.fakes.uwsgi import Request
    from vpnws.server.node import Node

FIRST, SECOND = mac(1), mac(2)
MULTICAST = bytes.fromhex("333300000001")
SOON_S = 0.1
"""Copies have come by then."""
HOSTILE = "<script>\"'; $(reboot)\n"


@pytest.fixture
def house() -> Iterator[House]:
    """Return a server where each process has a port in the network."""
    with House(workers=3, tap="lan:tap9") as built:
        for worker in (2, 3):
            built.connect(worker, network="lan", REMOTE_USER="eve")
        yield built


@pytest.fixture
def operator(house: House) -> Operator:
    return Operator(house, 3)


def join(house: House, worker: int, user: str = "ada", **variables: Any) -> Station:
    return house.connect(worker, network="lan", REMOTE_USER=user, **variables)


def nodes(house: House) -> list[Node]:
    """Return the nodes of the workers."""
    return [process.node for number, process in house.processes.items() if number != MULE]


def watched(house: House) -> int:
    """Return how many ports of the workers somebody looks at."""
    ports = [port for node in nodes(house) for port in node.switch.networks.ports()]
    return sum(port.witness is not None for port in ports)


def capture(operator: Operator, query: str = "", wire: Wire | None = None) -> Request:
    request = replace(operator, wire=wire).begin("GET", "api/v1/capture", query=query)
    assert request.status.startswith("200"), request.body
    return request


def refusal(operator: Operator, query: str) -> tuple[int, str]:
    status, answer = operator.ask("GET", "api/v1/capture", query=query)
    return status, answer["error"]


def end(house: House, request: Request) -> bytes:
    """Let the capture's time pass; return all of it."""
    house.loop.advance(10.0)
    assert request.is_over
    return request.body


class TestWhatIsInIt:
    def test_frames_of_all_processes_with_their_ports(
        self, house: House, operator: Operator
    ) -> None:
        one, two = join(house, 1, "ada"), join(house, 2, "bob", REMOTE_ADDR="192.0.2.7")
        request = capture(operator, "seconds=5")
        one.send(frame(BROADCAST, FIRST))
        two.received()
        rows = tshark(
            end(house, request),
            "frame.interface_name",
            "frame.interface_description",
            "frame.comment",
            "eth.src",
        )
        assert [row[3] for row in rows] == ["02:00:00:00:00:01"] * 5
        assert sorted(row[:3] for row in rows) == [
            ["1.1", "network=lan user=ada dn=- addr=-", "in at 1.1"],
            ["2.1", "network=lan user=eve dn=- addr=-", "out at 2.1"],
            ["2.2", "network=lan user=bob dn=- addr=192.0.2.7", "out at 2.2"],
            ["3.1", "network=lan user=eve dn=- addr=-", "out at 3.1"],
            ["4.1", "network=lan device=tap9", "out at 4.1"],
        ]

    def test_it_is_live_and_has_the_time_of_day(self, house: House, operator: Operator) -> None:
        one = join(house, 1)
        request = capture(operator)
        came_s = house.loop.unix_s()
        one.send(frame(BROADCAST, FIRST))
        house.loop.advance(SOON_S)
        assert not request.is_over
        times = [float(row[0]) for row in tshark(request.body, "frame.time_epoch")]
        assert times[0] == pytest.approx(came_s, abs=0.001)

    def test_dropped_frames_alone_with_their_reasons(
        self, house: House, operator: Operator
    ) -> None:
        one, isolated = join(house, 1), join(house, 2, VPNWS_ROLE="isolated")
        join(house, 2, VPNWS_ROLE="isolated").send(frame(BROADCAST, SECOND))
        request = capture(operator, "dropped=1&seconds=5")
        one.send(frame(BROADCAST, FIRST), frame(SECOND, ZERO), b"short")
        isolated.send(frame(SECOND, mac(3)))
        assert sorted(comments(end(house, request))) == [
            "in at 1.1, dropped: length",
            "in at 1.1, dropped: source",
            "in at 2.2, dropped: filtered",
        ]

    def test_what_a_tap_and_a_trunk_drop_is_seen_like_a_stations(
        self, house: House, operator: Operator
    ) -> None:
        one = join(house, 1)
        house.devices.opened("tap9").host_fail_writes(errno.EIO)
        for trunk in nodes(house)[0].switch.trunks.values():
            trunk.egress.limit_bytes = 0
        request = capture(operator, "dropped=1&seconds=5")
        one.send(frame(BROADCAST, FIRST), frame(MULTICAST, FIRST))
        seen = comments(end(house, request))
        assert "out at 4.1, dropped: device" in seen
        assert "out at 1.t2, dropped: egress_full" in seen

    def test_a_super_frame_is_whole_or_cut_as_asked(self, house: House, operator: Operator) -> None:
        one = join(house, 1, HTTP_SEC_WEBSOCKET_PROTOCOL="vpnws.offload.1")
        whole, cut = (
            capture(operator, f"direction=in&seconds=5{snap}") for snap in ("", "&snap=60")
        )
        sent = frame(SECOND, ZERO, 60_000)
        one.send_messages(record_of(sent))
        house.loop.advance(10.0)
        lengths = [tshark(request.body, "frame.len", "frame.cap_len") for request in (whole, cut)]
        assert lengths == [[["60000", "60000"]], [["60000", "60"]]]

    @pytest.mark.parametrize(
        ("query", "seen"),
        [
            ("port=2.1", ["out at 2.1"]),
            # The trunk to the second process has the same number.
            ("port=1.1", ["in at 1.1"]),
            ("port=1.t2", ["out at 1.t2"]),
            ("direction=in", ["in at 1.1"]),
            ("mac=02-00-00-00-00-01&network=lan&direction=in", ["in at 1.1"]),
            ("mac=02:00:00:00:00:02", []),
            ("network=other", []),
            ("dropped=true", []),
        ],
    )
    def test_a_filter_keeps_what_fits(
        self, house: House, operator: Operator, query: str, seen: list[str]
    ) -> None:
        one = join(house, 1)
        request = capture(operator, f"{query}&seconds=5")
        one.send(frame(BROADCAST, FIRST))
        assert comments(end(house, request)) == seen

    def test_no_name_of_a_station_breaks_it(self, house: House, operator: Operator) -> None:
        one = join(house, 1, HOSTILE)
        request = capture(operator, "seconds=5&direction=in")
        one.send(frame(BROADCAST, FIRST))
        rows = tshark(end(house, request), "frame.interface_description")
        assert rows == [["network=lan user=<script>??;?$(reboot)? dn=- addr=-"]]


class TestItsEnd:
    def test_at_its_time(self, house: House, operator: Operator) -> None:
        join(house, 1)
        request = capture(operator, "seconds=7")
        house.loop.advance(6.9)
        assert watched(house) > 0
        assert not request.is_over
        house.loop.advance(0.2)
        assert request.is_over
        assert watched(house) == 0

    def test_when_the_caller_goes(self, house: House, operator: Operator) -> None:
        join(house, 1)
        wire = Wire(house.loop)
        request = capture(operator, wire=wire)
        wire.far.close()
        house.loop.advance(SOON_S)
        assert request.is_over
        assert watched(house) == 0

    def test_at_a_reload_with_its_statistics(self, house: House, operator: Operator) -> None:
        one = join(house, 1)
        request = capture(operator, "direction=in")
        one.send(frame(BROADCAST, FIRST))
        house.processes[3].loop.reload()
        house.loop.advance(SOON_S)
        assert request.is_over
        assert statistics(request.body)[:2] == [(0, 0), (1, 0)]
        assert watched(house) == 0

    def test_a_process_that_dies_leaves_no_mirror_on(
        self, house: House, operator: Operator
    ) -> None:
        join(house, 1)
        capture(operator)
        assert watched(house) > 0
        house.kill(3)
        house.loop.advance(LEASE_S + 2)
        assert watched(house) == 0

    def test_a_process_that_comes_back_is_captured_again(
        self, house: House, operator: Operator
    ) -> None:
        request = capture(operator, "seconds=9&direction=in")
        house.kill(1)
        house.start(1)
        house.loop.advance(3.0)
        join(house, 1).send(frame(BROADCAST, FIRST))
        assert comments(end(house, request)) == ["in at 1.1"]

    def test_when_its_port_has_gone(
        self, house: House, operator: Operator, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "vpnws")
        one = join(house, 1)
        requests = [capture(operator, "port=1.1"), capture(operator, "direction=in")]
        one.send(frame(BROADCAST, FIRST))
        house.loop.advance(SOON_S)
        one.hang_up()
        house.loop.advance(3.0)
        assert [request.is_over for request in requests] == [True, False]
        assert comments(requests[0].body) == ["in at 1.1"]
        blocks = Blocks()
        blocks.feed(requests[0].body)
        assert (blocks.frames, blocks.comment) == (1, "port 1.1 has gone")
        ended = "capture ended: port 1.1 has gone, 1 frames, 0 copies lost by=root"
        assert caplog.messages.count(ended) == 1

    def test_a_port_with_the_same_name_is_another_one(
        self, house: House, operator: Operator
    ) -> None:
        join(house, 1)
        request = capture(operator, "port=1.1")
        house.kill(1)
        house.start(1)
        join(house, 1, "bob").send(frame(BROADCAST, FIRST))
        house.loop.advance(3.0)
        assert request.is_over
        assert comments(request.body) == []

    def test_a_head_begins_nothing_that_stays(self, house: House, operator: Operator) -> None:
        join(house, 1)
        request = operator.begin("HEAD", "api/v1/capture")
        house.loop.advance(SOON_S)
        assert request.is_over
        assert request.status.startswith("200")
        assert watched(house) == 0


class TestASilentOne:
    def test_says_something_all_the_same(self, house: House, operator: Operator) -> None:
        request = capture(operator)
        begun = len(request.body)
        house.loop.advance(40.0)
        assert statistics(request.body[begun:]) == [(0, 0)] * 2
        assert tshark(request.body, "frame.len") == []


class TestBounds:
    def test_a_caller_that_does_not_read_loses_copies_and_is_told_how_many(
        self, house: House, operator: Operator
    ) -> None:
        one = join(house, 1)
        wire = Wire(house.loop)
        request = capture(operator, "direction=in&seconds=60", wire)
        count = 2 * MAX_RECORDING_BYTES // 1500
        for _ in range(count // 100):
            one.send(*[frame(BROADCAST, FIRST, 1500)] * 100)
            house.loop.advance(SOON_S)
        house.loop.spawn(lambda: drain(house, wire))
        house.loop.advance(60.0)
        assert request.is_over
        told = statistics(request.body)
        frames, lost = (sum(pair[number] for pair in told) for number in (0, 1))
        assert frames == count // 100 * 100
        assert lost > 0
        assert len(tshark(request.body, "frame.len")) == frames - lost

    def test_a_burst_loses_copies_and_nothing_else(self, house: House, operator: Operator) -> None:
        one, two = join(house, 1), join(house, 1)
        one.send(frame(BROADCAST, FIRST))
        two.send(frame(BROADCAST, SECOND))
        two.received()
        request = capture(operator, "direction=in&seconds=5")
        one.send(*[frame(SECOND, FIRST, 60)] * 20_000)
        assert len(two.received()) == 20_000
        assert sum(frames for frames, _ in statistics(end(house, request))) == 20_000
        assert sum(lost for _, lost in statistics(request.body)) > 0

    def test_there_are_so_many_and_no_more(self, house: House, operator: Operator) -> None:
        for _ in range(MAX_CAPTURES):
            capture(operator, "seconds=5")
        for other in (operator, Operator(house, 1)):
            status, sentence = refusal(other, "")
            assert (status, "captures run already" in sentence) == (503, True)
        house.loop.advance(6.0)
        capture(operator)

    @pytest.mark.parametrize(
        ("query", "status", "words"),
        [
            ("port=2.99", 404, "there is no port 2.99"),
            ("port=x%0Ay", 404, "there is no port"),
            ("mac=zz", 400, "not a MAC"),
            ("snap=1", 400, "snap"),
            ("seconds=0", 400, "seconds"),
            ("direction=up", 400, "direction"),
            ("colour=red", 400, "not a field"),
        ],
    )
    def test_what_is_wrong_is_said(
        self, house: House, operator: Operator, query: str, status: int, words: str
    ) -> None:
        told = refusal(operator, query)
        assert told[0] == status
        assert words in told[1]
        assert watched(house) == 0


def test_who_captures_what_is_an_event(
    house: House, operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vpnws")
    join(house, 1)
    end(house, capture(operator, "network=lan&seconds=5&direction=in"))
    assert [line for line in caplog.messages if "capture" in line] == [
        "capture of frames network=lan direction=in begins by=root",
        "capture ended: 0 frames, 0 copies lost by=root",
    ]


def drain(house: House, wire: Wire) -> None:
    """Read all that comes on a wire."""
    loop = house.loop.fork()
    while loop.wait_readable(wire.far.fileno(), 50.0) and wire.far.recv(1 << 20):
        pass

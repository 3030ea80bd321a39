"""Events of all processes, page by page and as a stream: none twice, none lost in silence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.control import Operator
from tests.fakes.house import House
from tests.fakes.wire import Wire
from vpnws.control.api import live
from vpnws.control.api.live import MAX_STREAMS, MAX_WAITING_PARTS, STATE_S
from vpnws.control.event_pages import decode_marks, encode_marks
from vpnws.control.events import Event
from vpnws.server.journal import MAX_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.uwsgi import Request
    from vpnws.control.api.live import LiveHub
    from vpnws.control.asks import Ask

MAC = "02:00:00:00:00:0a"


@pytest.fixture
def house() -> Iterator[House]:
    with House(workers=3) as built:
        yield built


def join(house: House, worker: int, user: str, **variables: Any) -> None:
    house.loop.advance(0.001)
    house.connect(worker, REMOTE_USER=user, REMOTE_ADDR="192.0.2.7", **variables)


def users(page: Any) -> list[str]:
    """Return who has joined, by the events of a page."""
    return [event["fields"]["user"] for event in page["items"] if event["name"] == "join"]


def tick(house: House, count: int = 1) -> None:
    """Let the streams tell their state `count` times."""
    for _ in range(count):
        house.loop.advance(STATE_S)


class TestPages:
    def test_every_worker_tells_what_happened_in_all_of_them_in_order(self, house: House) -> None:
        for worker, user in ((2, "ada"), (1, "bob"), (3, "eve")):
            join(house, worker, user)
        pages = [Operator(house, worker).get("events") for worker in (1, 2, 3)]
        assert [users(page) for page in pages] == [["ada", "bob", "eve"]] * 3
        assert pages[0]["items"] == pages[1]["items"]
        assert [event["name"] for event in pages[0]["items"]][:3] == ["process_up"] * 3
        assert pages[0]["missing"] == []

    @pytest.mark.parametrize("limit", [1, 2, 7])
    def test_pages_give_every_event_once(self, house: House, limit: int) -> None:
        for number in range(12):
            join(house, number % 3 + 1, f"user{number}")
        seen, after = [], ""
        while page := Operator(house, 2).get("events", f"limit={limit}&after={after}"):
            if not page["items"]:
                break
            assert len(page["items"]) <= limit
            seen += page["items"]
            after = page["next"]
        assert users({"items": seen}) == [f"user{number}" for number in range(12)]
        assert len({(event["process"], event["seq"]) for event in seen}) == len(seen) == 3 + 12
        join(house, 3, "late")
        assert users(Operator(house, 1).get("events", f"after={after}")) == ["late"]

    def test_the_death_of_a_worker_ends_no_cursor(self, house: House) -> None:
        join(house, 1, "ada")
        join(house, 2, "bob")
        after = Operator(house).get("events")["next"]
        house.kill(2)
        house.start(2)
        join(house, 2, "eve")
        page = Operator(house, 3).get("events", f"after={after}")
        assert [(event["process"], event["name"]) for event in page["items"]] == [
            ("worker 2", "process_up"),
            ("worker 2", "join"),
        ]
        assert users(page) == ["eve"]
        assert Operator(house).get("events", f"after={page['next']}")["items"] == []

    def test_one_that_does_not_answer_tells_it_later(self, house: House) -> None:
        after = Operator(house).get("events")["next"]
        join(house, 1, "ada")
        join(house, 2, "bob")
        house.processes[2].loop.is_paused = True
        page = Operator(house).get("events", f"after={after}")
        assert (users(page), page["missing"]) == (["ada"], ["worker 2"])
        house.processes[2].loop.is_paused = False
        page = Operator(house).get("events", f"after={page['next']}")
        assert (users(page), page["missing"]) == (["bob"], [])

    def test_what_is_no_longer_kept_is_counted(self, house: House) -> None:
        after = Operator(house).get("events")["next"]
        journal = house.processes[1].node.journal
        for _ in range(MAX_EVENTS + 5):
            journal.note(Event.UNPIN, "unpinned")
        page = Operator(house, 2).get("events", f"after={after}&limit=1")
        assert (page["lost"], len(page["items"])) == (5, 1)
        assert Operator(house, 2).get("events", f"after={page['next']}")["lost"] == 0

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("user=ada", ["join", "learn"]),
            ("event=learn", ["learn"]),
            (f"mac={MAC.upper()}", ["join", "learn"]),
            ("network=blue", ["join"]),
            ("port=2.1", ["join"]),
            ("q=SERVES+as", ["process_up"] * 3),
            ("user=nobody", []),
            ("last=true&limit=1", ["join"]),
            ("last=true&limit=1&event=learn", ["learn"]),
        ],
    )
    def test_a_filter_keeps_what_fits(self, house: House, query: str, found: list[str]) -> None:
        join(house, 1, "ada", HTTP_X_VPN_WS_MAC=MAC)
        join(house, 2, "bob", network="blue")
        page = Operator(house, 3).get("events", query)
        assert [event["name"] for event in page["items"]] == found
        assert Operator(house).get("events", f"after={page['next']}")["items"] == []

    @pytest.mark.parametrize("after", ["x", "WzFd", encode_marks({"a": ("b", 1)})])  # type: ignore[dict-item]
    def test_a_cursor_of_another_kind_is_refused(self, house: House, after: str) -> None:
        status, answer = Operator(house).ask("GET", "api/v1/events", query=f"after={after}")
        assert (status, answer["error"][:9]) == (400, "after is ")

    def test_a_cursor_keeps_every_process(self) -> None:
        marks = {f"worker {number}": (4_000_000 + number, 10**9) for number in range(64)}
        assert decode_marks(encode_marks(marks)) == marks
        assert decode_marks("") == {}


def hub_of(house: House) -> LiveHub:
    """Return the live streams of worker 1."""
    control = house.processes[1].application._control
    assert control is not None
    return control._app._live


class Page:
    """A page that reads the live stream."""

    def __init__(self, house: House, worker: int = 1) -> None:
        self.wire = Wire(house.loop)
        self.request: Request = Operator(house, worker, wire=self.wire).begin(
            "GET", "api/v1/stream"
        )
        self._house = house
        self._at = 0

    def hang_up(self) -> None:
        """Close the connection."""
        self.wire.far.close()
        self._house.loop.settle()

    def new(self) -> list[tuple[str, Any]]:
        """Return the messages that have come since the last call, each with its name."""
        text, self._at = self.request.body[self._at :], len(self.request.body)
        found = []
        for block in text.decode().split("\n\n"):
            name, _, data = block.partition("\n")
            if name.startswith("event: "):
                found.append((name[7:], json.loads(data.removeprefix("data: "))))
        return found

    def names(self) -> list[str]:
        """Return the names of what has come since the last call."""
        return [name for name, _ in self.new()]


class TestStream:
    def test_it_tells_the_state_each_second_and_events_as_they_happen(self, house: House) -> None:
        join(house, 2, "ada", HTTP_X_VPN_WS_MAC=MAC)
        page = Page(house)
        assert page.request.status == "200 OK"
        headers = dict(page.request.headers)
        assert headers["Content-Type"] == "text/event-stream"
        assert headers["X-Accel-Buffering"] == "no"
        assert headers["Cache-Control"] == "no-store"
        ((name, state),) = page.new()
        assert name == "state"
        users = [port["who"]["user"] for port in state["ports"] if port["kind"] == "station"]
        assert users == ["ada"]
        assert state["networks"][0]["stations"] == 1
        assert (state["status"]["ports"], state["truncated"]) == (1, False)
        join(house, 3, "bob")
        tick(house)
        (_, state), (name, event) = page.new()
        assert sum(port["kind"] == "station" for port in state["ports"]) == 2
        assert (name, event["name"], event["fields"]["user"]) == ("event", "join", "bob")
        tick(house, 3)
        assert page.names() == ["state"] * 3

    def test_many_streams_cost_one_look_and_share_their_bytes(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pages = [Page(house) for _ in range(4)]
        hub = hub_of(house)
        asked, ask = list[object](), hub._peers.ask

        def note(what: Ask[Any]) -> object:
            asked.append(what)
            return ask(what)

        monkeypatch.setattr(hub._peers, "ask", note)
        for page in pages:
            page.new()
        tick(house, 3)
        assert [page.names() for page in pages] == [["state"] * 3] * 4
        assert len(asked) == 3

    def test_one_that_comes_later_is_told_soon(self, house: House) -> None:
        first = Page(house)
        house.loop.advance(STATE_S / 2)
        second = Page(house)
        house.loop.advance(STATE_S / 2)
        assert second.names() == ["state"]
        assert first.names() == ["state"] * 2

    def test_whoever_hangs_up_is_noticed_at_once_and_then_nobody_is_asked(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        page, other = Page(house), Page(house)
        asked, hub = list[object](), hub_of(house)
        monkeypatch.setattr(hub._peers, "ask", asked.append)
        for one in (page, other):
            assert not one.request.is_over
            one.hang_up()
            assert one.request.is_over
        tick(house, 5)
        assert asked == []
        assert hub._streams == []

    def test_what_happened_while_nobody_looked_is_not_told(self, house: House) -> None:
        Page(house).hang_up()
        join(house, 2, "ada")
        page = Page(house)
        tick(house)
        assert page.names() == ["state", "state"]

    def test_one_that_does_not_read_is_ended_and_holds_up_nobody(self, house: House) -> None:
        stuck, page = Page(house), Page(house)
        stuck.wire.max_write_bytes = stuck.wire.room_bytes = 0
        for _ in range(MAX_WAITING_PARTS + 2):
            tick(house)
            assert page.names()[-1] == "state"
        stuck.wire.max_write_bytes = stuck.wire.room_bytes = 65536
        house.loop.advance(0.1)
        assert stuck.request.is_over
        assert not page.request.is_over

    def test_more_ports_than_it_shows_are_said(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(live, "MAX_PORTS_SHOWN", 2)
        for number in range(3):
            join(house, number + 1, f"user{number}")
        ((_, state),) = Page(house).new()
        assert (len(state["ports"]), state["truncated"]) == (2, True)
        assert state["status"]["ports"] == 3

    def test_a_process_that_hangs_is_named_and_the_stream_goes_on(self, house: House) -> None:
        page = Page(house)
        page.new()
        house.processes[2].loop.is_paused = True
        tick(house, 6)
        states = [state for name, state in page.new() if name == "state"]
        assert len(states) >= 2
        assert states[-1]["status"]["missing"] == ["worker 2"]

    def test_there_is_an_end_to_streams(self, house: House) -> None:
        pages = [Page(house) for _ in range(MAX_STREAMS)]
        status, answer = Operator(house).ask("GET", "api/v1/stream")
        assert status == 503
        assert "live streams already" in answer["error"]
        assert Page(house, 2).request.status == "200 OK"
        assert not any(page.request.is_over for page in pages)

    def test_a_reload_ends_every_stream(self, house: House) -> None:
        pages = [Page(house, worker) for worker in (1, 2, 1)]
        house.reload()
        assert all(page.request.is_over for page in pages)

    def test_a_head_request_takes_no_place(self, house: House) -> None:
        for _ in range(MAX_STREAMS + 1):
            assert Operator(house).begin("HEAD", "api/v1/stream").is_over
        assert not Page(house).request.is_over

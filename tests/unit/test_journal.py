"""A journal keeps, counts and tells events; each is one line of the log, whatever stations send."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.house import House
from tests.support.frames import mac
from tests.support.node_bed import NodeBed
from tests.support.raw_frames import BINARY, encode_frame
from vpnws.control.events import EVENTS, FIELDS, Event
from vpnws.server.journal import MAX_EVENTS, MAX_LISTENERS, Journal
from vpnws.server.log import JSON, MAX_LINE_BYTES, LineHandler
from vpnws.server.port.session import Session
from vpnws.server.web.identity import Identity
from vpnws.text import MAX_SENTENCE_CHARACTERS
from vpnws.wire.ethernet import BROADCAST, format_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.control.views import EventView

HOSTILE = {
    "a new line": 'x\n2025-01-01 00:00:00,000 vpnws[worker 1] INFO port 1.1 up user=admin\n{"a":1}',
    "markup": "<script>alert('x')</script>\"&amp;",
    "control characters": "a\x1b[2J\x00\x07\u2028\u202e",
    "no UTF-8": b"\xff\xfe\x80".decode("utf-8", "surrogateescape"),
    "long": "\U0001f409" * 10_000,
    "quotes": '"\\' * 5_000,
}


class Log:
    """The lines of a log in JSON."""

    def __init__(self) -> None:
        # Not a pipe: how much fits into one depends on what else runs on the machine.
        self._fd = os.memfd_create("log")
        self._at = 0
        self.handler = LineHandler(self._fd, "worker 1", JSON)

    def lines(self) -> list[bytes]:
        """Return the lines that have come."""
        data = os.pread(self._fd, 1 << 20, self._at)
        self._at += len(data)
        return data.splitlines()

    def close(self) -> None:
        """Close the log."""
        os.close(self._fd)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """Write the log of this process as JSON."""
    log = Log()
    logger = logging.getLogger("vpnws")
    monkeypatch.setattr(logger, "handlers", [log.handler])
    logger.setLevel(logging.INFO)
    yield log
    log.close()


def make_journal() -> Journal:
    return Journal("worker 1", lambda: 1_700_000_000.25)


def numbers(events: list[EventView]) -> list[int]:
    return [event.seq for event in events]


class TestKeeping:
    def test_events_are_numbered_and_kept_in_order(self) -> None:
        journal = make_journal()
        journal.note(Event.JOIN, "one", port="1.1")
        journal.note(Event.LEARN, "two", port="1.1")
        journal.note(Event.LEAVE, "three", port="1.1", user="")
        assert numbers(journal.after(0)) == [1, 2, 3]
        assert numbers(journal.after(1)) == [2, 3]
        assert journal.after(3) == []
        last = journal.after(2)[0]
        assert (last.process, last.name, last.level) == ("worker 1", "leave", "info")
        assert (last.text, last.fields) == ("three", {"port": "1.1"})
        assert last.time_s == 1_700_000_000.25

    def test_the_oldest_are_lost_and_counted(self) -> None:
        journal = make_journal()
        for _ in range(MAX_EVENTS + 7):
            journal.note(Event.MOVE, "a MAC has moved")
        assert journal.lost == 7
        assert numbers(journal.after(0)) == list(range(8, MAX_EVENTS + 8))

    def test_those_that_are_no_line_push_out_no_others(self) -> None:
        journal = make_journal()
        journal.note(Event.JOIN, "joined")
        for _ in range(2 * MAX_EVENTS):
            journal.note(Event.LEARN, "learned")
        assert journal.after(0)[0].name == "join"
        assert journal.lost == MAX_EVENTS

    def test_listeners_are_told_and_bounded(self) -> None:
        journal, heard = make_journal(), list[int]()

        def listen(event: EventView) -> None:
            heard.append(event.seq)

        for _ in range(MAX_LISTENERS):
            journal.listen(listen)
        with pytest.raises(ValueError, match="listeners already"):
            journal.listen(listen)
        journal.unlisten(listen)
        journal.note(Event.LEARN, "learned")
        assert heard == [1] * (MAX_LISTENERS - 1)


class TestJson:
    def test_an_event_has_its_fields_and_is_in_utc(self, log: Log) -> None:
        make_journal().note(Event.JOIN, "port 1.1 up", port="1.1", user="Zoë", dn="", addr="::1")
        (line,) = log.lines()
        told = json.loads(line)
        assert told.pop("time").endswith("Z")
        assert told == {
            "process": "worker 1",
            "level": "info",
            "event": "join",
            "message": "port 1.1 up",
            "port": "1.1",
            "user": "Zoë",
            "addr": "::1",
        }

    def test_another_line_has_none(self, log: Log) -> None:
        logging.getLogger("vpnws").error("the socket %s has been removed", "/run/vpnws.sock")
        (line,) = log.lines()
        told = json.loads(line)
        assert list(told) == ["time", "process", "level", "message"]
        assert told["message"] == "the socket /run/vpnws.sock has been removed"
        assert told["level"] == "error"

    def test_what_the_environment_has_is_written_whatever_it_is(self, log: Log) -> None:
        logging.getLogger("vpnws").critical("cannot start: %s", os.fsdecode(b"a\xff\n"))
        (line,) = log.lines()
        assert json.loads(line)["message"] == "cannot start: a\\udcff\n"

    def test_a_learned_mac_is_no_line(self, log: Log) -> None:
        journal = make_journal()
        journal.note(Event.LEARN, "learned")
        journal.note(Event.MOVE, "moved")
        assert len(log.lines()) == 1

    @pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
    def test_a_hostile_name_stays_one_line_and_short(self, log: Log, name: str) -> None:
        bed = NodeBed()
        identity = Identity(remote_user=name, dn=name, remote_addr=name)
        station = bed.join(Session(identity=identity, announced_mac=mac(1)))
        station.send(encode_frame(BINARY, b"short"))
        bed.loop.advance(2.0)
        station.link.lose(name)
        lines = log.lines()
        told = [json.loads(line) for line in lines]
        assert [each["event"] for each in told] == ["process_up", "join", "drops", "leave"]
        for line, each in zip(lines, told, strict=True):
            assert len(line) < MAX_LINE_BYTES
            assert all(str(value).isprintable() for value in each.values())
        assert told[1]["user"].startswith(name[0] if name[0].isprintable() else "?")
        for event in bed.node.journal.after(0):
            assert event.text.isprintable()

    def test_no_event_is_longer_than_a_line(self, log: Log) -> None:
        """Also when each of its fields is as long as it can be, in bytes."""
        journal = make_journal()
        for event, kind in EVENTS.items():
            texts: dict[str, Any] = dict.fromkeys(kind.fields, "\U0001f409" * 10_000)
            journal.note(event, "\U0001f409" * 10_000, **texts)
            if kind.is_logged:
                (line,) = log.lines()
                assert len(line) < MAX_LINE_BYTES
                assert json.loads(line)["message"].endswith("...")

    @given(name=st.sampled_from(sorted(FIELDS)), text=st.text() | st.text("\ud800\udcff\n"))
    def test_any_text_can_be_kept_and_encoded(self, name: str, text: str) -> None:
        journal = make_journal()
        journal.note(Event.LEARN, text, **{name: text})
        (event,) = journal.after(0)
        assert event.text.isprintable()
        kept = str(event.fields.get(name, ""))
        assert kept.encode().decode() == kept
        assert len(kept) <= MAX_SENTENCE_CHARACTERS + len("...")


class TestHouse:
    def test_a_station_that_moves_is_told_where_it_is_now(self) -> None:
        with House() as house:
            first = house.connect(1, REMOTE_USER="alice", HTTP_X_VPN_WS_MAC=format_mac(mac(1)))
            house.connect(2, REMOTE_USER="alice", HTTP_X_VPN_WS_MAC=format_mac(mac(1)))
            house.loop.advance(2.0)
            left, came = (house.processes[number].node.journal.after(0) for number in (1, 2))
            assert [event.name for event in left] == ["process_up", "join", "learn"]
            assert [event.name for event in came] == ["process_up", "join", "move"]
            moved = came[-1].fields
            assert moved["from_port"] == left[1].fields["port"] == "1.1"
            assert (moved["port"], moved["user"]) == ("2.1", "alice")
            assert moved["mac"] == format_mac(mac(1))
            first.hang_up()

    def test_a_process_that_was_killed_is_told_by_the_one_after_it(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        with House() as house:
            house.server.page.note_kill(1)
            house.kill(2)
            caplog.clear()
            told = house.start(2).node.journal.after(0)
            assert [event.name for event in told] == ["process_up", "process_hung"]
            assert told[1].fields == {"peer": "worker 2", "count": 1}
            house.kill(2)
            assert [event.name for event in house.start(2).node.journal.after(0)] == ["process_up"]
            assert not any("hung" in message for message in caplog.messages)

    def test_every_field_is_in_the_table(self) -> None:
        """A run in which much happens: joins, drops, refusals, moves, ends."""
        with House(settings={"station-limit": "2"}) as house:
            one = house.connect(1, REMOTE_USER="alice", HTTP_X_VPN_WS_MAC=format_mac(mac(1)))
            house.connect(2, HTTP_X_VPN_WS_MAC=format_mac(mac(1)), REMOTE_ADDR="192.0.2.1")
            house.connect(1, VPNWS_ROLE="nonsense")
            one.send(BROADCAST + mac(3) + bytes(50))
            one.send(BROADCAST + mac(4) + bytes(50))
            one.send(BROADCAST + bytes(58))
            house.loop.advance(2.0)
            one.hang_up()
            house.loop.advance(65.0)
            events = [
                event
                for process in house.processes.values()
                for event in process.node.journal.after(0)
            ]
        names = {event.name for event in events}
        assert names >= {"process_up", "join", "learn", "refused", "drops", "leave"}
        for event in events:
            assert set(event.fields) <= set(EVENTS[Event(event.name)].fields), event
            assert event.level == EVENTS[Event(event.name)].level

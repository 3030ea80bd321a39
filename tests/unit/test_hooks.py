"""Hooks over a whole server in one process: what is run and posted, for what, and within bounds."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes.control import Operator
from tests.fakes.house import House
from tests.fakes.uwsgi import ProcessEnded
from vpnws.config_reader import read_settings
from vpnws.errors import ConfigError
from vpnws.server.hooks import commands as commands_module
from vpnws.server.hooks.commands import MAX_RUNNING
from vpnws.server.hooks.dispatch import STOP_S
from vpnws.server.hooks.permits import MARGIN_S, MAX_ASKING
from vpnws.server.hooks.teller import wanted_events
from vpnws.server.hooks.webhook import MAX_WAITING, RETRIES_S, Posted
from vpnws.server.shell import Ended

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

HOSTILE = "a$(touch /tmp/x)`id`;'\"\n\x00\x1b[31m\udcff|&"
ALL = {"on-connect": "came", "on-disconnect": "went", "on-learn": "learned"}
ASKED = {"on-connect": "may", "on-connect-may-refuse": "on", "hook-timeout": "5"}


@dataclass
class Works:
    """A `Background` and what runs in it: each job goes on until the test ends it."""

    began: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    """Commands with their environments."""
    bodies: list[bytes] = field(default_factory=list)
    open: list[Callable[[Any], None]] = field(default_factory=list)

    def run(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Begin a job."""
        self.open.append(done)
        job()

    def command(self, commands: str, environment: Mapping[str, str], timeout_s: float) -> Ended:
        """Begin commands."""
        assert timeout_s > 0
        self.began.append((commands, environment))
        return Ended(0)

    def post(self, body: bytes) -> Posted:
        """Begin a post."""
        self.bodies.append(body)
        return Posted()

    def end(self, how: Ended | Posted, index: int = 0) -> None:
        """End one of the jobs."""
        self.open.pop(index)(how)


def house_of(works: Works, **settings: str) -> House:
    named = {name.replace("_", "-"): text for name, text in settings.items()}
    return House(
        settings=named, hooks_with={"run": works.command, "background": works, "poster": works}
    )


@pytest.fixture
def works() -> Works:
    return Works()


@pytest.fixture
def told(works: Works) -> Iterator[House]:
    with house_of(works, **ALL) as house:
        yield house


@pytest.fixture
def asked(works: Works) -> Iterator[House]:
    with house_of(works, **ASKED) as house:
        yield house


def names(works: Works) -> list[str]:
    return [commands for commands, _ in works.began]


def failures(house: House) -> list[str]:
    events = Operator(house).get("events", "event=hook_failed")["items"]
    return [event["text"] for event in events]


class TestCommands:
    def test_each_event_runs_its_own_with_its_facts(self, told: House, works: Works) -> None:
        station = told.connect(
            2, network="blue", REMOTE_USER="ada", HTTP_X_VPN_WS_MAC="02:00:00:00:00:0a"
        )
        works.end(Ended(0))
        works.end(Ended(0))
        station.hang_up()
        told.loop.settle()
        assert names(works) == ["came", "learned", "went"]
        came, learned, went = (facts for _, facts in works.began)
        assert (came["VPNWS_EVENT"], came["VPNWS_USER"]) == ("join", "ada")
        assert (came["VPNWS_NETWORK"], came["VPNWS_MAC"]) == ("blue", "02:00:00:00:00:0a")
        assert (learned["VPNWS_EVENT"], learned["VPNWS_USER"]) == ("learn", "ada")
        assert went["VPNWS_EVENT"] == "leave"
        assert went["VPNWS_PORT"] == came["VPNWS_PORT"]
        assert went["VPNWS_REASON"]

    def test_what_has_just_come_and_goes_is_told_in_order(self, told: House, works: Works) -> None:
        told.connect(1).hang_up()
        told.connect(1)
        assert names(works) == ["came", "came"], "the first one's end waits for its beginning"
        works.end(Ended(0))
        assert names(works) == ["came", "came", "went"]

    def test_only_some_run_at_once(self, told: House, works: Works) -> None:
        for _ in range(MAX_RUNNING + 3):
            told.connect(1)
        assert len(works.began) == MAX_RUNNING
        for _ in range(3):
            works.end(Ended(0))
        assert len(works.began) == MAX_RUNNING + 3

    def test_too_many_are_not_run_and_said(
        self, told: House, works: Works, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(commands_module, "MAX_WAITING", 2)
        for _ in range(MAX_RUNNING + 4):
            told.connect(1)
        assert len(works.began) == MAX_RUNNING
        (text,) = failures(told)
        assert text.startswith("vpnws-on-connect: ")

    def test_a_failure_is_said_at_once_and_then_counted(self, told: House, works: Works) -> None:
        for _ in range(4):
            told.connect(1)
        for _ in range(4):
            works.end(Ended(3, b"no\nsuch \x1b[31mfile"))
        assert failures(told) == ["vpnws-on-connect: status 3; it said: no such ?[31mfile"]
        told.loop.advance(61.0)
        assert failures(told)[1:] == [
            "vpnws-on-connect failed 3 times: status 3; it said: no such ?[31mfile"
        ]

    def test_a_hostile_name_is_a_value_and_nothing_else(self, told: House, works: Works) -> None:
        wire = HOSTILE.encode("utf-8", "surrogateescape").decode("latin-1")
        told.connect(1, REMOTE_USER=wire, DN=wire)
        ((_, facts),) = works.began
        assert facts["VPNWS_USER"] == "a$(touch /tmp/x)`id`;'\"???[31m?|&"
        assert all(text.isprintable() for name, text in facts.items() if name.startswith("VPNWS_"))

    def test_the_servers_own_variables_are_not_taken_for_facts(
        self, told: House, works: Works, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("VPNWS_INI_TAP", "vpn0")
        monkeypatch.setenv("VPNWS_REASON", "forged")
        told.connect(1)
        ((_, facts),) = works.began
        assert not {"VPNWS_INI_TAP", "VPNWS_REASON"} & set(facts)
        assert "PATH" in facts

    def test_nothing_set_is_nothing_sent(self, works: Works) -> None:
        with house_of(works) as house:
            house.connect(1)
            assert house.processes[1].node.journal._listeners == []
        assert (works.began, works.bodies) == ([], [])

    def test_the_end_waits_for_what_is_under_way(self, told: House, works: Works) -> None:
        told.connect(1)
        told.hooks.loop.send_signal(signal.SIGINT)
        told.loop.advance(2.0)
        works.end(Ended(0))
        with pytest.raises(ProcessEnded):
            told.loop.advance(1.0)

    def test_the_end_does_not_wait_for_ever(
        self, told: House, works: Works, caplog: pytest.LogCaptureFixture
    ) -> None:
        told.connect(1)
        told.hooks.loop.send_signal(signal.SIGINT)
        with pytest.raises(ProcessEnded):
            told.loop.advance(STOP_S + 1.0)
        assert "hooks: the server ended before they were done" in caplog.messages


class TestPermits:
    def test_a_station_waits_and_joins(self, asked: House, works: Works) -> None:
        station = asked.connect(1, REMOTE_USER="ada", has_spoken=False)
        assert not station.request.is_over
        ((commands, facts),) = works.began
        assert (commands, facts["VPNWS_EVENT"], facts["VPNWS_USER"]) == ("may", "connect", "ada")
        works.end(Ended(0))
        asked.loop.settle()
        assert station.request.status.startswith("101")
        assert names(works) == ["may"], "it is not run again when the station has joined"

    def test_exit_code_1_refuses_with_the_output_as_the_reason(
        self, asked: House, works: Works
    ) -> None:
        station = asked.connect(1, has_spoken=False)
        works.end(Ended(1, b"come back\non \x1b[1mMonday\n"))
        asked.loop.settle()
        assert station.request.status.startswith("403")
        assert station.request.body.decode().endswith("come back on ?[1mMonday\n")
        assert failures(asked) == []

    @pytest.mark.parametrize(
        "ended", [Ended(2), Ended(-9), Ended(1, killed_for="not done within 5 s")]
    )
    def test_a_command_that_fails_lets_nobody_in(
        self, asked: House, works: Works, ended: Ended
    ) -> None:
        station = asked.connect(1, has_spoken=False)
        works.end(ended)
        asked.loop.settle()
        assert station.request.status.startswith("503")
        assert len(failures(asked)) == 1

    def test_without_the_process_nobody_joins_and_it_is_said_why(self, asked: House) -> None:
        asked.kill_hooks()
        station = asked.connect(1, has_spoken=False)
        asked.loop.advance(5.0 + MARGIN_S)
        assert station.request.status.startswith("503")
        assert "mule = vpnws_app:hooks" in station.request.body.decode()
        asked.start_hooks()

    def test_others_join_while_one_waits(self, asked: House, works: Works) -> None:
        slow = asked.connect(1, has_spoken=False)
        for _ in range(50):
            quick = asked.connect(1, has_spoken=False)
            works.end(Ended(0), 1)
            asked.loop.settle()
            assert quick.request.status.startswith("101")
        assert not slow.request.is_over
        assert len(asked.processes[1].node.links) == 50

    def test_too_many_at_once_are_told_to_come_back(self, asked: House) -> None:
        for _ in range(MAX_ASKING):
            asked.connect(1, has_spoken=False)
        station = asked.connect(1, has_spoken=False)
        assert station.request.status.startswith("503")


class TestWebhook:
    @pytest.fixture
    def house(self, works: Works) -> Iterator[House]:
        with house_of(works, webhook="http://127.0.0.1:9/x") as house:
            works.began.clear()
            while works.open:
                works.end(Posted())
            works.bodies.clear()
            yield house

    def test_events_are_posted_in_order_one_at_a_time(self, house: House, works: Works) -> None:
        for user in ("ada", "bob"):
            house.connect(1, REMOTE_USER=user)
        assert len(works.bodies) == 1
        works.end(Posted())
        assert [b'"ada"' in works.bodies[0], b'"bob"' in works.bodies[1]] == [True, True]

    def test_what_fails_is_tried_again_for_a_while(self, house: House, works: Works) -> None:
        house.connect(1)
        for pause_s in RETRIES_S:
            works.end(Posted("ConnectionRefusedError", is_final=False))
            assert not works.open
            house.loop.advance(pause_s)
        assert len(set(works.bodies)) == 1
        assert len(works.bodies) == 1 + len(RETRIES_S)
        works.end(Posted("ConnectionRefusedError", is_final=False))
        assert failures(house) == ["vpnws-webhook: an event is lost: ConnectionRefusedError"]

    def test_what_is_refused_is_not_tried_again(self, house: House, works: Works) -> None:
        house.connect(1)
        works.end(Posted("status 404 Not Found"))
        assert len(works.bodies) == 1
        assert len(failures(house)) == 1

    def test_of_too_many_the_oldest_are_lost(self, house: House, works: Works) -> None:
        for number in range(MAX_WAITING // 2 + 2):
            house.connect(1, REMOTE_USER=f"user{number}").hang_up()
            house.loop.settle()
        assert len(works.open) == 1
        (text,) = failures(house)
        assert "the oldest is lost" in text

    def test_only_the_wanted_events_are_posted(self, works: Works) -> None:
        with house_of(works, webhook="http://127.0.0.1:9/x", webhook_events="leave") as house:
            house.connect(1).hang_up()
            house.loop.settle()
            ((body),) = works.bodies
            assert b'"name":"leave"' in body


class TestBannedMeanwhile:
    def test_who_is_banned_while_it_waits_does_not_come_in(
        self, asked: House, works: Works
    ) -> None:
        station = asked.connect(1, REMOTE_USER="eve")
        Operator(asked, 2).change("POST", "bans", {"user": "eve"})
        asked.loop.advance(2.0)
        works.end(Ended(0))
        asked.loop.settle()
        assert station.request.status.startswith("403")
        assert Operator(asked).get("ports", "user=eve")["items"] == []

    def test_an_answer_to_a_process_that_died_lets_nobody_else_in(
        self, asked: House, works: Works
    ) -> None:
        asked.connect(1, REMOTE_USER="ada")
        asked.kill(1)
        asked.start(1)
        station = asked.connect(1, REMOTE_USER="eve")
        works.end(Ended(0))
        asked.loop.settle()
        assert not station.request.status
        works.end(Ended(1))
        asked.loop.settle()
        assert station.request.status.startswith("403")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"on-connect-may-refuse": "on"}, "vpnws-on-connect is not set"),
        ({"webhook-ca": "/x"}, "vpnws-webhook is not"),
        ({"webhook-events": "join"}, "vpnws-webhook is not"),
        ({"webhook": "ftp://x"}, "a URL like https://host/path"),
        ({"webhook": "https://a:b@x/"}, "without a name and password"),
        ({"webhook": "https://[x"}, "a URL like"),
        ({"webhook": "https://x", "webhook-events": "jion"}, "jion is not an event"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, str], words: str) -> None:
    options = {f"vpnws-{name}": text for name, text in settings.items()}
    with pytest.raises(ConfigError, match=words):
        wanted_events(read_settings(options))

"""The start: what the master makes of its options, and a sentence where it cannot."""

from __future__ import annotations

import json
import logging

import pytest

from tests.fakes.devices import FakeDevices
from tests.fakes.manual_loop import ManualLoop
from tests.fakes.uwsgi import GOOD_OPTIONS, FakeMaster, FakeUwsgi, ProcessEnded
from vpnws import __version__
from vpnws.config import Settings
from vpnws.errors import ConfigError
from vpnws.server.ini import CHECK, CHECKED, RELOADS, has_started, log_form
from vpnws.server.log import say
from vpnws.server.peers.bus import MAX_SLOTS
from vpnws.server.start import Server, start


class Bed:
    """A uWSGI that has read its options and loads the application."""

    def __init__(self, *, workers: int = 2, **placeholders: str) -> None:
        self.loop = ManualLoop()
        given = {f"vpnws-{name.replace('_', '-')}": text for name, text in placeholders.items()}
        options = {**GOOD_OPTIONS, **{name: text.encode() for name, text in given.items()}}
        self.master = FakeMaster(self.loop, workers=workers, options=options)
        self.uwsgi = FakeUwsgi(self.master, self.loop)
        self.devices = FakeDevices()
        self.environment: dict[str, str] = {}

    def start(self) -> Server:
        return start(self.loop, self.uwsgi, self.devices, self.environment)


class TestGoodOptions:
    def test_make_a_server(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        server = Bed(mode="bridge", tap="blue:vpn0 red:vpn1", age="60").start()
        assert server.settings.age_s == 60
        assert server.settings.tap == (("blue", "vpn0"), ("red", "vpn1"))
        assert caplog.messages == [
            f"vpnws {__version__} is ready: mode bridge, receiver stream, 2 workers, socket none,"
            " http none, TAPs blue:vpn0 red:vpn1"
        ]

    @pytest.mark.parametrize(("taps", "slots"), [("", 2), ("blue:vpn0 red:vpn1", 3)])
    def test_give_a_slot_to_each_worker_and_one_to_the_mule(self, taps: str, slots: int) -> None:
        server = Bed(mode="bridge" if taps else "switch", tap=taps).start()
        assert len(server._bus.ends(0)) == slots - 1

    def test_may_have_a_risk_that_is_said(self, caplog: pytest.LogCaptureFixture) -> None:
        bed = Bed()
        bed.master.options["reload-on-rss"] = b"100"
        bed.start()
        (warning, *_) = caplog.messages
        assert warning.startswith("reload-on-rss is set: a worker that takes that much memory")

    def test_note_that_the_start_went_well(self) -> None:
        bed = Bed()
        bed.environment[RELOADS] = "2"
        bed.start()
        assert has_started(bed.environment)


class TestJsonLog:
    """With vpnws-log = json, what a start says is JSON, also before it knows its settings."""

    def lines(self, capfd: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
        """Return the lines of the log."""
        return [json.loads(line) for line in capfd.readouterr().err.splitlines()]

    def test_a_start(self, capfd: pytest.CaptureFixture[str]) -> None:
        bed = Bed(log="json")
        bed.start()
        (ready,) = self.lines(capfd)
        assert (ready["process"], ready["level"]) == ("start", "info")
        assert ready["message"].startswith(f"vpnws {__version__} is ready")

    def test_a_setting_that_is_wrong(self, capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            Bed(log="json", age="soon").start()
        (error,) = self.lines(capfd)
        assert error["level"] == "critical"
        assert error["message"].startswith("cannot start: vpnws-age = ")

    def test_a_form_that_there_is_not(self, capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            Bed(log="xml").start()
        said = capfd.readouterr().err
        assert "CRITICAL cannot start: vpnws-log = 'xml' is not one of text, json" in said

    def test_a_check_is_read_by_a_person(self, capfd: pytest.CaptureFixture[str]) -> None:
        bed = Bed(log="json")
        bed.environment[CHECK] = "1"
        with pytest.raises(ProcessEnded):
            bed.start()
        assert capfd.readouterr().err.rstrip().endswith(f"vpnws[start] INFO {CHECKED}")

    @pytest.mark.parametrize("form", ["json", "text"])
    def test_a_program_of_the_start(self, form: str, capfd: pytest.CaptureFixture[str]) -> None:
        """It has only what uwsgi.ini has put into the environment."""
        say("cannot start: no", log_form({"VPNWS_INI_LOG": form}, {}))
        said = capfd.readouterr().err
        if form == "json":
            assert json.loads(said)["message"] == "cannot start: no"
        else:
            assert said == "vpnws: cannot start: no\n"


class TestBadOptions:
    def test_stop_the_start_with_a_sentence(self, caplog: pytest.LogCaptureFixture) -> None:
        bed = Bed(age="soon")
        with pytest.raises(SystemExit) as caught:
            bed.start()
        assert caught.value.code == 1
        (message,) = caplog.messages
        assert message.startswith("cannot start: vpnws-age = ")
        assert not has_started(bed.environment)
        assert not bed.master.is_stopped, "in the master the exit is enough"

    def test_another_engine_than_gevent_stops_it(self, caplog: pytest.LogCaptureFixture) -> None:
        bed = Bed()
        bed.master.cores = 2
        with pytest.raises(SystemExit):
            bed.start()
        (message,) = caplog.messages
        assert message.startswith("cannot start: each worker has 2 cores and gevent assumes 256")

    def test_an_address_that_uwsgi_gave_up_stops_it(self, caplog: pytest.LogCaptureFixture) -> None:
        bed = Bed()
        bed.master.listeners = [4, 5, -1]
        with pytest.raises(SystemExit):
            bed.start()
        (message,) = caplog.messages
        assert "two of socket, http-socket, vpnws-socket and vpnws-http are the same" in message
        # A check binds nothing, so there is nothing to see.
        bed.environment |= {CHECK: "1"}
        with pytest.raises(ProcessEnded, match="0"):
            bed.start()

    def test_without_workers_there_is_no_server(self, caplog: pytest.LogCaptureFixture) -> None:
        with pytest.raises(SystemExit):
            Bed(workers=0).start()
        assert caplog.messages[0].startswith("cannot start: workers = 0")

    @pytest.mark.parametrize("numbers", [{"worker": 1}, {"mule": 1}])
    def test_stop_everything_where_a_child_loads_the_application(
        self, numbers: dict[str, int]
    ) -> None:
        bed = Bed(age="soon")
        bed.uwsgi = FakeUwsgi(bed.master, bed.loop, **numbers)
        with pytest.raises(SystemExit):
            bed.start()
        assert bed.master.is_stopped

    def test_more_processes_than_the_bus_takes(self) -> None:
        bed = Bed(workers=MAX_SLOTS + 1)
        with pytest.raises(ConfigError, match=f"{MAX_SLOTS + 1} processes are more than"):
            Server(bed.loop, bed.uwsgi, bed.devices, Settings(), {})


class TestACheck:
    @pytest.mark.parametrize(("age", "status"), [("60", 0), ("soon", 1)])
    def test_ends_at_once_and_leaves_the_devices_of_the_server_that_runs(
        self, age: str, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        bed = Bed(mode="bridge", tap="vpn0", age=age)
        bed.environment |= {CHECK: "1", "VPNWS_INI_TAP": "vpn0"}
        bed.devices.make("vpn0").is_ours = True
        with pytest.raises(ProcessEnded) as caught:
            bed.start()
        assert caught.value.args == (status,)
        assert (caplog.messages == [CHECKED]) == (status == 0)
        assert list(bed.devices.devices) == ["vpn0"]

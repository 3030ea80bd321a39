"""The janitor's process: how it serves requests, runs commands, and ends with its client."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.fakes.iproute import FakeSystem
from tests.support.waiting import wait_for
from vpnws.client.janitor import scripts as scripts_module
from vpnws.client.janitor.caller import Janitor
from vpnws.client.janitor.changes import Address, NameServers, Route
from vpnws.client.janitor.journal import Lock, Place
from vpnws.client.janitor.machine import ChangeError
from vpnws.client.janitor.messages import (
    MAX_MESSAGE_BYTES,
    MAX_VALUE_CHARACTERS,
    Answer,
    Call,
    KeepPins,
    PinOne,
    Want,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
)
from vpnws.client.janitor.process import JanitorProcess, Powers
from vpnws.client.janitor.programs import Programs
from vpnws.client.janitor.scripts import KILLED, Scripts
from vpnws.client.janitor.start import start
from vpnws.errors import JanitorError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vpnws.client.janitor.messages import Request

WAIT_S = 10.0
OWN = Address("10.8.0.2/24")
ROUTE = Route("10.9.0.0/16")
SERVER = "203.0.113.5"
KINDS = frozenset(("Address", "Route"))
SHOW = "import os, sys; open(sys.argv[1], 'a').write(os.environ['VPNWS_REASON'] + chr(10))"


class Bed:
    """A janitor on a fake machine, in a thread; the test is its client."""

    def __init__(
        self,
        directory: Path,
        *,
        up: tuple[str, ...] = (),
        down: tuple[str, ...] = (),
        has: str = "",
    ) -> None:
        self.directory = directory
        self.system = FakeSystem.home()
        self.system.addresses["tap0"] += [has] if has else []
        self.before = self.system.state()
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket = near
        powers = Powers("tap0", KINDS, up, down, directory=directory / "run")
        self._process = JanitorProcess(far, powers, self.system.machine(directory))
        self._far = far
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        # A process that is not there: nothing has to be waited for.
        self.client = Janitor(near, 2**22)

    def _run(self) -> None:
        with self._far:
            self._process.run()

    def ask(self, request: Request) -> Answer:
        answer = self.client.ask(request, WAIT_S)
        assert answer is not None
        return answer

    def end(self) -> list[str]:
        said = self.client.close()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()
        return said

    def kill_client(self) -> None:
        """End the client's side without a word."""
        self.socket.close()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()

    def left(self) -> list[str]:
        return sorted(path.name for path in (self.directory / "run").iterdir())


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path)
    yield made
    with suppress(OSError):
        made.end()


class TestServing:
    def test_it_does_what_it_is_asked_and_undoes_it_at_the_end(self, bed: Bed) -> None:
        assert bed.ask(PinOne(SERVER)).failures == ()
        assert bed.ask(Want((OWN, ROUTE))).failures == ()
        assert bed.system.addresses["tap0"] == ["10.8.0.2/24"]
        assert len(bed.left()) == 2
        assert bed.end() == []
        assert bed.system.state() == bed.before
        assert bed.left() == []

    def test_it_undoes_everything_when_the_client_is_killed(self, bed: Bed) -> None:
        bed.ask(Want((OWN, ROUTE)))
        bed.kill_client()
        assert bed.system.state() == bed.before
        assert bed.left() == []

    def test_pins_are_let_go(self, bed: Bed) -> None:
        for address in (SERVER, "203.0.113.6"):
            bed.ask(PinOne(address))
        bed.ask(KeepPins((SERVER,)))
        assert [each["dst"] for each in bed.system.routes][2:] == [SERVER]

    def test_what_the_options_do_not_name_is_refused(self, bed: Bed) -> None:
        (failure,) = bed.ask(Want((OWN, NameServers(("6.6.6.6",))))).failures
        assert "not allowed by the options" in str(failure)
        assert bed.system.addresses["tap0"] == []

    @pytest.mark.parametrize(
        "data",
        [
            b"x",
            b"[]",
            b'[1, "Shell", "reboot"]',
            b'[1, "Want", 5]',
            b'[1, "PinOne", "x"]',
            b"[" * 9999,
            b'[Infinity, "KeepPins", []]',
        ],
        ids=str,
    )
    def test_what_makes_no_sense_is_answered_and_does_nothing(self, bed: Bed, data: bytes) -> None:
        bed.socket.send(data)
        wait_for(lambda: (found := bed.client.read()) and found.failures, WAIT_S, "the answer")
        assert bed.system.state() == bed.before
        assert bed.ask(Want((OWN,))).failures == ()

    def test_without_a_journal_it_says_so_once_and_works(self, tmp_path: Path) -> None:
        (tmp_path / "run").write_text("a file where a directory must be")
        bed = Bed(tmp_path)
        bed.ask(Want((OWN,)))
        bed.ask(Want((OWN, ROUTE)))
        heard = [bed.client.read(), bed.client.read()]
        (said,) = [text for each in heard if each is not None for text in each.said]
        assert said.startswith("no journal can be kept (")
        assert bed.end() == []
        assert bed.system.state() == bed.before

    def test_what_the_one_before_has_left_is_undone_first(self, tmp_path: Path) -> None:
        first = Bed(tmp_path)
        first.ask(Want((OWN,)))
        left = Place.of(tmp_path / "run", "tap0").path.read_text()
        first.end()
        (tmp_path / "run").mkdir(exist_ok=True)
        Place.of(tmp_path / "run", "tap0").path.write_text(left)
        second = Bed(tmp_path, has="10.8.0.2/24")
        second.ask(Want(()))
        assert second.system.addresses["tap0"] == []
        second.end()

    def test_it_waits_for_the_one_before(self, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        before = Lock.take(Place.of(tmp_path / "run", "tap0"))
        assert before is not None
        bed = Bed(tmp_path)
        bed.client.send(Want((OWN,)))
        assert bed.system.commands == []
        before.release()
        wait_for(lambda: bed.system.addresses["tap0"], WAIT_S, "the address")
        bed.end()

    def test_the_client_hears_that_it_is_gone(self, bed: Bed) -> None:
        bed._far.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: not bed.thread.is_alive(), WAIT_S, "the end")
        for call in (bed.client.read, lambda: bed.client.send(Want(()))):
            with pytest.raises(JanitorError, match="vpnws-client clean"):
                call()


class TestMessages:
    @pytest.mark.parametrize(
        "request_",
        [
            Want((OWN, ROUTE)),
            PinOne(SERVER),
            KeepPins((SERVER,)),
            Call(is_up=True, variables=dict.fromkeys(("VPNWS_TAP",), "tap0")),
        ],
        ids=str,
    )
    def test_requests_cross(self, request_: Request) -> None:
        number, found = decode_request(encode_request(7, request_))
        assert number == 7
        if isinstance(request_, Call):
            assert isinstance(found, Call)
            assert {**found.variables, **request_.variables} == found.variables
        else:
            assert found == request_

    def test_answers_cross_and_too_long_ones_are_cut(self) -> None:
        failure = ChangeError("no", lacks_permission=True)
        found = decode_answer(encode_answer(Answer(3, (failure,), ("said",))))
        assert (found.number, found.said) == (3, ("said",))
        assert found.failures[0].lacks_permission
        much = Answer(3, tuple(ChangeError(1000 * "x") for _ in range(1000)))
        assert len(encode_answer(much)) <= MAX_MESSAGE_BYTES

    def test_a_variable_cannot_be_more_than_a_word_of_one_line(self) -> None:
        body = [False, {"VPNWS_REASON": "a\nb\0" + 5000 * "c", "LD_PRELOAD": "/tmp/x.so"}]
        _, call = decode_request(json.dumps([1, "Call", body]).encode())
        assert isinstance(call, Call)
        assert call.variables["VPNWS_REASON"].startswith("a?b?c")
        assert len(call.variables["VPNWS_REASON"]) == MAX_VALUE_CHARACTERS
        assert "LD_PRELOAD" not in call.variables


class TestCommands:
    def make(self, *code: str, file: Path) -> tuple[tuple[str, ...], list[str], Scripts]:
        said: list[str] = []
        command = (sys.executable, "-c", *code, str(file))
        return command, said, Scripts(command, command, time.monotonic, said.append)

    def finish(self, scripts: Scripts) -> None:
        while scripts.is_busy:
            scripts.step()
            time.sleep(0.01)

    def test_they_run_in_their_order(self, tmp_path: Path) -> None:
        _, said, scripts = self.make(SHOW, file=tmp_path / "note")
        for number in range(3):
            scripts.call({"VPNWS_REASON": str(number)}, is_up=number % 2 == 0)
        self.finish(scripts)
        assert (tmp_path / "note").read_text() == "0\n1\n2\n"
        assert said == []

    def test_who_is_up_at_the_end_comes_down(self, tmp_path: Path) -> None:
        _, _, scripts = self.make(SHOW, file=tmp_path / "note")
        scripts.call({"VPNWS_REASON": "connected"}, is_up=True)
        scripts.finish()
        assert (tmp_path / "note").read_text() == f"connected\n{KILLED}\n"

    def test_no_shell_sees_the_words(self, tmp_path: Path) -> None:
        _, _, scripts = self.make(SHOW, file=tmp_path / "note")
        scripts.call({"VPNWS_REASON": "$(id); `id` | id"}, is_up=False)
        scripts.finish()
        assert (tmp_path / "note").read_text() == "$(id); `id` | id\n"

    def test_one_that_hangs_is_killed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scripts_module, "SCRIPT_S", 0.0)
        _, said, scripts = self.make("import time; time.sleep(99)", file=tmp_path)
        scripts.call({}, is_up=True)
        self.finish(scripts)
        assert said == ["the command of --exec was killed: not done in 0 s"]

    @pytest.mark.parametrize(
        ("code", "cause"),
        [
            ("raise SystemExit(3)", "status 3"),
            ("import os; os.kill(os.getpid(), 9)", "killed by signal 9"),
        ],
    )
    def test_one_that_fails_is_told(self, tmp_path: Path, code: str, cause: str) -> None:
        _, said, scripts = self.make(code, file=tmp_path)
        scripts.call({}, is_up=False)
        self.finish(scripts)
        assert said == [f"the command of --exec-down failed: {cause}"]

    def test_one_that_is_not_there_is_told(self) -> None:
        said: list[str] = []
        scripts = Scripts(("/nowhere/x",), (), time.monotonic, said.append)
        scripts.call({}, is_up=True)
        assert said == ["the command of --exec cannot run: /nowhere/x: No such file or directory"]

    def test_calls_that_wait_have_a_bound(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scripts_module, "MAX_WAITING", 1)
        _, said, scripts = self.make("import time; time.sleep(0.2)", file=tmp_path)
        for _ in range(3):
            scripts.call({}, is_up=False)
        assert len(said) == 1
        scripts.finish()


class TestPrograms:
    def test_an_outcome_says_what_the_program_said(self) -> None:
        programs = Programs()
        assert programs.run("cat", text="abc").out == "abc"
        assert not programs.has("no-such-program")
        missing = programs.run("no-such-program")
        assert missing.error == "the program 'no-such-program' is not installed"
        failed = programs.run("ls", "/no/such/place")
        assert failed.status
        assert "No such file" in failed.error
        assert not failed.lacks_permission
        assert programs.run("false").error == "'false' failed with exit code 1"


def test_the_process_that_is_forked_ends_with_its_client(tmp_path: Path) -> None:
    note = tmp_path / "note"
    down = (sys.executable, "-c", SHOW, str(note))
    read, write = os.pipe()
    own, replaced = tmp_path / "own.sock", tmp_path / "replaced.sock"
    for file in (own, replaced):
        file.touch()
    janitor = start(Powers("tap0", KINDS, (), down, (own, replaced), tmp_path / "run"))
    # Once this is answered it knows the files.
    assert janitor.ask(Call(is_up=True, variables={}), WAIT_S) is not None
    replaced.rename(tmp_path / "before")
    replaced.touch()
    # It keeps nothing open that is the client's, a TAP above all.
    os.close(write)
    assert os.read(read, 1) == b""
    os.close(read)
    assert janitor.close() == []
    assert note.read_text() == f"{KILLED}\n"
    assert list((tmp_path / "run").iterdir()) == []
    assert not own.exists()
    # The next client's file is not ours.
    assert replaced.exists()

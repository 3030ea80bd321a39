"""What is started, logged and stopped: how a service begins and ends, well or not."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support import processes
from tests.support.assembly import Assembly
from tests.support.service import Service, ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

FOR_EVER = "while :; do sleep 0.01; done"


class Script(Service):
    """A shell script that is ready once it has said so."""

    name = "script"
    start_s = 5.0
    stop_s = 5.0

    def __init__(self, script: str) -> None:
        super().__init__()
        self._script = script

    def command(self) -> list[str]:
        return ["sh", "-c", self._script]

    def is_ready(self) -> bool:
        return "ready" in self.log_text()


def test_it_is_ready_within_the_block_and_gone_with_its_directory_after_it() -> None:
    with Script(f"echo ready; {FOR_EVER}") as script:
        assert script.process.poll() is None
        assert script.directory.is_dir()
    assert script.process.poll() is not None
    assert not script.directory.exists()
    assert script.log_text() == "ready\n"


def test_one_that_ends_at_its_start_says_what_it_has_said() -> None:
    with pytest.raises(ServiceError, match=r"(?s)script ended at start, status 3\n.*alas"):
        with Script("echo alas; exit 3"):
            pass


def test_one_that_is_not_ready_in_time_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Script, "start_s", 0.1)
    script = Script(f"echo begun; {FOR_EVER}")
    with pytest.raises(ServiceError, match=r"(?s)in vain: script to be ready\n.*begun"):
        with script:
            pass
    assert not processes.is_alive(script.process.pid)


def test_one_that_does_not_stop_is_a_fault_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Script, "stop_s", 0.1)
    with pytest.raises(ServiceError, match=r"script did not end within 0\.1 s of SIGTERM"):
        with Script(f"trap '' TERM; echo ready; {FOR_EVER}") as script:
            pass
    assert not processes.is_alive(script.process.pid)


def test_one_that_leaves_a_child_is_a_fault_and_the_child_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.support.service.VANISH_S", 0.1)
    with pytest.raises(ServiceError, match="script left processes behind"):
        with Script("sleep 600 & echo ready $!; wait") as script:
            child = int(script.log_text().split()[1])
    assert not processes.is_alive(child)


def test_a_failed_block_shows_the_log_and_keeps_its_own_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ZeroDivisionError):
        with Script(f"trap 'echo the end; exit' TERM; echo ready; {FOR_EVER}"):
            raise ZeroDivisionError
    assert capsys.readouterr().out == "--- script's log:\nready\nthe end\n\n"


def test_it_may_be_stopped_and_started_again_and_keeps_its_log() -> None:
    with Script(f"echo ready; {FOR_EVER}") as script:
        assert script.stop() == script.stop() != 0
        script.start()
        script.wait_for_log("ready", 2)
        assert script.process.poll() is None


def test_waiting_for_the_log_says_what_it_was_instead() -> None:
    with Script(f"echo ready; {FOR_EVER}") as script:
        script.wait_for_log("ready")
        with pytest.raises(TimeoutError, match=r"(?s)script to say 'ready'; it said:\nready"):
            script.wait_for_log("ready", 2, within_s=0.05)


def test_before_its_start_there_is_no_process() -> None:
    with pytest.raises(ServiceError, match="use it in a with statement"):
        _ = Script("true").process


def test_parts_that_were_made_go_when_one_cannot_be_made() -> None:
    told: list[str] = []

    @contextmanager
    def part(name: str) -> Iterator[None]:
        told.append(f"{name} comes")
        yield
        told.append(f"{name} goes")

    class Pair(Assembly):
        def build(self) -> None:
            self.parts.enter_context(part("one"))
            self.parts.enter_context(part("two"))

    class Broken(Pair):
        def build(self) -> None:
            super().build()
            self.parts.callback(told.append, "it fails")
            raise ZeroDivisionError

    with Pair() as pair:
        pair.parts.callback(told.append, "added")
    assert told == ["one comes", "two comes", "added", "two goes", "one goes"]
    told.clear()
    with pytest.raises(ZeroDivisionError), Broken():
        pass
    assert told[:3] == ["one comes", "two comes", "it fails"]

"""vpnws-ctl: each command against a server with known answers; exit codes, JSON, hostile names."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.fakes.control_server import error, items
from tests.support.ctl_bed import (
    ALICE,
    BOB,
    EVIL,
    MAC,
    NOW_S,
    TAP,
    TRACE,
    Bed,
)
from tests.support.prerequisites import require
from tests.support.sources import ROOT
from vpnws.control.trace_view import EndView
from vpnws.control.views import FindingView, PortView, Traffic
from vpnws.ctl.commands.all import COMMANDS
from vpnws.ctl.exits import MEANINGS, Exit
from vpnws.ctl.program.options import ALL

if TYPE_CHECKING:
    from pathlib import Path

LISTS = (
    *("ports", "fdb", "who", "leases", "networks", "drops"),
    *("bans", "pins", "limits", "doctor"),
)
LOOKS = ("status", "port alice", "trace alice bob", "events", *LISTS)
CHANGES = {
    "kick alice": ("POST ports/1.2/kick", {"reason": ""}),
    "kick 1.2 --reason bye": ("POST ports/1.2/kick", {"reason": "bye"}),
    "kick 10.8.0.7": ("POST ports/1.2/kick", {"reason": ""}),
    "kick 02-00-00-00-00-0A": ("POST ports/1.2/kick", {"reason": ""}),
    "kick user:alice": ("POST ports/1.2/kick", {"reason": ""}),
    "kick bob --network guests": ("POST ports/2.8/kick", {"reason": ""}),
    "block alice --reason loop": ("POST ports/1.2/block", {"reason": "loop"}),
    "unblock 2.7": ("POST ports/2.7/unblock", {}),
    "flush 10.8.0.7": ("POST fdb/flush", {"network": "lan", "mac": MAC}),
    f"flush {MAC} --network lan": ("POST fdb/flush", {"network": "lan", "mac": MAC}),
    "flush alice": ("POST fdb/flush", {"port": "1.2"}),
    "flush --network guests": ("POST fdb/flush", {"network": "guests"}),
    "ban nobody --for 2h": (
        "POST bans",
        {"user": "nobody", "network": "", "for_s": 7200, "reason": ""},
    ),
    "ban 1.2 --network lan --reason x": (
        "POST bans",
        {"user": "alice", "network": "lan", "for_s": 3600, "reason": "x"},
    ),
    "ban addr:203.0.113.9 --for 90": (
        "POST bans",
        {"addr": "203.0.113.9", "network": "", "for_s": 90, "reason": ""},
    ),
    "ban addr:203.0.113.0/24": (
        "POST bans",
        {"addr": "203.0.113.0/24", "network": "", "for_s": 3600, "reason": ""},
    ),
    "ban dn:CN=x,O=y": (
        "POST bans",
        {"dn": "CN=x,O=y", "network": "", "for_s": 3600, "reason": ""},
    ),
    "release 10.8.0.9": ("POST leases/release", {"network": "lan", "ip": "10.8.0.9"}),
    "unban eve": ("DELETE bans/b1", None),
    "unban b1": ("DELETE bans/b1", None),
    f"pin {MAC}": ("POST pins", {"network": "lan", "mac": MAC, "user": "alice", "dn": ""}),
    "pin 10.8.0.7 bob": ("POST pins", {"network": "lan", "mac": MAC, "user": "bob", "dn": ""}),
    "pin 02:00:00:00:00:0f bob --network x": (
        "POST pins",
        {"network": "x", "mac": "02:00:00:00:00:0f", "user": "bob", "dn": ""},
    ),
    f"unpin {MAC}": ("DELETE pins/p1", None),
    "set 1.2 --storm-packets-per-s 50 --egress-bytes 0": (
        "PATCH ports/1.2",
        {"storm_packets_per_s": 50, "egress_bytes": 0},
    ),
    "set alice --stations 5": (
        "POST limits",
        {"user": "alice", "network": "", "limits": {"stations": 5}},
    ),
    "set alice --clear": ("DELETE limits/l1", None),
}


SHELLS = {
    "bash": (
        'eval "$(vpnws-ctl completion bash)"; COMP_WORDS=(vpnws-ctl kick al); COMP_CWORD=2;'
        ' _vpnws_ctl; echo "${COMPREPLY[@]}"'
    ),
    # Its own part of completion needs a terminal, so what it would offer is printed.
    "zsh": (
        "compdef() { :; }; compadd() { print -r -- ${(P)2}; };"
        ' eval "$(vpnws-ctl completion zsh)"; words=(vpnws-ctl kick al); CURRENT=3; _vpnws-ctl'
    ),
    "fish": "vpnws-ctl completion fish | source; complete -C 'vpnws-ctl kick al'",
}
"""What has each shell complete `vpnws-ctl kick al`, and print what it offers."""


def answer(ctl: Bed, path: str, **more: Any) -> None:
    """Have the server answer a list with one of its processes missing, or else."""
    ctl.server.answers[f"GET {path}"] = more["answer"] if "answer" in more else items(**more)


class TestLooks:
    @pytest.mark.parametrize("line", LOOKS)
    def test_it_is_shown_to_people(self, ctl: Bed, line: str) -> None:
        result = ctl(*line.split())
        assert (result.code, result.err) == (Exit.DONE, "")
        assert "\x1b" not in result.out

    @pytest.mark.parametrize("line", LOOKS)
    def test_it_is_one_json_document_with_what_the_api_said(self, ctl: Bed, line: str) -> None:
        result = ctl("--json", *line.split())
        assert (result.code, result.err) == (Exit.DONE, "")
        assert json.loads(result.out)
        assert result.out.count("\n") == 1
        assert ctl(*line.split(), "--json").out == result.out

    def test_a_port_has_what_an_operator_looks_for(self, ctl: Bed) -> None:
        head, alice, *_ = ctl("ports").out.splitlines()
        assert head.split()[:4] == ["PORT", "WHO", "FROM", "NETWORK"]
        assert re.split(r"  +", alice) == [
            *("1.2", "alice", "203.0.113.9", "lan", "1", MAC, "1.23 MB", "99 B", "1,207"),
            *("2 h 10 min", re.split(r"  +", alice)[10], "up"),
        ]
        assert "noisy" in ctl("port", "2.7").out

    def test_a_json_port_is_the_view(self, ctl: Bed) -> None:
        assert msgspec.json.decode(ctl("--json", "port", "1.2").out, type=PortView) == ALICE

    def test_all_pages_are_one_list(self, ctl: Bed) -> None:
        pages = {"": ("p2", ALICE), "p2": ("p3", BOB), "p3": ("", TAP)}

        def page(query: dict[str, str], _: object) -> object:
            after, port = pages[query.get("after", "")]
            return {"items": [port], "next": after, "missing": ["mule"]}

        ctl.server.answers["GET ports"] = page
        result = ctl("--json", "ports")
        told = json.loads(result.out)
        assert [port["id"] for port in told["items"]] == ["1.2", "2.7", "3.1"]
        assert told["missing"] == ["mule"]
        assert result.code == Exit.DEGRADED

    def test_a_list_without_an_end_is_cut_off_and_says_so(self, ctl: Bed) -> None:
        answer(ctl, "fdb", answer={"items": [], "next": "again", "missing": []})
        result = ctl("fdb")
        assert result.code == Exit.DEGRADED
        assert "the list is longer" in result.err

    @pytest.mark.parametrize(
        ("line", "query"),
        [
            ("ports bob", {"user": "bob"}),
            ("drops 1.2 --network lan", {"port": "1.2", "network": "lan"}),
            ("who 10.8.0.7 --search x", {"ip": "10.8.0.7", "q": "x"}),
            ("fdb 0200.0000.000a", {"user": "0200.0000.000a"}),
            ("fdb 02-00-00-00-00-0a", {"mac": MAC}),
            ("ports --trunks", {"trunks": "true"}),
            ("drops --recent", {"recent": "true"}),
            ("events alice --network lan", {"user": "alice", "network": "lan"}),
        ],
    )
    def test_a_list_is_limited_by_the_server(
        self, ctl: Bed, line: str, query: dict[str, str]
    ) -> None:
        ctl(*line.split())
        asked = ctl.server.asked[0][1]
        assert {name: text for name, text in asked.items() if name != "limit"} == query

    def test_events_are_chosen_by_level_name_and_age(self, ctl: Bed) -> None:
        def names(*words: str) -> list[str]:
            told = json.loads(ctl("--json", "events", *words).out)
            return [event["name"] for event in told["items"]]

        assert names() == ["join", "drops"]
        assert names("--level", "warning") == ["drops"]
        assert names("--name", "join") == ["join"]
        assert names("--since", "150s") == ["drops"]

    def test_a_trace_says_which_step_decides_and_what_to_do(self, ctl: Bed) -> None:
        result = ctl("trace", "alice", "10.8.0.9", "--ether", "arp", "--network", "lan")
        assert ctl.server.asked[0][1] == {
            "from": "alice", "to": "10.8.0.9", "ether": "arp", "network": "lan",
        }  # fmt: skip
        assert "A to B: dropped. It is dropped: the port is blocked." in result.out
        assert re.search(r"> +7 Egress +worker 2 +decides", result.out)
        assert result.out.endswith("alice does not reach bob.\ndo: unblock port 2.7\n")

    def test_a_trace_is_of_a_frame_of_any_length(self, ctl: Bed) -> None:
        ctl("trace", "alice", "bob", "--size", "9014")
        assert ctl.server.asked[0][1] == {"from": "alice", "to": "bob", "size": "9014"}

    def test_a_trace_of_nobody_and_of_several(self, ctl: Bed) -> None:
        nobody = EndView(asked="bop", kind="unknown", text="Nobody.", near=("bob",))
        answer(ctl, "trace", answer=msgspec.structs.replace(TRACE, destination=nobody))
        result = ctl("trace", "alice", "bop")
        assert (result.code, "is bob meant?" in result.err) == (Exit.NOT_FOUND, True)
        several = msgspec.structs.replace(TRACE.destination, others=("2.8",))
        answer(ctl, "trace", answer=msgspec.structs.replace(TRACE, destination=several))
        result = ctl("trace", "alice", "bob")
        assert (result.code, result.err.count("2.8")) == (Exit.AMBIGUOUS, 1)

    def test_the_doctor_fails_when_something_is_wrong(self, ctl: Bed) -> None:
        assert "warning: The MTU is small\n  grow" in ctl("doctor").out.replace(".", "")
        bad = FindingView(name="x", severity="error", sentence="It is broken.", remedy="mend it")
        answer(ctl, "doctor", answer=items(bad))
        assert ctl("doctor").code == Exit.FAILED

    def test_top_prints_rates_for_programs(self, ctl: Bed) -> None:
        looks = iter((0, 500))

        def ports(*_: object) -> object:
            traffic = Traffic(rx_bytes=next(looks))
            return items(msgspec.structs.replace(ALICE, traffic=traffic))

        ctl.server.answers["GET ports"] = ports
        status = ctl.server.answers["GET status"]
        times = iter((NOW_S, NOW_S + 5))
        ctl.server.answers["GET status"] = lambda *_: msgspec.structs.replace(
            status, now_s=next(times)
        )
        result = ctl("--json", "top", "--count", "2", "--interval", "1s")
        first, second = map(json.loads, result.out.splitlines())
        assert first["items"][0]["rx_bytes_per_s"] == 0
        assert second["items"][0]["rx_bytes_per_s"] == pytest.approx(100)
        refused = ctl("top")
        assert (refused.code, "needs a terminal" in refused.err) == (Exit.USAGE, True)


class TestChanges:
    @pytest.mark.parametrize(("line", "change"), CHANGES.items())
    def test_the_server_is_asked_for_it(self, ctl: Bed, line: str, change: object) -> None:
        result = ctl(*line.split())
        assert (result.code, result.err) == (Exit.DONE, "")
        assert ctl.server.changes() == [change]
        assert result.out.count("\n") == 1

    @pytest.mark.parametrize(("line", "change"), CHANGES.items())
    def test_for_programs_it_is_a_json_document(self, ctl: Bed, line: str, change: object) -> None:
        result = ctl("--json", *line.split())
        assert ctl.server.changes() == [change]
        assert len(json.loads(result.out)["items"]) == 1

    def test_a_user_with_several_ports_is_kicked_only_with_all(self, ctl: Bed) -> None:
        result = ctl("kick", "bob")
        assert (result.code, result.out) == (Exit.AMBIGUOUS, "")
        assert [line.split()[1] for line in result.err.splitlines()[1:]] == ["2.7", "2.8"]
        assert "--all" in result.err
        assert ctl.server.changes() == []
        assert ctl("kick", "bob", "--all").code == Exit.DONE
        assert [path for path, _ in ctl.server.changes()] == [
            "POST ports/2.7/kick",
            "POST ports/2.8/kick",
        ]

    @pytest.mark.parametrize(
        ("line", "sentence"),
        [
            ("kick alicf", "no port is of user alicf: is alice meant?"),
            ("kick zzz", "no port is of user zzz: `ports` lists them all"),
            ("kick 9.9", "there is no 9.9"),
            ("kick 10.8.0.99", "no station was heard to use the address 10.8.0.99"),
            ("kick 02:00:00:00:00:99", "no port has mac 02:00:00:00:00:99"),
            ("kick alice --network guests", "no port in network guests is of user alice"),
            ("unban zzz", "there is no ban zzz: `bans` lists them"),
            ("flush 10.8.0.99", "ip 10.8.0.99 is nowhere"),
        ],
    )
    def test_what_is_not_there_is_not_changed(self, ctl: Bed, line: str, sentence: str) -> None:
        result = ctl(*line.split())
        assert result.code == Exit.NOT_FOUND
        assert result.err.startswith(f"vpnws-ctl: {sentence}")
        assert ctl.server.changes() == []

    @pytest.mark.parametrize(
        ("line", "sentence"),
        [
            ("flush", "flush what?"),
            ("set 1.2", "set what?"),
            ("set alice --clear --stations 3", "--clear takes all limits"),
            ("pin alice", "user alice is not a MAC"),
            ("kick mac:xyz", "mac:xyz is not a MAC"),
            ("kick ip:xyz", "ip:xyz is not an IP address"),
            ("kick port:7", "port:7 names nothing"),
            ("ban x --for 2y", "is not a duration"),
            ("set 1.2 --stations many", "is not a whole number"),
            ("kick 1.2 --resaon x", "is --reason meant?"),
            ("kik 1.2", "is kick meant?"),
            ("", "which command?"),
            ("--url https://x/y --password-file x status", "exclude each other"),
            ("--user x status", "--user is for --url"),
            ("capture --mac 7", "is not a MAC"),
        ],
    )
    def test_what_is_said_wrongly_is_explained(self, ctl: Bed, line: str, sentence: str) -> None:
        result = ctl(*line.split())
        assert (result.code, result.out) == (Exit.USAGE, "")
        assert sentence in result.err
        assert ctl.server.changes() == []

    def test_a_station_that_may_be_with_a_process_that_is_silent(self, ctl: Bed) -> None:
        answer(ctl, "ports", missing=("worker 2",))
        result = ctl("kick", "bob")
        assert result.code == Exit.DEGRADED
        assert "worker 2 did not answer: it may be there" in result.err

    def test_the_server_learns_who_changes(self, ctl: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setenv("SUDO_USER", "carol")
        ctl("kick", "alice")
        assert {environ["REMOTE_USER"] for environ in ctl.server.environs} == {"carol"}

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            ("400 Bad Request", Exit.FAILED),
            ("403 Forbidden", Exit.REFUSED),
            ("404 Not Found", Exit.NOT_FOUND),
            ("409 Conflict", Exit.REFUSED),
            ("500 Internal Server Error", Exit.FAILED),
            ("503 Service Unavailable", Exit.DEGRADED),
        ],
    )
    def test_an_error_of_the_server_has_its_exit_code(
        self, ctl: Bed, status: str, code: Exit
    ) -> None:
        ctl.server.answers["POST ports/1.2/kick"] = error(status, "it\x1b[2J cannot be.")
        result = ctl("kick", "1.2")
        assert (result.code, result.err) == (code, "vpnws-ctl: it?[2J cannot be\n")

    def test_a_list_that_the_server_does_not_know(self, ctl: Bed) -> None:
        del ctl.server.answers["GET bans"]
        result = ctl("bans")
        assert (result.code, "knows no bans: it is older" in result.err) == (Exit.UNREACHABLE, True)


class TestHostileNames:
    def test_a_table_shows_them_as_text(self, ctl: Bed) -> None:
        for line in ("ports", "port 1.3"):
            out = ctl(*line.split()).out
            assert "[red]$(id)?[2J???;`x`" in out
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out)

    def test_json_has_them_as_they_are_and_prints_them_escaped(self, ctl: Bed) -> None:
        out = ctl("--json", "port", "1.3").out
        assert json.loads(out)["who"]["user"] == EVIL
        assert out.isascii()
        assert out.rstrip("\n").isprintable()

    def test_completion_does_not_offer_them(self, ctl: Bed) -> None:
        words = complete(ctl, "kick", "")
        assert words == ["1.2", "1.3", "2.7", "2.8", "3.1", "alice", "bob"]


def complete(ctl: Bed, *words: str) -> list[str]:
    """Return what is offered behind `words`, the last of which is being written."""
    from vpnws.ctl.program import cli

    ctl.capsys.readouterr()
    assert cli.main(["complete", "--", "--socket", str(ctl.socket), *words]) == 0
    return ctl.capsys.readouterr().out.splitlines()


class TestCompletion:
    def test_commands_and_options(self, ctl: Bed) -> None:
        assert complete(ctl, "un") == ["unban", "unblock", "unpin"]
        assert complete(ctl, "capture", "--dr") == ["--dropped"]
        assert complete(ctl, "events", "--level", "") == ["error", "info", "warning"]
        assert complete(ctl, "completion", "f") == ["fish"]
        assert complete(ctl, "drops", "--network", "") == ["lan"]
        assert complete(ctl, "ban", "--for", "") == []

    def test_without_a_server_there_are_no_names_and_no_noise(self, ctl: Bed) -> None:
        ctl.socket.unlink()
        assert complete(ctl, "kick", "a") == []
        assert complete(ctl, "--url", "https://x/y", "kick", "") == []

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_each_shell_gets_a_script(self, ctl: Bed, shell: str) -> None:
        result = ctl("completion", shell)
        assert result.code == Exit.DONE
        assert "vpnws-ctl complete -- " in result.out

    @pytest.mark.parametrize(("shell", "script"), SHELLS.items())
    def test_a_shell_completes_a_user(
        self, ctl: Bed, tmp_path: Path, shell: str, script: str
    ) -> None:
        require(shell)
        program = tmp_path / "vpnws-ctl"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m vpnws.ctl "$@"\n')
        program.chmod(0o755)
        path = f"{tmp_path}:{os.environ['PATH']}"
        home = {"HOME": str(tmp_path), "PATH": path, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [shell, "-c", script],
            env={**home, "VPNWS_CTL": str(ctl.socket)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("alice\n", "")


def test_every_command_is_run_here() -> None:
    tested = {line.split()[0] for line in (*LOOKS, *CHANGES)} | {
        "top",
        "capture",
        "completion",
        "man",
    }
    assert {command.name for command in ALL} == tested


def test_every_exit_code_has_its_meaning_and_no_two_are_the_same() -> None:
    assert set(MEANINGS) == set(Exit)
    assert [code.value for code in Exit] == list(range(8))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_every_help_can_be_printed(ctl: Bed, command: Any) -> None:
    result = ctl(command.name, "--help")
    assert result.code == 0
    assert command.summary[1:] in " ".join(result.out.split())


def test_without_its_libraries_it_names_them() -> None:
    code = "import sys; sys.modules['rich'] = None; from vpnws.ctl.program.entry import main"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; sys.exit(main())"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == Exit.FAILED
    assert done.stderr == (
        "vpnws-ctl: the package rich is not installed: pip install 'vpnws[ctl]'\n"
    )

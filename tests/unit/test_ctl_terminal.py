"""vpnws-ctl at a terminal, and its captures: widths, keys, Ctrl-C, files."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.fakes.control_server import Reply
from tests.support.ctl_bed import EVENTS
from tests.support.terminal import run_at_terminal
from tests.support.waiting import wait_for
from vpnws.ctl.commands.capture import PCAPNG
from vpnws.ctl.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.ctl_bed import Bed


class TestTerminal:
    def test_a_narrow_terminal_leaves_columns_out_and_says_which(self, ctl: Bed) -> None:
        shown = at_terminal(ctl, "ports", columns=80)
        assert all(len(line) <= 80 for line in shown.splitlines())
        assert "not shown for want of room: FROM, MACS" in shown
        assert "alice" in shown
        assert "FROM" not in shown.splitlines()[0]
        assert "not shown" not in at_terminal(ctl, "ports", columns=200)

    def test_no_color_means_no_color(self, ctl: Bed) -> None:
        assert "\x1b[1m" in at_terminal(ctl, "ports", keep=True)
        assert "\x1b[3" not in at_terminal(ctl, "ports", keep=True, NO_COLOR="1")

    def test_a_capture_does_not_go_to_a_terminal(self, ctl: Bed) -> None:
        assert "a capture is no text" in at_terminal(ctl, "capture")

    def test_top_sorts_by_a_key_and_ends_with_q(self, ctl: Bed) -> None:
        shown = at_terminal(ctl, "top", keys=((b"sorted by total", b"d"), (b"by drops", b"q")))
        assert "sorted by drops" in shown
        assert "5 ports" in shown

    def test_ctrl_c_ends_events_that_are_followed(self, ctl: Bed) -> None:
        later = msgspec.structs.replace(EVENTS[0], text="bob came")
        answers = iter([EVENTS, (), (later,)])
        ctl.server.answers["GET events"] = lambda *_: {"items": next(answers, ()), "next": "c"}
        shown = at_terminal(ctl, "events", "-f", keys=((b"bob came", b"\x03"),))
        assert shown.index("join of alice") < shown.index("bob came")
        assert "Traceback" not in shown


def at_terminal(
    ctl: Bed,
    *words: str,
    columns: int = 120,
    keys: tuple[tuple[bytes, bytes], ...] = (),
    keep: bool = False,
    **environment: str,
) -> str:
    """Return what a run shows at a terminal; `keys` are pressed, each when a text is seen.

    Commands to the terminal are left out unless `keep`. The run must end well or by a refusal.
    """
    plain = {name: text for name, text in os.environ.items() if name != "NO_COLOR"}
    shown = run_at_terminal(
        [sys.executable, "-m", "vpnws.ctl", "--socket", str(ctl.socket), *words],
        keys,
        columns=columns,
        environment={**plain, "TERM": "xterm", **environment},
    )
    assert shown.code in (Exit.DONE, Exit.USAGE)
    return shown.text if keep else re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.text)


class TestCapture:
    def test_it_goes_to_a_pipe_and_says_what_was_lost(self, ctl: Bed, tmp_path: Path) -> None:
        file = tmp_path / "x.pcapng"
        whole = section() + packet() + packet() + statistics(7)
        ctl.server.answers["GET capture"] = Reply([whole[:50], whole[50:]], kind=PCAPNG)
        result = ctl("capture", "-w", str(file), "--port", "alice", "--dropped", "--seconds", "1m")
        assert (result.code, result.err) == (
            Exit.DONE,
            "vpnws-ctl: 2 frames captured, 7 copies lost (the mirror was full)\n",
        )
        assert file.read_bytes() == whole
        assert ctl.server.asked[-1][1] == {"port": "1.2", "dropped": "1", "seconds": "60"}
        told = ctl("--json", "capture", "-w", str(file))
        assert json.loads(told.out) == {"frames": 2, "lost": 7, "reason": ""}

    def test_it_says_why_the_server_ended_it(self, ctl: Bed, tmp_path: Path) -> None:
        whole = section() + statistics(0, b"port 1.2 has\ngone") + statistics(0)
        ctl.server.answers["GET capture"] = Reply(whole, kind=PCAPNG)
        result = ctl("capture", "-w", str(tmp_path / "x.pcapng"))
        assert (result.code, result.err) == (
            Exit.DONE,
            "vpnws-ctl: 0 frames captured, no copy lost; port 1.2 has?gone\n",
        )

    def test_a_stream_that_is_cut_off_ends_with_a_whole_block(
        self, ctl: Bed, tmp_path: Path
    ) -> None:
        file = tmp_path / "x.pcapng"
        whole = section() + packet()
        ctl.server.answers["GET capture"] = Reply([whole, packet()[:20]], kind=PCAPNG)
        assert ctl("capture", "-w", str(file)).code == Exit.DONE
        assert file.read_bytes() == whole

    @pytest.mark.parametrize("has_last_words", [True, False])
    def test_ctrl_c_ends_it_well(self, ctl: Bed, tmp_path: Path, has_last_words: bool) -> None:
        file = tmp_path / "x.pcapng"
        whole, last = section() + packet(2), statistics(7)
        is_over = threading.Event()

        def stream() -> Iterator[bytes]:
            yield whole
            if has_last_words:
                assert ctl.server.environs[-1]["connection"].recv(1) == b""
                yield last
            else:
                is_over.wait(10)

        ctl.server.answers["GET capture"] = lambda *_: Reply(stream(), kind=PCAPNG)
        words_s = 10 if has_last_words else 0.2
        code = f"from vpnws.ctl.commands import capture; capture.LAST_WORDS_S = {words_s};"
        run = "from vpnws.ctl.program.cli import main; import sys; sys.exit(main())"
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", code + run),
                *("--socket", str(ctl.socket), "capture", "-w", file),
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(lambda: file.exists() and file.stat().st_size == len(whole), 10.0, "a frame")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
        is_over.set()
        lost = 7 if has_last_words else 2
        assert (process.returncode, said) == (
            0,
            f"vpnws-ctl: 1 frames captured, {lost} copies lost (the mirror was full)\n",
        )
        assert file.read_bytes() == whole + (last if has_last_words else b"")

    @pytest.mark.parametrize("data", [b"x" * 64, b"\x0a\x0d\x0d\x0a" + bytes(60)])
    def test_what_is_no_pcapng_is_refused(self, ctl: Bed, tmp_path: Path, data: bytes) -> None:
        ctl.server.answers["GET capture"] = Reply(data, kind=PCAPNG)
        result = ctl("capture", "-w", str(tmp_path / "x"))
        assert (result.code, "no pcapng" in result.err) == (Exit.UNREACHABLE, True)

    def test_a_file_that_cannot_be_written(self, ctl: Bed, tmp_path: Path) -> None:
        ctl.server.answers["GET capture"] = Reply(section(), kind=PCAPNG)
        result = ctl("capture", "-w", str(tmp_path / "no" / "x"))
        assert (result.code, "cannot be written" in result.err) == (Exit.USAGE, True)


def block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def section() -> bytes:
    return block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(1, bytes(8))


def packet(lost: int = 0) -> bytes:
    data = b"frame of 22 bytes, and "[:22]
    fields = struct.pack("<IIIII", 0, 0, 0, len(data), len(data))
    return block(6, fields + data + bytes(2) + struct.pack("<HHQ", 4, 8, lost) + bytes(4))


def statistics(lost: int, comment: bytes = b"") -> bytes:
    padded = comment + bytes(-len(comment) % 4)
    said = struct.pack("<HH", 1, len(comment)) + padded if comment else b""
    return block(5, bytes(12) + said + struct.pack("<HHQ", 5, 8, lost) + bytes(4))

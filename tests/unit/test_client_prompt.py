"""vpnws-client asks for a password at a terminal, and leaves the terminal as it was."""

from __future__ import annotations

import sys

from tests.support.terminal import run_at_terminal
from vpnws.client.program.exits import Exit

ASKING = [sys.executable, "-m", "vpnws.client", "--user", "al"]
PROMPT = b"password of al: "


def test_a_password_is_asked_for_and_not_shown() -> None:
    # Options are read in order: what is wrong behind the password is told after it was asked for.
    shown = run_at_terminal([*ASKING, "--mtu", "1", "tap0", "wss://h/"], [(PROMPT, b"s3cret\n")])
    assert "--mtu '1' is not a number" in shown.text
    assert "s3cret" not in shown.text
    assert shown.code == Exit.USAGE
    assert shown.has_echo


def test_ctrl_c_ends_it_quietly() -> None:
    shown = run_at_terminal([*ASKING, "tap0", "wss://h/"], [(PROMPT, b"\x03")])
    assert "Traceback" not in shown.text
    assert shown.code == Exit.STOPPED
    assert shown.has_echo


def test_the_end_of_the_input_is_no_password() -> None:
    shown = run_at_terminal([*ASKING, "tap0", "wss://h/"], [(PROMPT, b"\x04")])
    assert "no password of al was given" in shown.text
    assert shown.code == Exit.USAGE

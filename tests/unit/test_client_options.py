"""The command line: what becomes of options, and the sentence and exit code of each mistake."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vpnws import __version__
from vpnws.client.program import cli
from vpnws.client.program.exits import MEANINGS, Exit, ends_first_attempt, exit_code
from vpnws.client.program.options import read
from vpnws.client.program.parser import make_parser
from vpnws.client.settings import ClientSettings
from vpnws.errors import (
    ConfigError,
    ConnectError,
    NotSwitchError,
    RefusedError,
    TapBusyError,
    TapError,
    TapPermissionError,
    TlsError,
    VpnwsError,
)

URL = "wss://vpn.example.org/vpn"


def settings_of(*arguments: str) -> ClientSettings:
    return read(make_parser().parse_args(arguments))


def test_two_arguments_are_enough() -> None:
    settings = settings_of("tap0", URL)
    assert settings.tap_name == "tap0"
    assert settings.url.shown == URL
    assert settings.login is None
    assert settings.tls.verify
    assert settings.mtu_bytes == 1500
    assert not settings.once
    assert settings.offload


def test_dhcp_is_for_a_device_with_an_address_of_its_own() -> None:
    assert settings_of("--dhcp", "tap0", URL).network.dhcp
    assert not settings_of("tap0", URL).network.dhcp
    assert settings_of("--dhcp", "--dhcp-client", "udhcpc", "tap0", URL).network.dhcp_client == (
        "udhcpc"
    )
    with pytest.raises(ConfigError, match="says who asks with --dhcp: add that"):
        settings_of("--dhcp-client", "dhclient", "tap0", URL)
    with pytest.raises(ConfigError, match="a DHCP client on the bridge br0 itself"):
        settings_of("--dhcp", "--bridge", "br0", "tap0", URL)


@pytest.mark.parametrize(
    ("text", "accept"),
    [
        ("none", ()),
        ("dns", ("dns",)),
        ("mtu, routes,address", ("address", "routes", "mtu")),
        ("address,routes,dns,mtu", ("address", "routes", "dns", "mtu")),
    ],
)
def test_what_is_accepted_of_the_servers_offers(text: str, accept: tuple[str, ...]) -> None:
    assert settings_of("tap0", URL).network.accept == ("address", "mtu")
    assert settings_of("--accept", text, "tap0", URL).network.accept == accept


@pytest.mark.parametrize("text", ["all", "", "none,mtu", "address;mtu"])
def test_what_cannot_be_accepted_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="to accept nothing, say none"):
        settings_of("--accept", text, "tap0", URL)


def test_every_option_arrives() -> None:
    settings = settings_of(
        *("--address", "10.8.0.2/24", "--address", "FD00::2/64", "--mac", "02-00-00-00-00-0A"),
        *("--mtu", "1486", "--once", "--no-offload", "--ca", "ca.pem", "--crt", "me.pem"),
        *("--key", "me.key", "--no-verify", "--header", "X-A: b: c", "--header", "X-E:"),
        *("tap0", URL),
    )
    assert settings.addresses == ("10.8.0.2/24", "fd00::2/64")
    assert settings.mac == bytes.fromhex("02000000000a")
    assert settings.mtu_bytes == 1486
    assert settings.bridge == ""
    assert settings.once
    assert not settings.offload
    assert settings.headers == (("X-A", "b: c"), ("X-E", ""))
    assert not settings.tls.verify
    assert settings.tls.authority == Path("ca.pem")
    assert (settings.tls.certificate, settings.tls.key) == (Path("me.pem"), Path("me.key"))


def test_the_bridge_is_named() -> None:
    assert settings_of("--bridge", "br0", "tap0", URL).bridge == "br0"


def test_the_password_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "pw"
    file.write_text(" pä ss:x \nsecond line\n", encoding="utf-8")
    settings = settings_of("--user", "al", "--password-file", str(file), "tap0", URL)
    assert settings.login == ("al", " pä ss:x ")


def test_a_byte_order_mark_is_not_part_of_the_password(tmp_path: Path) -> None:
    file = tmp_path / "pw"
    file.write_bytes(b"\xef\xbb\xbfsecret\r\n")
    settings = settings_of("--user", "al", "--password-file", str(file), "tap0", URL)
    assert settings.login == ("al", "secret")


@pytest.mark.parametrize(
    ("content", "needle"),
    [
        (b"", "its first line, the password, is empty"),
        (b"\nsecret\n", "its first line, the password, is empty"),
        (b"\xef\xbb\xbf", "its first line, the password, is empty"),
        (b"\xff\xfes\0e\0c\0", "is not UTF-8 text"),
        (b"x" * 5000, "its first line is too long"),
    ],
)
def test_a_file_without_a_password_is_refused(tmp_path: Path, content: bytes, needle: str) -> None:
    file = tmp_path / "pw"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=needle):
        settings_of("--user", "al", "--password-file", str(file), "tap0", URL)


@pytest.mark.parametrize(
    "option",
    [
        ("--ca", "x"),
        ("--no-verify",),
        ("--crt", "x"),
        ("--crt", "x", "--key", "y"),
        ("--sni", "h"),
    ],
)
def test_options_of_tls_are_refused_without_tls(option: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="are for TLS: use wss://"):
        settings_of(*option, "tap0", "ws://h/")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("t\udcff", URL), "TAP"),
        (("tap0", "ws://h/\udcff"), "URL"),
        (("--user", "\udcff", "tap0", URL), "--user"),
        (("--bridge", "\udcff", "tap0", URL), "--bridge"),
        (("--header", "A: \udcff", "tap0", URL), "--header"),
        (("--address", "10.8.0.2/24", "--address", "\udcff", "tap0", URL), "--address"),
    ],
)
def test_what_is_not_utf8_is_named(
    arguments: tuple[str, ...], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == Exit.USAGE
    assert f"vpnws-client: {named} is not UTF-8 text" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["10.8.0.0/31", "10.8.0.1/31", "10.8.0.0/32", "fd00::/64"])
def test_an_address_at_the_edge_may_be_a_hosts(address: str) -> None:
    assert settings_of("--address", address, "tap0", URL).addresses == (address,)


def test_a_user_in_the_url_logs_in() -> None:
    assert settings_of("tap0", "ws://al:p%40w@h/").login == ("al", "p@w")


def test_no_representation_of_the_settings_shows_a_secret() -> None:
    shown = repr(settings_of("--header", "X-Token: t0ken", "tap0", "ws://al:s3cret@h/?q=k3y"))
    assert not any(secret in shown for secret in ("s3cret", "t0ken", "k3y"))


@pytest.mark.parametrize(
    ("options", "needle"),
    [
        (["--mtu", "67"], "68 to 65521"),
        (["--mtu", "65522"], "68 to 65521"),
        (["--mtu", "1e3"], "68 to 65521"),
        (["--mtu", "९९९"], "68 to 65521"),
        (["--mac", "01:00:00:00:00:01"], "first byte must be even"),
        (["--mac", "00:00:00:00:00:00"], "not the MAC of a station"),
        (["--mac", "tap"], "not the MAC of a station"),
        (["--address", "10.8.0.2"], "prefix length"),
        (["--address", "10.8.0.2/33"], "prefix length"),
        (["--address", "fe80::1%tap0/64"], "prefix length"),
        (["--address", "10.8.0.0/24"], "the address of the network 10.8.0.0/24 itself"),
        (["--address", "10.8.0.255/24"], "the broadcast address of 10.8.0.0/24"),
        (["--address", "10.8.0.3/30"], "the broadcast address of 10.8.0.0/30"),
        (["--address", "224.0.0.1/4"], "a multicast address"),
        (["--address", "ff02::1/64"], "a multicast address"),
        (["--address", "127.0.0.2/8"], "a loopback address"),
        (["--address", "::/0"], "the unspecified address"),
        (["--header", "nonsense"], "of the form"),
        (["--header", "a b: c"], "of the form"),
        (["--header", "a: b\r\nc: d"], "of the form"),
        (["--header", "Sec-WebSocket-Key: x"], "handshake"),
        (["--header", "X-VPN-WS-MAC: x"], "see --mac"),
        (["--header", "X-VPN-WS-Bridge: on"], "see --bridge"),
        (["--bridge", "br0", "--address", "10.8.0.2/24"], "ip address add 10.8.0.2/24 dev br0"),
        (["--bridge", "a/b"], "cannot name a bridge"),
        (["--bridge", "bridge-16-bytes-"], "cannot name a bridge"),
        (["--bridge", ""], "cannot name a bridge"),
        (["--key", "k.pem"], "--key needs --crt"),
        (["--user", "al"], "there is no terminal to ask for the password of al at: use --passw"),
        (["--password-file", "x"], "--password-file needs --user"),
        (["--user", "a:b", "--password-file", "/dev/null"], "user's name"),
        (["--user", "al", "--password-file", "/nonexistent/pw"], "cannot be read: No such file"),
        (["--ca", "/nonexistent/ca"], "--ca /nonexistent/ca cannot be read: No such file"),
        (["--ca", "/dev/null"], "--ca /dev/null: no certificates"),
        (["--crt", "/nonexistent/crt"], "--crt /nonexistent/crt cannot be read"),
        (
            ["--crt", "/dev/null", "--key", "/nonexistent/key"],
            "--key /nonexistent/key cannot be read",
        ),
        (["--crt", "/dev/null"], "--crt /dev/null: no certificate in PEM form in it"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_exit_code_2(
    options: list[str], needle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*options, "tap0", URL]) == Exit.USAGE
    printed = capsys.readouterr().err
    assert needle in printed
    assert printed.startswith("vpnws-client: ")
    assert printed.count("\n") == 1


def test_a_user_in_two_places_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names a user already"):
        settings_of("--user", "al", "--password-file", str(tmp_path), "tap0", "ws://a:b@h/")


def test_two_kinds_of_login_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    token = ["--header", "authorization: Bearer t0ken"]
    assert cli.main([*token, "tap0", "ws://al:s3cret@h/"]) == Exit.USAGE
    printed = capsys.readouterr().err
    assert "the user and password and --header Authorization replace each other" in printed
    assert settings_of(*token, "tap0", URL).headers == (("authorization", "Bearer t0ken"),)


def test_swapped_arguments_are_recognised(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ws://al:s3cret@h/", "tap0"]) == Exit.USAGE
    printed = capsys.readouterr().err
    assert "TAP device comes first" in printed
    assert "s3cret" not in printed


def test_what_argparse_prints_shows_no_password(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["tap0", URL, "--nonsense=//al:s3cret@h/"])
    assert caught.value.code == Exit.USAGE
    printed = capsys.readouterr().err
    assert "unrecognized arguments" in printed
    assert "s3cret" not in printed


def test_a_url_alone_lacks_the_device(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["ws://al:s3cret@h/"])
    printed = capsys.readouterr().err
    assert "required: TAP; the name of the device comes first, like tap0" in printed
    assert "s3cret" not in printed


@pytest.mark.parametrize("given", ["stats", "doc", "clear"])
def test_a_misspelt_command_is_asked_about(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    meant = {"stats": "status", "doc": "doctor", "clear": "clean"}[given]
    with pytest.raises(SystemExit):
        cli.main([given])
    assert f"required: URL (is the command {meant} meant?)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["10.8.0.1", URL], "'10.8.0.1' does not begin with ws:// or wss://"),
        (["al:s3cret@h", URL], "URL cannot be used: it does not begin with ws:// or wss://"),
        (["--route", "10.9.0.0/16", "via", "10.8.0.1", URL], "--route '10.9.0.0/16 via 10.8.0.1'"),
    ],
)
def test_a_word_that_is_no_url_is_named(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["tap0", *words]) == Exit.USAGE
    printed = capsys.readouterr().err
    assert says in printed
    assert "s3cret" not in printed


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--adress", "--address"),
        ("--password", "--password-file"),
        ("--mut=9000", "--mtu"),
        ("-user", "--user"),
        ("-adress=x", "--address"),
    ],
)
def test_a_misspelt_option_is_asked_about(
    given: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main([given, "tap0", URL])
    assert f"(is {meant} meant?)" in capsys.readouterr().err


def test_an_option_that_is_like_none_is_not_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    for given in ("--xyzzy", "-v"):
        with pytest.raises(SystemExit):
            cli.main([given, "tap0", URL])
        assert "meant" not in capsys.readouterr().err


def test_a_bad_device_name_is_a_wrong_option(capsys: pytest.CaptureFixture[str]) -> None:
    # With the code of a device that is in the way, systemd would start it again and again.
    assert cli.main(["a-name-that-is-too-long", "ws://h/"]) == Exit.USAGE
    assert "cannot name a device" in capsys.readouterr().err


def test_the_help_names_every_exit_code_and_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    printed = capsys.readouterr().out
    assert "vpnws-client [options] TAP URL [URL ...]" in printed
    assert "vpnws-client --address 10.8.0.2/24 tap0 wss://" in printed
    for code in Exit:
        assert f"  {code.value}  {MEANINGS[code]}" in printed


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"vpnws-client {__version__}\n"


SIGNALLED_WHILE_LOADING = """
import os, sys
from vpnws.client.program import entry

class Signal:
    def find_spec(self, name, *_):
        if name == "vpnws.client.program.options":
            os.kill(os.getpid(), int(sys.argv[1]))

sys.meta_path.insert(0, Signal())
sys.exit(entry.main())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_program_is_loaded_ends_it_quietly(number: signal.Signals) -> None:
    program = [sys.executable, "-c", SIGNALLED_WHILE_LOADING, str(number.value)]
    done = subprocess.run(program, check=False, capture_output=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (Exit.STOPPED, b"", b"")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (TapPermissionError("x"), 3),
        (TapBusyError("x"), 4),
        (TapError("x"), 5),
        (RefusedError(401, "x"), 6),
        (RefusedError(403, "x"), 6),
        (TlsError("x"), 7),
        (ConnectError("x"), 8),
        (RefusedError(503, "x"), 8),
        (RefusedError(404, "x"), 9),
        (NotSwitchError("x"), 9),
        (VpnwsError("x"), 1),
    ],
)
def test_each_error_has_its_exit_code(error: VpnwsError, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (RefusedError(401, "x"), True),
        (RefusedError(403, "x"), True),
        *((RefusedError(status, "x"), True) for status in (200, 302, 400, 404, 405, 410, 426)),
        *((RefusedError(status, "x"), True) for status in (495, 496, 501, 505)),
        *((RefusedError(status, "x"), False) for status in (408, 425, 429)),
        *((RefusedError(status, "x"), False) for status in (500, 502, 503, 504, 511)),
        (TlsError("x"), True),
        (NotSwitchError("x"), True),
        (ConnectError("x"), False),
    ],
)
def test_only_what_somebody_must_mend_ends_the_first_attempt(
    error: ConnectError, ends: bool
) -> None:
    assert ends_first_attempt(error) is ends

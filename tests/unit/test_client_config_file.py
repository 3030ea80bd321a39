"""The configuration file: what it may say, what overrides it, and the sentence of each mistake."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from vpnws.client.program import cli, config_file
from vpnws.client.program.config_file import CONFIG_DIRECTORY, MAX_FILE_BYTES, parse, path_of
from vpnws.client.program.exits import Exit
from vpnws.client.program.options import read
from vpnws.client.program.parser import make_parser
from vpnws.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from vpnws.client.settings import ClientSettings

URL = "wss://vpn.example.org/vpn"
WHOLE = f"""
# Everything that a command line can say.
tap = "tap7"
url = "{URL}"
address = ["10.8.0.2/24", "fd00::2/64"]
mtu = 1400
header = "X-A: b"
ca = "ca.pem"
no-offload = true
once = false
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "office.toml"
    made.write_text(WHOLE)
    made.chmod(0o600)
    return made


def settings_of(*words: str) -> ClientSettings:
    options, _ = parse(make_parser, words)
    return read(options)


def refusal(file: Path, text: str, *words: str) -> str:
    """Return the sentence for a file with this text, behind the file's name."""
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        settings_of("--config", str(file), *words)
    sentence = str(caught.value)
    assert str(file) in sentence
    return sentence.removeprefix(str(file)).removeprefix(": ")


def test_a_file_says_all_that_a_command_line_can(file: Path) -> None:
    settings = settings_of("--config", str(file))
    assert settings == settings_of(
        *("--address", "10.8.0.2/24", "--address", "fd00::2/64", "--mtu", "1400", "--no-offload"),
        *("--header", "X-A: b", "--ca", "ca.pem", "tap7", URL),
    )


def test_the_command_line_overrides_the_file(file: Path) -> None:
    settings = settings_of(
        "--config", str(file), "--mtu", "1300", "--address", "10.9.0.1/24", "--once", "tap8"
    )
    assert settings.mtu_bytes == 1300
    assert settings.addresses == ("10.9.0.1/24",)
    assert settings.once
    assert (settings.tap_name, settings.url.shown) == ("tap8", URL)


def test_a_lone_word_that_is_a_url_overrides_the_url(file: Path) -> None:
    settings = settings_of("wss://elsewhere.example.org/", "--config", str(file))
    assert (settings.tap_name, settings.url.host) == ("tap7", "elsewhere.example.org")


def test_several_urls_are_a_list_and_words_that_are_urls_replace_it(file: Path) -> None:
    file.write_text('tap = "tap7"\nurl = ["wss://one/", "wss://two/"]\nproxy = "http://p:1"\n')
    settings = settings_of("--config", str(file))
    assert [each.url.host for each in settings.for_each_server] == ["one", "two"]
    assert settings.url.proxy is not None
    settings = settings_of("--config", str(file), "wss://three/", "wss://four/")
    assert [each.url.host for each in settings.for_each_server] == ["three", "four"]
    assert settings.tap_name == "tap7"


def test_options_may_stand_between_device_and_url() -> None:
    settings = settings_of("tap0", "--once", URL, "--mtu", "1400")
    assert (settings.tap_name, settings.url.shown, settings.mtu_bytes) == ("tap0", URL, 1400)


def test_a_name_means_a_file_of_the_system(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert path_of("office") == CONFIG_DIRECTORY / "office.toml"
    assert path_of("office.toml") != CONFIG_DIRECTORY / "office.toml"
    monkeypatch.setattr(config_file, "CONFIG_DIRECTORY", file.parent)
    assert settings_of("--config", "office").tap_name == "tap7"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("adress = '10.8.0.2/24'", "there is no option 'adress' (is address meant?)"),
        ("password_file = 'x'", "there is no option 'password_file' (is password-file meant?)"),
        ("'--mtu' = 1400", "there is no option '--mtu' (is mtu meant?)"),
        ("zzz = 1", "there is no option 'zzz'; the keys are the options' names without --"),
        ("[client]", "there is no option 'client'; the options stand alone, in no table"),
        ("config = 'other.toml'", "there is no option 'config'; "),
        ("once = 'yes'", "once is true or false, not a text"),
        ("mtu = true", "mtu is a text or a number, not true or false"),
        ("mtu = [1400]", "mtu is a text or a number, not a list"),
        ("address = [['10.8.0.2/24']]", "address is a text or a list of texts, not a list"),
        ("[address]\nx = 1", "address is a text or a list of texts, not a table"),
        ("mtu = 1400\nmtu = 1300", "is not TOML, such as mtu = 1400: Cannot overwrite a value"),
        ("tap0", "is not TOML, such as mtu = 1400: "),
        ("x = 1\n" * MAX_FILE_BYTES, f"is longer than {MAX_FILE_BYTES} bytes"),
    ],
)
def test_what_is_wrong_is_said_with_the_file_and_the_key(
    file: Path, text: str, sentence: str
) -> None:
    assert refusal(file, text, "tap0", URL).lstrip().startswith(sentence)


def test_a_value_that_the_option_refuses_is_said_with_the_file(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("mtu = 9\naddress = '10.8.0.2'\n")
    assert cli.main(["--config", str(file), "tap0", URL]) == Exit.USAGE
    assert f"vpnws-client: {file}: --address '10.8.0.2' is not" in capsys.readouterr().err
    assert cli.main(["--config", str(file), "--address", "10.8.0.2/33", "tap0", URL]) == Exit.USAGE
    assert "vpnws-client: --address '10.8.0.2/33' is not" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_said(file: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the file of --config: No such file"):
        settings_of("--config", f"{file}.no")
    with pytest.raises(ConfigError, match="cannot read the file of --config: Is a directory"):
        settings_of("--config", f"{file.parent}/")


def test_without_a_device_and_a_url_there_is_nothing_to_do(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("mtu = 1400\n")
    for words, lacking in (((), "TAP, URL"), (("tap0",), "URL"), ((URL,), "TAP")):
        with pytest.raises(SystemExit):
            settings_of("--config", str(file), *words)
        assert f"arguments are required: {lacking}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "secret",
    [
        'url = "wss://al:secret@vpn.example.org/vpn"',
        'header = "Authorization: Bearer T0K"',
        'header = ["X-A: b", "X-Api-Key: 1"]',
    ],
)
def test_a_file_with_a_secret_that_others_may_read_is_refused(file: Path, secret: str) -> None:
    file.chmod(0o604)
    assert refusal(file, secret, "tap0").startswith(
        f" has a password in it and may be read by everybody: chmod o-r {file}"
    )
    file.chmod(0o640)
    settings_of("--config", str(file), "tap0", *([] if "url" in secret else [URL]))


def test_a_file_that_others_may_write_is_refused(file: Path) -> None:
    file.chmod(0o602)
    assert "may be written by everybody: chmod o-w" in refusal(file, "mtu = 1400")


def test_a_pipe_is_read_too(file: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b'url = "wss://al:secret@vpn.example.org/vpn"\n')
    os.close(writer)
    assert settings_of("--config", f"/dev/fd/{reader}", "tap0").login == ("al", "secret")
    os.close(reader)

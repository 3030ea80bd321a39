"""The options of the station's place in the network: what becomes of them, and each mistake."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from vpnws.client.program.options import read
from vpnws.client.program.parser import make_parser
from vpnws.client.settings import NetworkSettings
from vpnws.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

URL = "wss://vpn.example.org/vpn"


def network_of(*arguments: str) -> NetworkSettings:
    return read(make_parser().parse_args([*arguments, "tap0", URL])).network


def test_every_option_arrives() -> None:
    network = network_of(
        *("--route", "10.9.1.0/16", "--route", "fd09::/32 via fd08::1", "--default-route"),
        *("--gateway", "10.8.0.1", "--gateway", "FD08::1", "--dns", "10.8.0.1", "--broadcast"),
        *("--exec", "sh -c 'echo \"$VPNWS_TAP\"' up", "--exec-down", "true"),
    )
    assert network == NetworkSettings(
        routes=(("10.9.0.0/16", ""), ("fd09::/32", "fd08::1")),
        default_route=True,
        gateways=("10.8.0.1", "fd08::1"),
        dns=("10.8.0.1",),
        broadcast=True,
        up=(str(shutil.which("sh")), "-c", 'echo "$VPNWS_TAP"', "up"),
        down=(str(shutil.which("true")),),
    )
    assert network_of() == NetworkSettings()


def test_a_command_is_found_also_from_where_the_janitor_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "up.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    assert network_of("--exec", "./up.sh a 'b c'").up == (str(script), "a", "b c")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--route", "10.9.0.0/99"), "--route '10.9.0.0/99' is not a network"),
        (("--route", "10.9.0.0/16 via x"), "is not a network, like 10.9.0.0/16"),
        (("--route", "10.9.0.0/16 via fd08::1"), "mixes IPv4 and IPv6"),
        (("--route", "0.0.0.0/0"), "would lead to the server through the VPN itself"),
        (("--gateway", "10.8.0.1"), "--gateway is for --default-route"),
        (
            ("--default-route", "--gateway", "10.8.0.1", "--gateway", "10.8.0.2"),
            "once for IPv4, and once for IPv6",
        ),
        (("--default-route", "--gateway", "vpn"), "--gateway 'vpn' is not an IP address"),
        (("--dns", "224.0.0.1"), "--dns 224.0.0.1 cannot be a machine's address in the VPN"),
        (4 * ("--dns", "10.8.0.1"), "more than 3 name servers are never asked"),
        (("--exec", "no-such-program x"), "'no-such-program' is no program that can be run"),
        (("--exec", "a | b"), "no shell reads the command"),
        (("--exec-down", "'a"), "cannot be split into words"),
    ],
    ids=str,
)
def test_a_mistake_is_one_sentence(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        network_of(*words)
    assert sentence in str(caught.value)

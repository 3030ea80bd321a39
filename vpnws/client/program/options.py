"""Turns the options of the command line into settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from vpnws.client.program.login import with_login
from vpnws.client.program.options_device import check_device, read_bridge, read_mac, read_mtu
from vpnws.client.program.options_login import read_headers
from vpnws.client.program.options_network import read as read_network
from vpnws.client.program.options_network import read_address
from vpnws.client.program.options_reach import read_tls, read_urls
from vpnws.client.settings import ClientSettings
from vpnws.errors import ConfigError

if TYPE_CHECKING:
    import argparse


def read(options: argparse.Namespace) -> ClientSettings:
    """Turn parsed options into settings. Raises ConfigError naming the first that is wrong."""
    _check_text(options)
    if "://" in options.tap:
        raise ConfigError("the name of the TAP device comes first, then the URL")
    check_device(options)
    if options.bridge is not None and options.address:
        raise ConfigError(
            "--address and --bridge exclude each other: a port of a bridge has no address; give the"
            f" bridge the address (ip address add {options.address[0]} dev {options.bridge})"
        )
    if options.bridge is not None and options.dhcp:
        raise ConfigError(
            "--dhcp and --bridge exclude each other: a port of a bridge has no address; run a DHCP"
            f" client on the bridge {options.bridge} itself"
        )
    named = read_urls(options, os.environ)
    tls = read_tls(options, named)
    urls = with_login(named, options.user, options.password_file)
    return ClientSettings(
        tap_name=options.tap,
        url=urls[0],
        others=urls[1:],
        login=urls[0].login,
        headers=read_headers(options, urls),
        bridge=read_bridge(options.bridge),
        tls=tls,
        addresses=tuple(read_address(text) for text in options.address),
        network=read_network(options),
        mac=read_mac(options.mac),
        mtu_bytes=read_mtu(options.mtu),
        persist=options.persist,
        offload=not options.no_offload,
        once=options.once,
        run_as=options.run_as,
    )


def _check_text(options: argparse.Namespace) -> None:
    """Refuse what is not UTF-8; Python has put a lone surrogate for each byte of it."""
    for name, value in vars(options).items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and not _is_utf8(text):
                option = name.upper() if name in ("tap", "url") else f"--{name.replace('_', '-')}"
                raise ConfigError(f"{option} is not UTF-8 text: use a terminal with UTF-8")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Reads the values of settings that are more than a number or a choice."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final
from urllib.parse import urlsplit

from vpnws.errors import ConfigError

DEFAULT_NETWORK: Final = "default"
"""The network of a station whose web server names none."""
MAX_NETWORK_NAME_BYTES: Final = 32
"""A station whose web server gives it a longer network name is refused with 500."""
MAX_PINNED_MACS: Final = 64
"""With more `vpnws-pinned-macs` the server does not start."""


def parse_taps(text: str) -> tuple[tuple[str, str], ...]:
    """Read `vpn0`, or `blue:vpn-blue red:vpn-red`, as (network, device) pairs.

    Raises ConfigError with what is allowed.
    """
    if "," in text:
        raise ConfigError(f"vpnws-tap = {text!r} has a comma: separate several by spaces")
    if "=" in text:
        raise ConfigError(
            f"vpnws-tap = {text!r} has a second =: write a pair with a colon, blue:vpn0"
        )
    pairs = tuple(
        (network, device) if colon else (DEFAULT_NETWORK, network)
        for network, colon, device in (word.partition(":") for word in text.split())
    )
    for network, device in pairs:
        if not is_network_name(network) or not device or len(device.encode()) > 15:
            raise ConfigError(
                f"vpnws-tap = {text!r} is not a device, or pairs like blue:vpn-blue red:vpn-red"
                " (a device's name has at most 15 bytes)"
            )
    if len({network for network, _ in pairs}) < len(pairs):
        raise ConfigError(f"vpnws-tap = {text!r} names a network twice: one TAP each")
    if len({device for _, device in pairs}) < len(pairs):
        raise ConfigError(f"vpnws-tap = {text!r} names a device twice")
    return pairs


def parse_addresses(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Read `127.0.0.1 10.0.0.0/8 ::1` as networks. Raises ConfigError with what is allowed."""
    try:
        return tuple(ip_network(word) for word in text.replace(",", " ").split())
    except ValueError as error:
        raise ConfigError(
            f"vpnws-trusted-proxies = {text!r} is not a list of addresses and networks: {error}"
        ) from error


def parse_macs(text: str) -> tuple[tuple[str, bytes], ...]:
    """Read `02:00:00:00:00:01 blue:02:00:00:00:00:02` as (network, MAC) pairs.

    Raises ConfigError with what is allowed.
    """
    pairs = []
    for word in text.replace(",", " ").split():
        found = re.fullmatch(r"(?:(.+):)?((?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2})", word)
        network = DEFAULT_NETWORK if found is None else found[1] or DEFAULT_NETWORK
        mac = b"" if found is None else bytes.fromhex(found[2].replace(":", ""))
        if not mac or mac[0] & 1 or not any(mac) or not is_network_name(network):
            raise ConfigError(
                f"vpnws-pinned-macs = {text!r} is not a list of stations' MACs, like"
                " 02:00:00:00:00:01 or, in another network, blue:02:00:00:00:00:01"
            )
        pairs.append((network, mac))
    if len(pairs) > MAX_PINNED_MACS:
        raise ConfigError(
            f"vpnws-pinned-macs has {len(pairs)} MACs, and at most {MAX_PINNED_MACS} are allowed"
        )
    return tuple(pairs)


def parse_listen(text: str) -> str:
    """Check `127.0.0.1:8080`, `[::1]:8080`, `:8080` or nothing. Raises ConfigError."""
    found = re.fullmatch(r"(?:[0-9.]*|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})", text)
    if text and (found is None or not 0 < int(found[1]) < 65536):
        raise ConfigError(
            f"vpnws-http = {text!r} is not address:port, like 127.0.0.1:8080 or [::1]:8080; names"
            " such as localhost are not looked up"
        )
    return text


def is_network_name(text: str) -> bool:
    """Return whether `text` can name a network: 1 to 32 of letters, digits, dots, `-` and `_`."""
    plain = text.replace("-", "").replace("_", "").replace(".", "")
    return len(text) <= MAX_NETWORK_NAME_BYTES and plain.isascii() and plain.isalnum()


def parse_path(text: str) -> str:
    """Check that `text` is empty or an absolute path. Raises ValueError."""
    if text and not text.startswith("/"):
        raise ValueError("a path that begins with /")
    return text


def parse_words(text: str) -> tuple[str, ...]:
    """Read words with spaces or commas between them."""
    return tuple(text.replace(",", " ").split())


def parse_webhook(text: str) -> str:
    """Check that `text` is empty or a URL that can be posted to. Raises ValueError."""
    try:
        url = urlsplit(text)
        is_good = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        is_good = False
    if text and (not is_good or url.username is not None or not text.isprintable() or " " in text):
        raise ValueError("a URL like https://host/path, without a name and password in it")
    return text

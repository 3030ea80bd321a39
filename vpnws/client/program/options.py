"""The command line of the client: its options, its help, and how they become settings."""

from __future__ import annotations

import argparse
import ipaddress
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Final, NoReturn

from vpnws import __version__
from vpnws.client.connect.url import hide_userinfo, parse_url
from vpnws.client.program.exits import MEANINGS
from vpnws.client.program.login import read_login
from vpnws.client.settings import DEFAULT_MTU_BYTES, ClientSettings
from vpnws.errors import ConfigError
from vpnws.https.tls import TlsSettings
from vpnws.tap.linux import is_device_name
from vpnws.wire.ethernet import is_station_address, parse_mac

PROGRAM: Final = "vpnws-client"
MIN_MTU_BYTES: Final = 68
"""The smallest MTU of IPv4 (RFC 791); a lower `--mtu` is refused."""
MAX_MTU_BYTES: Final = 65521
"""Together with an Ethernet header, the 65,535 bytes that Linux allows a TAP; a higher `--mtu` is
refused."""

_DESCRIPTION: Final = """\
Join this machine to a vpnws switch: create the network device TAP, connect to the server at
URL over a WebSocket, and carry Ethernet frames between the two until stopped. The device goes
away with the program. A lost connection is made again, within about 5 seconds once the server
is back. Needs root or CAP_NET_ADMIN."""

_EXAMPLES: Final = """\
examples:
  vpnws-client --address 10.8.0.2/24 tap0 wss://alice:secret@vpn.example.org/vpn
      join as 10.8.0.2; write special characters of the password as %XX
  vpnws-client --user alice --password-file /etc/vpnws.pw tap0 wss://vpn.example.org/vpn
      the same user; other users of this machine cannot see the password in the process list
  vpnws-client --ca my-ca.pem --crt me.pem --key me.key vpn%d wss://[2001:db8::1]:8443/vpn
      a private authority and a client certificate; the kernel numbers the device
  vpnws-client --mac 02:00:00:00:00:0a --header 'Authorization: Bearer T0K' tap0 wss://...
      a fixed MAC, and a token instead of a user
  vpnws-client --bridge br0 tap0 wss://vpn.example.org/branch
      join the whole LAN on the bridge br0; addresses belong on br0, not on tap0

exit codes:
{exit_codes}
  A refusal or a TLS failure ends the program at its first connection only; once it has been
  connected, it keeps trying.

signals:
  SIGINT and SIGTERM close the connection, remove the device and end the program.
"""

_TOKEN: Final = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_FIELD_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")
_OWN_HEADERS: Final = re.compile(
    r"upgrade|connection|sec-websocket-.*|x-vpn-ws-(mac|bridge)", re.IGNORECASE
)


class _Parser(argparse.ArgumentParser):
    """An argument parser that shows no password when it repeats a wrong argument."""

    def error(self, message: str) -> NoReturn:
        """Print how to use the program and what was wrong; exit with code 2."""
        super().error(hide_userinfo(message) + self._meant(message))

    def _meant(self, message: str) -> str:
        """Return a question that names the options that were meant; empty if there are none."""
        known = [name for name in self._option_string_actions if name.startswith("--")]
        words = [word.partition("=")[0] for word in message.split() if word.startswith("-")]
        near = [name for word in words if word not in known for name in _near(word, known)]
        return f" (is {' or '.join(near)} meant?)" if near else ""


def _near(word: str, known: list[str]) -> list[str]:
    """Return the option that continues `word`, else the one that is spelt nearly like it."""
    # -user is meant as --user, and -v as nothing that we have.
    meant = f"--{word.lstrip('-')}" if len(word) > 2 else word
    longer = [name for name in known if name.startswith(meant)]
    return longer[:1] or get_close_matches(meant, known, n=1)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; `read` turns what it returns into settings."""
    codes = "\n".join(f"  {code.value}  {meaning}" for code, meaning in MEANINGS.items())
    parser = _Parser(
        prog=PROGRAM,
        usage="%(prog)s [options] TAP URL",
        description=_DESCRIPTION,
        epilog=_EXAMPLES.format(exit_codes=codes),
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=94),
        allow_abbrev=False,
    )
    parser.add_argument("tap", metavar="TAP", help="name of the device, such as tap0 or vpn%%d")
    parser.add_argument(
        "url", metavar="URL", help="ws://[user:password@]host[:port]/path, or wss:// for TLS"
    )
    _add_interface_options(parser.add_argument_group("the device"))
    _add_login_options(parser.add_argument_group("who you are"))
    _add_tls_options(parser.add_argument_group("TLS (wss)"))
    group = parser.add_argument_group("running")
    group.add_argument(
        "--no-offload",
        action="store_true",
        help="send and receive each frame as one message, even if the server supports offload",
    )
    group.add_argument("--once", action="store_true", help="end instead of connecting again")
    group.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    group.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser


def _add_interface_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--address",
        metavar="CIDR",
        action="append",
        default=[],
        help="give it this IPv4 or IPv6 address, such as 10.8.0.2/24; may be repeated",
    )
    group.add_argument(
        "--mac",
        metavar="MAC",
        help="its MAC (default: one that it keeps for this machine, device, server and user)",
    )
    group.add_argument(
        "--mtu",
        metavar="BYTES",
        default=str(DEFAULT_MTU_BYTES),
        help="its MTU (default: %(default)s; 1486 if C vpn-ws clients are in the network)",
    )
    group.add_argument(
        "--bridge",
        metavar="BR",
        help="put it into the bridge BR of this machine, and ask the server to accept the machines"
        " behind BR too: only VPNWS_BRIDGE=on in the web server allows it",
    )


def _add_login_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--user", metavar="NAME", help="log in as this user; needs --password-file")
    group.add_argument(
        "--password-file", metavar="FILE", type=Path, help="file whose first line is the password"
    )
    group.add_argument(
        "--header",
        metavar="'NAME: VALUE'",
        action="append",
        default=[],
        help="send this HTTP header too; may be repeated",
    )


def _add_tls_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--ca",
        metavar="FILE",
        type=Path,
        help="trust only the authorities in this PEM file (default: the system's)",
    )
    group.add_argument(
        "--no-verify",
        action="store_true",
        help="accept any certificate: anybody in between can then read and change everything",
    )
    group.add_argument("--crt", metavar="FILE", type=Path, help="own certificate, PEM")
    group.add_argument(
        "--key", metavar="FILE", type=Path, help="its key, PEM (default: in the --crt file)"
    )


def read(options: argparse.Namespace) -> ClientSettings:
    """Turn parsed options into settings. Raises ConfigError naming the first that is wrong."""
    _check_text(options)
    if "://" in options.tap:
        raise ConfigError("the name of the TAP device comes first, then the URL")
    if options.key is not None and options.crt is None:
        raise ConfigError("--key needs --crt, the certificate that the key belongs to")
    if options.bridge is not None and options.address:
        raise ConfigError(
            "--address and --bridge exclude each other: a port of a bridge has no address; give the"
            f" bridge the address (ip address add {options.address[0]} dev {options.bridge})"
        )
    url = parse_url(options.url)
    tls = TlsSettings(not options.no_verify, options.ca, options.crt, options.key)
    if not url.secure and tls != TlsSettings():
        raise ConfigError("--ca, --crt, --key and --no-verify are for TLS: use wss:// in the URL")
    login = read_login(options.user, options.password_file, url)
    headers = tuple(_read_header(text) for text in options.header)
    if login is not None and any(name.lower() == "authorization" for name, _ in headers):
        raise ConfigError("--header Authorization replaces the user and password: leave one out")
    return ClientSettings(
        tap_name=options.tap,
        url=url,
        login=login,
        headers=headers,
        bridge=_read_bridge(options.bridge),
        tls=tls,
        addresses=tuple(_read_address(text) for text in options.address),
        mac=_read_mac(options.mac),
        mtu_bytes=_read_mtu(options.mtu),
        offload=not options.no_offload,
        once=options.once,
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


def _read_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    value = value.strip()
    if not colon or not _TOKEN.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
        # The value may be a secret, so only the name is shown.
        raise ConfigError(f"--header {name!r} is not of the form 'Name: value', in plain ASCII")
    if _OWN_HEADERS.fullmatch(name):
        option = name.lower().removeprefix("x-vpn-ws-")
        hint = f": see --{option}" if option in ("mac", "bridge") else ", so it cannot be replaced"
        raise ConfigError(f"--header {name} belongs to the WebSocket handshake{hint}")
    return name, value


def _read_address(text: str) -> str:
    sentence = f"--address {text!r} is not an address with a prefix length, like 10.8.0.2/24"
    if "/" not in text or "%" in text:
        raise ConfigError(sentence)
    try:
        address = ipaddress.ip_interface(text)
    except ValueError as error:
        raise ConfigError(sentence) from error
    what = _not_a_hosts(address)
    if what:
        raise ConfigError(f"--address {text} cannot be a station's: it is {what}")
    return address.with_prefixlen


def _not_a_hosts(address: ipaddress.IPv4Interface | ipaddress.IPv6Interface) -> str:
    """Return what `address` is if no host can have it, empty if a host can.

    The first address of an IPv6 network is one that its routers share (RFC 4291 2.6.1), and Linux
    takes it for a host's: it is not refused.
    """
    network = address.network
    if address.ip.is_multicast:
        return "a multicast address"
    if address.ip.is_unspecified or address.ip.is_loopback:
        return "the unspecified address" if address.ip.is_unspecified else "a loopback address"
    if address.version == 6 or network.num_addresses < 4:
        return ""
    if address.ip == network.network_address:
        return f"the address of the network {network} itself"
    return f"the broadcast address of {network}" if address.ip == network[-1] else ""


def _read_bridge(text: str | None) -> str:
    if text is None:
        return ""
    if not is_device_name(text):
        raise ConfigError(f"--bridge {text!r} cannot name a bridge of this machine, like br0")
    return text


def _read_mac(text: str | None) -> bytes | None:
    if text is None:
        return None
    mac = parse_mac(text)
    if mac is None or not is_station_address(mac):
        raise ConfigError(
            f"--mac {text!r} is not the MAC of a station, like 02:00:00:00:00:0a"
            " (the first byte must be even)"
        )
    return mac


def _read_mtu(text: str) -> int:
    mtu_bytes = int(text) if re.fullmatch("[0-9]{1,5}", text) else 0
    if not MIN_MTU_BYTES <= mtu_bytes <= MAX_MTU_BYTES:
        raise ConfigError(f"--mtu {text!r} is not a number from {MIN_MTU_BYTES} to {MAX_MTU_BYTES}")
    return mtu_bytes

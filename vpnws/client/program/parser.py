"""The parser of the command line, and the help that it prints."""

from __future__ import annotations

from typing import Final, NoReturn

from vpnws import __version__
from vpnws.client.connect.url import hide_userinfo
from vpnws.client.program import (
    options_device,
    options_login,
    options_network,
    options_reach,
    options_running,
)
from vpnws.client.program.commands import COMMANDS, PROGRAM
from vpnws.client.program.exits import MEANINGS
from vpnws.commandline.parser import Parser

SUBJECTS: Final = (
    options_device,
    options_network,
    options_login,
    options_reach,
    options_running,
)
"""The modules that add options to the help and read them, in the order of the help."""

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
  vpnws-client --mac 02:00:00:00:00:0a --token-file /etc/vpnws.token tap0 wss://...
      a fixed MAC, and a token instead of a user
  vpnws-client --proxy http://alice@proxy:3128 tap0 wss://a.example.org/vpn wss://b.example.org/vpn
      through a proxy, whose password is asked for; b is tried when a cannot be joined
  vpnws-client --bridge br0 tap0 wss://vpn.example.org/branch
      join the whole LAN on the bridge br0; addresses belong on br0, not on tap0

  vpnws-client --config office
      take device, URL and options from /etc/vpnws/office.toml

commands:
{commands}
  Each has a --help. A device that has the name of a command comes after --.

exit codes:
{exit_codes}
  A refusal or a TLS failure ends the program at its first connection only; once it has been
  connected, it keeps trying.

signals:
  SIGINT and SIGTERM close the connection, remove the device and end the program.
"""


class ClientParser(Parser):
    """A parser that shows no password when it repeats a wrong argument."""

    def error(self, message: str) -> NoReturn:
        """Print how to use the program and what was wrong; exit with code 2."""
        super().error(hide_userinfo(message))


def make_parser() -> Parser:
    """Return the parser; `read` turns what it returns into settings."""
    codes = "\n".join(f"  {code.value}  {meaning}" for code, meaning in MEANINGS.items())
    commands = "\n".join(f"  {each.name:<10}  {each.summary}" for each in COMMANDS)
    parser = ClientParser(
        prog=PROGRAM,
        usage="%(prog)s [options] TAP URL [URL ...]\n       %(prog)s COMMAND ...",
        description=_DESCRIPTION,
        epilog=_EXAMPLES.format(commands=commands, exit_codes=codes),
    )
    # A file of --config may give both; `config_file.parse` sees to it that they are there.
    parser.add_argument(
        "tap",
        metavar="TAP",
        nargs="?",
        help="name of the device, such as tap0 or vpn%%d; or fd:N, a TAP that the parent process"
        " has opened; /dev/tapN on FreeBSD and macOS; qemu:PATH, where a virtual machine connects",
    )
    parser.add_argument(
        "url",
        metavar="URL",
        nargs="*",
        help="ws://[user:password@]host[:port]/path, or wss:// for TLS; of several ones, the first"
        " that can be joined",
    )
    for subject in SUBJECTS:
        subject.add(parser.add_argument_group(subject.TITLE))
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    return parser

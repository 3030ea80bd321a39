"""Options of how the program runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.client.service.logs import FORMATS

if TYPE_CHECKING:
    import argparse

TITLE: Final = "running"


def add(group: argparse._ArgumentGroup) -> None:
    """Add these options to the help."""
    group.add_argument(
        "--config",
        metavar="FILE",
        help="take options from this TOML file, or for a NAME from /etc/vpnws/NAME.toml; the"
        " command line overrides it",
    )
    group.add_argument(
        "--no-offload",
        action="store_true",
        help="send and receive each frame as one message, even if the server supports offload",
    )
    group.add_argument(
        "--run-as",
        metavar="USER",
        default="",
        help="become this user once all is set up (default: nobody if root starts it); root keeps"
        " every privilege",
    )
    group.add_argument("--once", action="store_true", help="end instead of connecting again")
    group.add_argument("--quiet", action="store_true", help="print warnings and errors only")
    group.add_argument(
        "--log-format",
        choices=FORMATS,
        default="text",
        help="how the log is written: text, or json for one object a line (default: %(default)s)",
    )

"""The commands about leased addresses: leases, release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.commandline import units
from vpnws.control.leases import LeaseView
from vpnws.ctl.commands.change import show_changes
from vpnws.ctl.commands.command import Call, Command, add_network
from vpnws.ctl.commands.lists import List, add_list_options
from vpnws.ctl.exits import Exit
from vpnws.ctl.show import words
from vpnws.ctl.show.table import Column
from vpnws.errors import AmbiguousError, NotFoundError

if TYPE_CHECKING:
    import argparse


def leases(now_s: float) -> list[Column[LeaseView]]:
    """Return the columns of `leases`."""
    return [
        Column("NETWORK", lambda lease: words.name(lease.network)),
        Column("IP", lambda lease: words.name(lease.ip)),
        Column("WHO", lambda lease: words.name(lease.name)),
        Column("MAC", lambda lease: words.name(lease.mac), spare=1),
        Column("PORT", lambda lease: words.name(lease.port)),
        Column("SINCE", lambda lease: words.age(lease.since_s, now_s), is_number=True, spare=2),
        Column("KEPT", lambda lease: _kept(lease, now_s), is_number=True),
    ]


def release(call: Call) -> Exit:
    """Free an address whose station has left."""
    ip = call.options.ip
    query = {"ip": ip, "network": call.network}
    found = call.api.items("leases", query).of(LeaseView)
    if not found:
        raise NotFoundError(f"nobody has leased {words.name(ip)}: `leases` lists who has which")
    if len(found) > 1:
        raise AmbiguousError(
            f"{words.name(ip)} is leased in {len(found)} networks: choose with --network",
            tuple(words.name(lease.network) for lease in found),
        )
    body = {"network": found[0].network, "ip": found[0].ip}
    answer = call.api.change("POST", "leases/release", body)
    if not call.output.as_json:
        call.output.line(
            f"released {words.name(found[0].ip)} in network {words.name(found[0].network)}"
        )
    show_changes(call, [answer])
    return Exit.DONE


def _kept(lease: LeaseView, now_s: float) -> str:
    """Return for how much longer the address is kept for a station that has left."""
    if lease.port:
        return words.NOTHING
    return units.duration(lease.until_s - now_s) if lease.until_s > now_s else "free"


def _add_release(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ip", metavar="IP", help="the address to free")
    add_network(parser)


COMMANDS: Final = (
    Command(
        "leases",
        "who leases which address from the server's pools",
        List("leases", LeaseView, leases, "nobody leases an address, or none that fits").run,
        add_list_options,
    ),
    Command("release", "free a leased address whose station has left", release, _add_release),
)

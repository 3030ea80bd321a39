"""The commands that list: ports, fdb, who, networks, drops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vpnws.commandline import units
from vpnws.control.views import AddressView, DropView, FdbView, NetworkView, PortView
from vpnws.ctl.commands.command import Call, Command, add_network, add_target
from vpnws.ctl.show import words
from vpnws.ctl.show.table import Column

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from vpnws.ctl.exits import Exit


@dataclass(frozen=True, slots=True)
class List:
    """A list of the API: where it is, what it has, and its columns at a time `now_s`."""

    path: str
    kind: type[Any]
    columns: Callable[[float], list[Column[Any]]]
    nothing: str
    """What is said when it is empty."""

    def run(self, call: Call) -> Exit:
        """Print it."""
        query = {"network": call.network, "q": call.options.search}
        for flag in ("trunks", "recent"):
            if getattr(call.options, flag, False):
                query[flag] = "true"
        if call.target is not None:
            query.update(call.target.query())
        page = call.api.items(self.path, query)
        if call.output.as_json:
            return call.listed(page)
        rows = page.of(self.kind)
        if rows:
            call.output.table(self.columns(call.api.now_s()), rows)
        else:
            call.output.remark(self.nothing)
        return call.whole(page.missing, cut=bool(page.next))


def ports(now_s: float) -> list[Column[PortView]]:
    """Return the columns of `ports`."""
    return [
        Column("PORT", lambda port: port.id),
        Column("WHO", called),
        Column("FROM", _came_from, spare=6),
        Column("NETWORK", lambda port: words.name(port.network)),
        Column("MACS", lambda port: words.number(port.mac_count), is_number=True, spare=5),
        Column("MAC", lambda port: _first(port.macs, port.announced_mac), spare=1),
        Column("RX", lambda port: units.size(port.traffic.rx_bytes), is_number=True),
        Column("TX", lambda port: units.size(port.traffic.tx_bytes), is_number=True),
        Column("DROPS", _drops, is_number=True, spare=2),
        Column("SINCE", lambda port: words.age(port.since_s, now_s), is_number=True, spare=4),
        Column("HEARD", lambda port: words.age(port.heard_s, now_s), is_number=True, spare=3),
        Column("STATE", state),
    ]


def called(port: PortView) -> str:
    """Return how to call what is at a port: its device, or its station."""
    return words.name(port.device) if port.device else words.who(port.who)


def state(port: PortView) -> str:
    """Return whether a port is blocked, up, or backed up."""
    if port.is_blocked:
        return "blocked"
    return f"queue {units.size(port.queued_bytes)}" if port.queued_bytes else "up"


def fdb(now_s: float) -> list[Column[FdbView]]:
    """Return the columns of `fdb`."""
    return [
        Column("NETWORK", lambda entry: words.name(entry.network)),
        Column("MAC", lambda entry: words.name(entry.mac)),
        Column("KIND", lambda entry: entry.kind),
        Column("PORT", lambda entry: words.name(entry.port)),
        Column("PROCESS", lambda entry: words.name(entry.process), spare=3),
        Column("WHO", lambda entry: words.who(entry.who)),
        Column("HEARD", lambda entry: words.age(entry.heard_s, now_s), is_number=True, spare=1),
    ]


def who(now_s: float) -> list[Column[AddressView]]:
    """Return the columns of `who`."""
    return [
        Column("NETWORK", lambda entry: words.name(entry.network)),
        Column("IP", lambda entry: words.name(entry.ip)),
        Column("MAC", lambda entry: words.name(entry.mac)),
        Column("PORT", lambda entry: words.name(entry.port)),
        Column("WHO", lambda entry: words.who(entry.who)),
        Column("FROM", lambda entry: words.name(entry.who.addr), spare=4),
        Column("BY", lambda entry: entry.source, spare=2),
        Column("LEASED", lambda entry: "yes" if entry.is_leased else words.NOTHING, spare=3),
        Column("HEARD", lambda entry: words.age(entry.heard_s, now_s), is_number=True, spare=1),
    ]


def networks(_now_s: float) -> list[Column[NetworkView]]:
    """Return the columns of `networks`."""
    return [
        Column("NETWORK", lambda each: words.name(each.name)),
        Column("STATIONS", lambda each: words.number(each.stations), is_number=True),
        Column("TAPS", lambda each: words.listed(each.taps)),
        Column("MACS", lambda each: f"{each.macs:,}/{each.macs_limit:,}", is_number=True, spare=3),
        Column("MOVED", lambda each: words.number(each.macs_moved), is_number=True, spare=4),
        Column("EVICTED", lambda each: words.number(each.macs_evicted), is_number=True, spare=5),
        Column("RX", lambda each: units.size(each.traffic.rx_bytes), is_number=True),
        Column("TX", lambda each: units.size(each.traffic.tx_bytes), is_number=True),
        Column("DROPS", lambda each: words.counts(each.drops), wraps=True),
        Column("RECENT", lambda each: words.counts(each.recent_drops), wraps=True, spare=1),
    ]


def drops(_now_s: float) -> list[Column[DropView]]:
    """Return the columns of `drops`."""
    return [
        Column("PORT", lambda drop: words.name(drop.port)),
        Column("WHO", lambda drop: words.who(drop.who)),
        Column("NETWORK", lambda drop: words.name(drop.network), spare=1),
        Column("REASON", lambda drop: words.name(drop.reason)),
        Column("FRAMES", lambda drop: words.number(drop.frames), is_number=True),
        Column("RECENT", lambda drop: words.number(drop.recent_frames), is_number=True, spare=1),
        Column("WHY", lambda drop: words.sentence(drop.why), wraps=True, spare=2),
        Column("WHAT TO DO", lambda drop: words.sentence(drop.remedy), wraps=True),
    ]


def _came_from(port: PortView) -> str:
    return words.name(port.who.addr) if port.who.addr else port.kind


def _drops(port: PortView) -> str:
    return words.number(sum(port.drops.values()))


def _first(macs: tuple[str, ...], announced: str) -> str:
    """Return a port's MAC; `announced` is in parentheses as long as none was learned."""
    if macs:
        return words.name(macs[0])
    return f"({words.name(announced)})" if announced else words.NOTHING


def add_list_options(parser: argparse.ArgumentParser) -> None:
    """Add a target to look for, and --search."""
    add_target(parser, required=False, what="list only what has to do with it")
    _add_search(parser)


def _networks_options(parser: argparse.ArgumentParser) -> None:
    add_network(parser)
    _add_search(parser)


def _add_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--search", metavar="TEXT", default="", help="only what has this text somewhere"
    )


def _ports_options(parser: argparse.ArgumentParser) -> None:
    add_list_options(parser)
    parser.add_argument(
        "--trunks", action="store_true", help="the trunks between the server's processes too"
    )


def _drops_options(parser: argparse.ArgumentParser) -> None:
    add_list_options(parser)
    parser.add_argument(
        "--recent", action="store_true", help="only what was dropped within the last seconds"
    )


PORTS: Final = List("ports", PortView, ports, "there is no port, or none that fits")
NETWORKS: Final = List("networks", NetworkView, networks, "there is no network, or none that fits")
COMMANDS: Final = (
    Command("ports", "every port of a station or a TAP", PORTS.run, _ports_options),
    Command(
        "fdb",
        "where each MAC is (the forwarding database)",
        List("fdb", FdbView, fdb, "no MAC was learned, or none that fits").run,
        add_list_options,
    ),
    Command(
        "who",
        "who uses which IP address, as heard from ARP, ND and DHCP",
        List(
            "addresses",
            AddressView,
            who,
            "no address was heard, or none that fits: one is known from ARP, ND or DHCP, until its"
            " station has been silent for vpnws-age",
        ).run,
        add_list_options,
    ),
    Command("networks", "every network, with what it drops", NETWORKS.run, _networks_options),
    Command(
        "drops",
        "frames that ports drop: how many, why, and what to do",
        List("drops", DropView, drops, "nothing was dropped").run,
        _drops_options,
    ),
)

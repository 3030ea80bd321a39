"""What tests of vpnws-ctl share: a server that answers everything, and one run of the program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.fakes.control_server import Canned, items
from vpnws.control.leases import LeaseView
from vpnws.control.trace_view import EndView, PathView, StepView, TraceView
from vpnws.control.views import (
    AddressView,
    BanView,
    DropView,
    EventView,
    FdbView,
    FindingView,
    Limits,
    LimitsView,
    NetworkView,
    PinView,
    PortView,
    ProcessView,
    StatusView,
    Traffic,
    Who,
)
from vpnws.ctl.program import cli

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOW_S: Final = 1_790_000_000.0
MAC, OTHER_MAC = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
EVIL: Final = "[red]$(id)\x1b[2J\r\n\u202e;`x`"
"""A name that is markup, a command to a shell and one to a terminal."""
ALICE: Final = PortView(
    id="1.2",
    kind="station",
    process="worker 1",
    network="lan",
    who=Who(user="alice", addr="203.0.113.9"),
    macs=(MAC,),
    mac_count=1,
    since_s=NOW_S - 7800,
    heard_s=NOW_S - 30,
    traffic=Traffic(rx_frames=12, rx_bytes=1_234_567, tx_frames=2, tx_bytes=99),
    drops={"storm": 1204, "queue": 3},
    limits=Limits(storm_packets_per_s=100),
)
BOB: Final = PortView(
    id="2.7",
    kind="station",
    process="worker 2",
    network="lan",
    who=Who(user="bob", addr="203.0.113.9"),
    announced_mac=OTHER_MAC,
    is_blocked=True,
    block_reason="noisy",
    queued_bytes=5000,
)
BOB_AGAIN: Final = PortView(
    id="2.8", kind="station", process="worker 2", network="guests", who=Who(user="bob")
)
STRANGER: Final = PortView(
    id="1.3", kind="station", process="worker 1", network="lan", who=Who(user=EVIL)
)
TAP: Final = PortView(id="3.1", kind="tap", process="mule", network="lan", device="vpn0")
PORTS: Final = (ALICE, STRANGER, BOB, BOB_AGAIN, TAP)
LEASE: Final = LeaseView(
    network="lan", ip="10.8.0.9", mac=MAC, name="alice", since_s=NOW_S, until_s=NOW_S + 60
)
FDB: Final = FdbView(
    network="lan", mac=MAC, kind="learned", port="1.2", process="worker 1", who=ALICE.who
)
ADDRESS: Final = AddressView(
    network="lan", ip="10.8.0.7", mac=MAC, port="1.2", who=ALICE.who, source="arp", heard_s=NOW_S
)
BAN: Final = BanView(id="b1", user="eve", until_s=NOW_S + 3600, by="root", reason="spam")
PIN: Final = PinView(id="p1", network="lan", mac=MAC, user="alice")
LIMITS: Final = LimitsView(id="l1", user="alice", limits=Limits(stations=3))
EVENTS: Final = tuple(
    EventView(
        seq=number,
        process="worker 1",
        time_s=NOW_S - 100 * (3 - number),
        name=name,
        level=level,
        text=f"{name} of {ALICE.who.user}",
    )
    for number, (name, level) in enumerate((("join", "info"), ("drops", "warning")), 1)
)
TRACE: Final = TraceView(
    ether="arp",
    size_bytes=60,
    text="alice does not reach bob.",
    remedy="unblock port 2.7",
    source=EndView(asked="alice", kind="station", text="at port 1.2", port="1.2"),
    destination=EndView(asked="bob", kind="station", text="at port 2.7", port="2.7"),
    there=PathView(
        outcome="dropped",
        text="It is dropped: the port is blocked.",
        decided_by=7,
        steps=(
            StepView(number=1, name="Length", process="worker 1", state="passed"),
            StepView(number=7, name="Egress", process="worker 2", state="decides", text="blocked"),
        ),
        warnings=("1,204 frames were dropped",),
    ),
    back=PathView(outcome="delivered", text="It is queued."),
)


def canned() -> Canned:
    """Return a server that knows all of the above."""
    server = Canned(
        status=StatusView(
            version="0.1.0",
            mode="bridge",
            now_s=NOW_S,
            since_s=NOW_S - 90061,
            ports=len(PORTS),
            networks=2,
            macs=1,
            processes=(ProcessView(name="worker 1", pid=11, since_s=NOW_S, refusals={"403": 2}),),
        ),
        fdb=_having(FDB),
        addresses=_having(ADDRESS),
        leases=_having(LEASE),
        networks=items(NetworkView(name="lan", stations=3, macs=1, macs_limit=9)),
        drops=items(_drop()),
        events=lambda query, _: {"items": () if query.get("after") else EVENTS, "next": "c1"},
        bans=items(BAN),
        pins=items(PIN),
        limits=items(LIMITS),
        trace=TRACE,
        doctor=items(
            FindingView(name="mtu", severity="warning", sentence="The MTU is small.", remedy="grow")
        ),
    )
    server.answers["GET ports"] = _ports
    for port in PORTS:
        server.answers[f"GET ports/{port.id}"] = port
        for verb in ("kick", "block", "unblock"):
            server.answers[f"POST ports/{port.id}/{verb}"] = {"count": 1}
        server.answers[f"PATCH ports/{port.id}"] = {"count": 1}
    server.answers |= {
        "POST fdb/flush": {"flushed": 1},
        "POST leases/release": {"count": 1},
        "POST bans": lambda _, body: _banned(**body),
        "DELETE bans/b1": {"count": 1},
        "POST pins": lambda _, body: PinView(id="p2", **body),
        "DELETE pins/p1": {"count": 1},
        "POST limits": lambda _, body: LimitsView(
            id="l2", user=body["user"], limits=Limits(**body["limits"])
        ),
        "DELETE limits/l1": {"count": 1},
    }
    return server


def _ports(query: dict[str, str], _: object) -> object:
    found = [
        port
        for port in PORTS
        if query.get("user") in (None, port.who.user)
        and query.get("q", "") in f"{port.who} {port.device}"
        and query.get("network") in (None, port.network)
        and query.get("port") in (None, port.id)
        and query.get("mac") in (None, port.announced_mac, *port.macs)
    ]
    return items(*found)


def _having(view: FdbView | AddressView | LeaseView) -> object:
    def answer(query: dict[str, str], _: object) -> object:
        fits = all(getattr(view, name, text) == text for name, text in query.items())
        return items(view) if fits else items()

    return answer


def _banned(*, for_s: int, **body: str) -> BanView:
    return BanView(id="b2", until_s=NOW_S + for_s, **body)


def _drop() -> DropView:
    return DropView(
        network="lan",
        port="1.2",
        process="worker 1",
        kind="station",
        who=ALICE.who,
        reason="storm",
        frames=1204,
        recent_frames=3,
        why="Too many broadcasts.",
        remedy="find the loop",
    )


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of the program said."""

    code: int
    out: str
    err: str


@dataclass(slots=True)
class Bed:
    """Runs vpnws-ctl in this process, against a socket."""

    capsys: pytest.CaptureFixture[str]
    socket: Path
    server: Canned

    def __call__(self, *words: str) -> Result:
        """Run a command."""
        self.capsys.readouterr()
        try:
            code = cli.main(["--socket", str(self.socket), *words])
        except SystemExit as end:
            code = int(end.code or 0)
        said = self.capsys.readouterr()
        return Result(int(code), said.out, said.err)

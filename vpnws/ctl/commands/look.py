"""The commands that show one thing: status, port, doctor."""

from __future__ import annotations

from typing import Final

from vpnws.commandline import units
from vpnws.control.views import FindingView, Limits, PortView, ProcessView, StatusView
from vpnws.ctl.commands.command import Call, Command, add_target
from vpnws.ctl.commands.targets import one_port, read_target
from vpnws.ctl.exits import Exit
from vpnws.ctl.reach.api import decode
from vpnws.ctl.show import words
from vpnws.ctl.show.table import Column


def status(call: Call) -> Exit:
    """Show the server in a few lines, and its processes."""
    data = call.api.get("status")
    view = decode(data, StatusView)
    if call.output.as_json:
        call.output.document(data)
    else:
        call.output.pairs(_status_pairs(view))
        call.output.line("")
        call.output.table(processes(view.now_s), view.processes)
    return call.whole(view.missing)


def port(call: Call) -> Exit:
    """Show everything about one port."""
    found = one_port(call.api, read_target(call.options.target), call.network)
    if call.output.as_json:
        call.output.document(call.api.get(f"ports/{found.id}"))
    else:
        call.output.pairs(port_pairs(found, call.api.now_s()))
    return Exit.DONE


def doctor(call: Call) -> Exit:
    """Show what is wrong with the server's host; FAILED if something is."""
    page = call.api.whole("doctor")
    findings = page.of(FindingView)
    if call.output.as_json:
        code = call.listed(page)
    else:
        for finding in findings:
            call.output.line(f"{finding.severity}: {words.sentence(finding.sentence)}")
            call.output.line(f"  {words.sentence(finding.remedy)}")
        if not findings and not page.missing:
            call.output.line("nothing is wrong with the host")
        code = call.whole(page.missing)
    if any(finding.severity == "error" for finding in findings):
        return Exit.FAILED
    return code


def processes(now_s: float) -> list[Column[ProcessView]]:
    """Return the columns of the server's processes."""
    return [
        Column("PROCESS", lambda each: words.name(each.name)),
        Column("PID", lambda each: str(each.pid), is_number=True, spare=4),
        Column("UP", lambda each: words.age(each.since_s, now_s), is_number=True),
        Column("PORTS", lambda each: words.number(each.ports), is_number=True),
        Column("JOINS", lambda each: words.number(each.joins), is_number=True),
        Column("LEAVES", lambda each: words.number(each.leaves), is_number=True, spare=3),
        Column("REFUSED", lambda each: words.counts(each.refusals)),
        Column("LATE", lambda each: f"{1000 * each.loop_lag_s:.0f} ms", is_number=True),
        Column("QUEUED", lambda each: units.size(each.egress_bytes), is_number=True),
        Column("TRUNKS", lambda each: units.size(each.trunk_bytes), is_number=True, spare=2),
    ]


def port_pairs(view: PortView, now_s: float) -> list[tuple[str, str]]:
    """Return everything about a port as names and values."""
    traffic = view.traffic
    allow = "all destinations" if view.allow is None else words.listed(view.allow)
    blocked = f"yes: {words.name(view.block_reason)}" if view.block_reason else "yes"
    return [
        ("port", f"{view.id} ({view.kind}, {words.name(view.process)})"),
        ("user", words.name(view.who.user)),
        ("DN", words.sentence(view.who.dn)),
        ("from", words.name(view.who.addr)),
        ("device", words.name(view.device)),
        ("network", words.name(view.network)),
        ("role", words.name(view.role)),
        ("may send to", allow),
        ("MACs", words.listed(view.macs, view.mac_count)),
        ("announced", words.name(view.announced_mac)),
        ("bridge", "yes" if view.may_bridge else "no"),
        ("offload", words.name(view.subprotocol)),
        ("since", f"{words.moment(view.since_s)} ({words.age(view.since_s, now_s)})"),
        ("heard", words.age(view.heard_s, now_s)),
        ("received", f"{units.size(traffic.rx_bytes)} in {traffic.rx_frames:,} frames"),
        ("sent", f"{units.size(traffic.tx_bytes)} in {traffic.tx_frames:,} frames"),
        ("drops", words.counts(view.drops)),
        ("recently", words.counts(view.recent_drops)),
        ("marked", f"{view.marks:,}"),
        ("queued", units.size(view.queued_bytes)),
        ("limits", limits(view.limits)),
        ("blocked", blocked if view.is_blocked else "no"),
    ]


def limits(view: Limits) -> str:
    """Return the limits that there are."""
    found = (
        ("storm", view.storm_packets_per_s, "packets/s"),
        ("stations", view.stations, "MACs"),
        ("queue", view.egress_bytes, "bytes"),
    )
    told = [f"{name} {value:,} {unit}" for name, value, unit in found if value is not None]
    return ", ".join(told) or "none"


def _status_pairs(view: StatusView) -> list[tuple[str, str]]:
    up = words.age(view.since_s, view.now_s)
    return [
        ("server", f"vpnws {words.name(view.version)}, mode {words.name(view.mode)}, up {up}"),
        ("ports", words.number(view.ports)),
        ("networks", words.number(view.networks)),
        ("MACs", words.number(view.macs)),
    ]


COMMANDS: Final = (
    Command("status", "the server and its processes in a few lines", status),
    Command("port", "everything about one port", port, add_target),
)
DOCTOR: Final = Command(
    "doctor", "what is wrong with the server's host, and what to do about it", doctor
)

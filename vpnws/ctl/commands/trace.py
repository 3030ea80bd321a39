"""The command trace: what the switch would do with a frame from A to B, and with an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.control.trace_view import TraceView
from vpnws.ctl.commands.command import Call, Command, add_network
from vpnws.ctl.commands.targets import FORMS
from vpnws.ctl.reach.api import decode
from vpnws.ctl.show import words
from vpnws.ctl.show.table import Column
from vpnws.errors import AmbiguousError, NotFoundError

if TYPE_CHECKING:
    import argparse

    from vpnws.control.trace_view import EndView, PathView, StepView
    from vpnws.ctl.exits import Exit


def trace(call: Call) -> Exit:
    """Show the way of a frame, step by step, and what to do if it is dropped."""
    query = {
        "from": call.options.source,
        "to": call.options.destination,
        "ether": call.options.ether,
        "size": call.options.size,
        "network": call.network,
    }
    data = call.api.get("trace", query)
    view = decode(data, TraceView)
    if call.output.as_json:
        call.output.document(data)
    elif "unknown" not in (view.source.kind, view.destination.kind):
        _show(call, view)
    for end in (view.source, view.destination):
        _check(end)
    return call.whole(view.missing)


def _check(end: EndView) -> None:
    """Raise NotFoundError or AmbiguousError if `end` is not one port of the switch."""
    if end.others:
        raise AmbiguousError(
            f"{words.name(end.asked)} means several ports, and the first was taken: name one",
            tuple(words.name(each) for each in (end.port, *end.others)),
        )
    if end.kind == "unknown":
        near = f": is {' or '.join(map(words.name, end.near))} meant?" if end.near else ""
        raise NotFoundError(
            f"{words.name(end.asked)} is no user, and no MAC, address or port of a station that is"
            f" here{near or ': `ports` and `who` list them; a silent station loses its address'}"
        )


def _show(call: Call, view: TraceView) -> None:
    output = call.output
    output.pairs(
        [
            ("A", words.sentence(view.source.text)),
            ("B", words.sentence(view.destination.text)),
            ("frame", f"{words.name(view.ether)}, {view.size_bytes:,} bytes"),
        ]
    )
    for title, path in (("A to B", view.there), ("B to A", view.back)):
        output.line("")
        output.line(f"{title}: {path.outcome}. {words.sentence(path.text)}")
        _show_path(call, path)
    output.line("")
    output.line(words.sentence(view.text))
    for title, text in (("do", view.remedy), ("next", view.hint)):
        if text:
            output.line(f"{title}: {words.sentence(text)}")


def _show_path(call: Call, path: PathView) -> None:
    if path.steps:
        call.output.table(_COLUMNS, path.steps)
    for warning in path.warnings:
        call.output.line(f"mind: {words.sentence(warning)}")
    if path.remedy:
        call.output.line(f"do: {words.sentence(path.remedy)}")


_COLUMNS: Final[tuple[Column[StepView], ...]] = (
    Column("", lambda step: ">" if step.state == "decides" else " "),
    Column("STEP", lambda step: f"{step.number} {words.name(step.name)}"),
    Column("AT", lambda step: words.name(step.process)),
    Column("", lambda step: step.state),
    Column("DROPPED", lambda step: words.number(step.recent_drops), is_number=True, spare=1),
    Column("WHAT", lambda step: words.sentence(step.text), wraps=True),
)


def _add_trace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="A", help=f"who sends: {FORMS}")
    parser.add_argument("destination", metavar="B", help="who should get it: the same, or a group")
    parser.add_argument(
        "--ether",
        metavar="TYPE",
        default="",
        help="what the frame carries: arp, ipv4, ipv6, nd or an EtherType such as 0x88cc"
        " (default: ipv4)",
    )
    parser.add_argument(
        "--size",
        metavar="BYTES",
        default="",
        help="how long the frame is, without FCS (default: 60)",
    )
    add_network(parser)


_EXAMPLES: Final = """\
  vpnws-ctl trace alice bob
      can they talk, and if not, which step decides and what to do about it
  vpnws-ctl trace 10.8.0.2 10.8.0.3 --ether arp
      the question before every answer: is ARP let through?
  vpnws-ctl trace alice bob --size 9014
      is a frame of an MTU of 9000 let through?
"""
COMMANDS: Final = (
    Command(
        "trace",
        "why A reaches B or does not: the way of a frame, step by step",
        trace,
        _add_trace,
        _EXAMPLES,
    ),
)

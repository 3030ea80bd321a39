"""Every command, in the order of the help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.ctl.commands import capture, change, events, leases, lists, look, rules, top, trace

if TYPE_CHECKING:
    from vpnws.ctl.commands.command import Command

COMMANDS: Final[tuple[Command, ...]] = (
    *look.COMMANDS,
    *lists.COMMANDS,
    *leases.COMMANDS,
    *events.COMMANDS,
    *top.COMMANDS,
    *trace.COMMANDS,
    *capture.COMMANDS,
    look.DOCTOR,
    *change.COMMANDS,
    *rules.COMMANDS,
)

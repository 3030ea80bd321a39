"""Names of ports: how they sort, and how a command finds the process that has one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from vpnws.control.asks import AskError

if TYPE_CHECKING:
    from vpnws.control.asks import Ask
    from vpnws.control.calls import Call
    from vpnws.control.views import DropView, PortView

A = TypeVar("A")

_MAX_PROCESSES: Final = 1000
"""More than a server has, so that no two trunks stand at the same place."""


def parse_port(name: str) -> tuple[int, int] | None:
    """Return the numbers of the process, from 1, and of the port in a name such as `2.7`."""
    process, dot, number = name.partition(".")
    if not (dot and process.isdigit() and number.isdigit() and name.isascii() and len(name) < 20):
        return None
    return (int(process), int(number)) if int(process) else None


def port_key(port: PortView) -> tuple[int, int]:
    """Return where a port stands in a list of ports."""
    return id_key(port.id)


def id_key(port: str) -> tuple[int, int]:
    """Return where the port with an id stands; trunks, such as `1.t2`, stand before all others."""
    process, _, number = port.partition(".")
    trunk = parse_port(f"{process}.{number[1:]}") if number.startswith("t") else None
    return (0, trunk[0] * _MAX_PROCESSES + trunk[1]) if trunk else parse_port(port) or (0, 0)


def drop_key(drop: DropView) -> tuple[int, int, str]:
    """Return where a port's drops for one reason stand in a list of drops."""
    return (*id_key(drop.port), drop.reason)


def command(call: Call, port: str, ask: Ask[A]) -> A:
    """Have the process that has `port` do `ask`; return its answer. Raises AskError."""
    numbers = parse_port(port)
    if numbers is None:
        raise AskError("a port is named by two numbers, such as 2.7", 404)
    answers = call.peers.ask(ask, numbers[0] - 1)
    if answers.missing:
        raise AskError(f"{answers.missing[0]} did not answer: try again", 503)
    return next(iter(answers.by_process.values()))

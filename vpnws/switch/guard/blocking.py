"""Blocks a port for the operator: nothing comes in, nothing goes out, and its station stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from vpnws.switch.drop import Drop
from vpnws.switch.guard.roles import Kind, Role
from vpnws.switch.port import Block, Origin

if TYPE_CHECKING:
    from vpnws.switch.port import AccessPort
    from vpnws.wire.buffer import Buffer

BLOCKED: Final = Role(Kind.BLOCKED)


class Nowhere:
    """The destinations of a blocked port: there are none."""

    refusal: ClassVar[Drop] = Drop.BLOCKED

    def permits(self, _frame: Buffer) -> bool:
        """Return False."""
        return False


NOWHERE: Final = Nowhere()


def block(port: AccessPort, reason: str) -> None:
    """Block `port`; if it is blocked already, only the reason changes."""
    unblock(port)
    origin = port.origin
    port.block = Block(reason, origin, port.destinations)
    port.origin = Origin(origin.network, BLOCKED, origin.label)
    port.destinations = NOWHERE


def unblock(port: AccessPort) -> None:
    """Let `port` do again what it may do."""
    if port.block is not None:
        port.origin, port.destinations = port.block.origin, port.block.destinations
        port.block = None


def role_of(port: AccessPort) -> Role:
    """Return the role that the web server gave `port`, blocked or not."""
    return port.block.origin.role if port.block is not None else port.origin.role

"""What the log calls each port of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.server.port.describe import describe_briefly

if TYPE_CHECKING:
    from vpnws.server.port.link import Link
    from vpnws.switch.forwarding import Switch
    from vpnws.switch.port import AccessPort

NUMBER_BITS: Final = 32
"""The low bits of a port's id are its number; the others are its process's id."""


def number_of(port_id: int) -> int:
    """Return the number of a port in its process."""
    return port_id & ((1 << NUMBER_BITS) - 1)


def short_name(slot: int, port_id: int) -> str:
    """Return a port's short name: its process, from 1, and its number."""
    return f"{slot + 1}.{number_of(port_id)}"


class PortNames:
    """Names and describes the ports of the process at `slot`."""

    def __init__(self, slot: int, switch: Switch) -> None:
        """`switch` knows which MACs are on a port."""
        self._slot = slot
        self._switch = switch

    def short(self, port: AccessPort) -> str:
        """Return the short name of a port of this process."""
        return short_name(self._slot, port.id)

    def station(self, link: Link) -> str:
        """Return which port a station has, who it is, and one of its MACs."""
        who = describe_briefly(link.session, self._switch.stations_of(link.port))
        return f"port {self.short(link.port)} {who}"

    def uplink(self, port: AccessPort) -> str:
        """Return which port a TAP of the server has, and in which network."""
        return f"port {self.short(port)} of the TAP in network {port.origin.network}"

    def trunk(self, slot: int) -> str:
        """Return what the log calls the trunk to the process at `slot`."""
        return f"the trunk from process {self._slot + 1} to {slot + 1}"

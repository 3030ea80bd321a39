"""What the log calls each process and each port, and what its lines say of a port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.server.port.describe import Subject, describe_briefly
from vpnws.switch.port import Trunk

if TYPE_CHECKING:
    from vpnws.server.port.link import Link
    from vpnws.switch.forwarding import Switch
    from vpnws.switch.port import AccessPort, Port

NUMBER_BITS: Final = 32
"""The low bits of a port's id are its number; the others are its process's id."""


def number_of(port_id: int) -> int:
    """Return the number of a port in its process."""
    return port_id & ((1 << NUMBER_BITS) - 1)


def short_name(slot: int, port_id: int) -> str:
    """Return the short name of a station's or a TAP's port: its process, from 1, and its number.

    A trunk has another one (`trunk_name`): its id is a slot, and may equal the number of a port.
    """
    return f"{slot + 1}.{number_of(port_id)}"


def trunk_name(slot: int, other: int) -> str:
    """Return the name of the trunk from the process at `slot` to another one's."""
    return f"{slot + 1}.t{other + 1}"


def name_of(slot: int, port: Port) -> str:
    """Return the name of any port of the process at `slot`. No two of them share one."""
    return trunk_name(slot, port.id) if isinstance(port, Trunk) else short_name(slot, port.id)


def process_name(slot: int, workers: int) -> str:
    """Return the name of the process at `slot`; the mule comes after the workers."""
    return f"worker {slot + 1}" if slot < workers else "mule"


class PortNames:
    """Names and describes the ports of the process at `slot`."""

    def __init__(self, slot: int, workers: int, switch: Switch) -> None:
        """`switch` knows which MACs are on a port."""
        self._slot = slot
        self._workers = workers
        self._switch = switch

    def short(self, port: AccessPort) -> str:
        """Return the short name of a port of this process."""
        return short_name(self._slot, port.id)

    def who(self, link: Link) -> Subject:
        """Return who a station is, with one of its MACs; the fields have its port, too."""
        who = describe_briefly(link.session, self._switch.stations_of(link.port))
        return Subject(who.words, {"port": self.short(link.port), **who.fields})

    def station(self, link: Link) -> Subject:
        """Return which port a station has, who it is, and one of its MACs."""
        who = self.who(link)
        return Subject(f"port {self.short(link.port)} {who.words}", who.fields)

    def uplink(self, port: AccessPort) -> Subject:
        """Return which port a TAP of the server has, and in which network."""
        name, network = self.short(port), port.origin.network
        return Subject(
            f"port {name} of the TAP in network {network}", {"port": name, "network": network}
        )

    def peer(self, slot: int) -> str:
        """Return what the log calls the process at `slot`."""
        return process_name(slot, self._workers)

    def trunk(self, slot: int) -> Subject:
        """Return what the log calls the trunk to the process at `slot`."""
        return Subject(
            f"the trunk from process {self._slot + 1} to {slot + 1}",
            {"peer": self.peer(slot)},
        )

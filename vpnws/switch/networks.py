"""The networks that one process has ports in, and how a trunk's label names one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.errors import CapacityError
from vpnws.switch.guard.roles import Kind, Role
from vpnws.switch.network import Network
from vpnws.switch.port import Origin
from vpnws.wire import trunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.switch.location import SharedTable
    from vpnws.switch.port import AccessPort, Trunk

MAX_ORIGINS = 4096
"""Labels of trunks whose meaning is remembered. A full table is emptied, and labels are read
anew."""


class Networks:
    """A network comes to be with its first port here and goes with the last one."""

    def __init__(
        self,
        trunks: dict[int, Trunk],
        *,
        slot: int,
        shared: SharedTable,
        age_s: float,
        fdb_limit: int,
        networks_limit: int,
    ) -> None:
        """`networks_limit` bounds the networks, `fdb_limit` the MACs of each."""
        self.by_name: dict[str, Network] = {}
        self._trunks = trunks
        self._slot = slot
        self._shared = shared
        self._age_s = age_s
        self._fdb_limit = fdb_limit
        self._networks_limit = networks_limit
        self._origins: dict[bytes, Origin | None] = {}

    def __iter__(self) -> Iterator[Network]:
        """Go through the networks."""
        return iter(self.by_name.values())

    def check_room(self, name: str) -> None:
        """Raise CapacityError if `name` is new and would pass the bound."""
        if name not in self.by_name and len(self.by_name) >= self._networks_limit:
            raise CapacityError(f"there are {self._networks_limit} networks already")

    def origin(self, name: str, role: Role) -> Origin:
        """Return the origin for a port of `role` in network `name`. Raises CapacityError."""
        label = trunk.encode_label(role.kind, role.community, name)
        return Origin(self._network(name), role, label)

    def attach(self, port: AccessPort) -> None:
        """Add `port` to its origin's network."""
        port.origin.network.ports[port.id] = port

    def detach(self, port: AccessPort) -> None:
        """Remove `port`, and its network with the last one."""
        network = port.origin.network
        network.fdb.forget_port(port)
        network.ports.pop(port.id, None)
        if not network.ports:
            self.by_name.pop(network.name, None)
            self._origins.clear()

    def named_by(self, label: bytes) -> Origin | None:
        """Return the origin that a label names; None when no port here is in its network."""
        if label in self._origins:
            return self._origins[label]
        if len(self._origins) >= MAX_ORIGINS:
            self._origins.clear()
        kind, community, name = trunk.decode_label(label)
        network = self.by_name.get(name)
        origin = None if network is None else Origin(network, Role(Kind(kind), community), label)
        self._origins[label] = origin
        return origin

    def _network(self, name: str) -> Network:
        network = self.by_name.get(name)
        if network is not None:
            return network
        self.check_room(name)
        network = self.by_name[name] = Network(
            name,
            self._trunks,
            slot=self._slot,
            shared=self._shared,
            age_s=self._age_s,
            limit=self._fdb_limit,
        )
        self._origins.clear()
        return network

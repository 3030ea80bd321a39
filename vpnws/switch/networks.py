"""The networks that one process has ports in, and the origins that trunk labels name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.errors import CapacityError
from vpnws.switch.addresses import AddressNews, HeardAddresses
from vpnws.switch.fdb import Fdb
from vpnws.switch.guard.roles import Kind, Role
from vpnws.switch.port import Origin
from vpnws.switch.responder import answers
from vpnws.switch.totals import PastTotals
from vpnws.wire import trunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vpnws.switch.known import OnLearn
    from vpnws.switch.location import SharedView
    from vpnws.switch.port import AccessPort, Port, Trunk
    from vpnws.switch.responder import Queue, Responder
    from vpnws.switch.totals import Totals
    from vpnws.wire.train import Train

MAX_ORIGINS: Final = 4096
"""Trunk labels that are remembered with their origins. A full table is emptied, and labels are read
again."""


class Network:
    """One broadcast domain, as one process sees it: its ports here, and its FDB."""

    __slots__ = ("addresses", "fdb", "flooded", "name", "past", "ports", "responder")

    def __init__(
        self,
        name: str,
        ports: dict[int, AccessPort],
        fdb: Fdb,
        addresses: HeardAddresses,
        past: Totals,
        responder: Responder | None = None,
    ) -> None:
        """`fdb` finds the ports in `ports`, by their ids; `addresses` are those heard.

        `past` is of ports that have gone. `responder` answers in the network's name.
        """
        self.name = name
        self.ports = ports
        self.flooded: dict[int, AccessPort] = {}
        """Those of the ports that what is flooded goes to, by their ids."""
        self.fdb = fdb
        self.addresses = addresses
        self.past = past
        self.responder = responder

    def hear(self, ingress: Port, role: Role, train: Train, queue: Queue, now: float) -> bool:
        """Take what a train tells of addresses; return whether it was for the network itself.

        Then the network's answers are queued by `queue`, and the train goes no further.
        """
        self.addresses.hear(ingress, role, train, now)
        if self.responder is None:
            return False
        found = answers(self.responder, ingress, train, now)
        for answer in found or ():
            self.addresses.hear_own(ingress, answer.frames()[0], now)
            queue(ingress, answer, ingress.format.write(answer, b""), now)
        return found is not None

    def totals(self) -> Totals:
        """Return what has passed this network since the process began."""
        totals = self.past.copy()
        totals.add_fdb(self.fdb)
        for port in self.ports.values():
            totals.add_port(port)
        return totals


class Networks:
    """The networks by name. A network exists from its first port here to its last one."""

    def __init__(
        self,
        trunks: dict[int, Trunk],
        shared: SharedView,
        *,
        age_s: float,
        fdb_limit: int,
        networks_limit: int,
    ) -> None:
        """`networks_limit` bounds the networks, `fdb_limit` the MACs of each."""
        self.by_name: dict[str, Network] = {}
        self._trunks = trunks
        self._shared = shared
        self._age_s = age_s
        self._fdb_limit = fdb_limit
        self._networks_limit = networks_limit
        self._origins: dict[bytes, Origin | None] = {}
        self._past = PastTotals()
        self.address_news = AddressNews()
        """Addresses that are new or have moved, until they are reported."""
        self.on_learn: OnLearn = lambda _port, _mac, _before: None
        """Set it before the first port comes."""
        self.responder_of: Callable[[str], Responder | None] = lambda _name: None
        """Returns who answers in a network's name. Set it before the first port comes."""

    def __iter__(self) -> Iterator[Network]:
        """Go through the networks."""
        return iter(self.by_name.values())

    def ports(self) -> Iterator[Port]:
        """Go through all ports of the switch, the trunks first."""
        yield from self._trunks.values()
        yield from self.access_ports()

    def access_ports(self) -> Iterator[AccessPort]:
        """Go through the ports of all networks."""
        for network in self:
            yield from network.ports.values()

    def totals(self) -> list[tuple[str, Totals]]:
        """Return what has passed each network since the process began, by the networks' names.

        Those that have no port any more come first.
        """
        return self._past.items() + [(network.name, network.totals()) for network in self]

    def of(self, origin: Origin) -> Network:
        """Return the network of an origin that `make_origin` or `origin_of` has returned."""
        return self.by_name[origin.network]

    def check_room(self, name: str) -> None:
        """Raise CapacityError if `name` is new and would pass the bound."""
        if name not in self.by_name and len(self.by_name) >= self._networks_limit:
            raise CapacityError(f"there are {self._networks_limit} networks already")

    def make_origin(self, name: str, role: Role) -> Origin:
        """Return the origin for a port of `role` in network `name`. Raises CapacityError."""
        self.check_room(name)
        return Origin(name, role, trunk.encode_label(role.kind, role.community, name))

    def attach(self, port: AccessPort) -> None:
        """Add `port` to its origin's network. Raises CapacityError."""
        network = self._network(port.origin.network)
        network.ports[port.id] = port
        if port.hears_floods:
            network.flooded[port.id] = port

    def hear(self, port: AccessPort) -> Network:
        """Have `port` get what is flooded from now on; return its network."""
        network = self.of(port.origin)
        port.hears_floods = True
        network.flooded[port.id] = port
        return network

    def detach(self, port: AccessPort, *, release: bool) -> None:
        """Remove `port`. If it was the last one of its network, remove the network too.

        `release` says that its station gives up its MACs.
        """
        network = self.of(port.origin)
        network.fdb.forget_port(port, release=release)
        network.addresses.forget_port(port)
        network.ports.pop(port.id, None)
        network.flooded.pop(port.id, None)
        network.past.add_port(port)
        if not network.ports:
            network.past.add_fdb(network.fdb)
            self._past.keep(network.name, network.past)
            del self.by_name[network.name]
            self._origins.clear()

    def age(self, now: float) -> None:
        """Forget MACs and addresses whose time is over."""
        for network in self:
            network.fdb.age(now)
            network.addresses.age(now)

    def origin_of(self, label: bytes) -> Origin | None:
        """Return the origin that a label names, or None if no port here is in its network."""
        if label in self._origins:
            return self._origins[label]
        if len(self._origins) >= MAX_ORIGINS:
            self._origins.clear()
        kind, community, name = trunk.decode_label(label)
        is_known = name in self.by_name
        origin = Origin(name, Role(Kind(kind), community), label) if is_known else None
        self._origins[label] = origin
        return origin

    def _network(self, name: str) -> Network:
        network = self.by_name.get(name)
        if network is not None:
            return network
        self.check_room(name)
        ports: dict[int, AccessPort] = {}
        fdb = Fdb(
            name,
            ports,
            self._trunks,
            self._shared,
            age_s=self._age_s,
            limit=self._fdb_limit,
            on_learn=self.on_learn,
        )
        addresses = HeardAddresses(name, fdb, self.address_news)
        past = self._past.take(name)
        responder = self.responder_of(name)
        network = self.by_name[name] = Network(name, ports, fdb, addresses, past, responder)
        self._origins.clear()
        return network

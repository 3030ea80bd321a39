"""A network: one broadcast domain, the ports of this process in it, and its FDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.switch.fdb import Fdb

if TYPE_CHECKING:
    from vpnws.switch.location import SharedTable
    from vpnws.switch.port import AccessPort, Trunk


class Network:
    """One broadcast domain, as one process sees it."""

    __slots__ = ("fdb", "name", "ports")

    def __init__(
        self,
        name: str,
        trunks: dict[int, Trunk],
        *,
        slot: int,
        shared: SharedTable,
        age_s: float,
        limit: int,
    ) -> None:
        """`limit` bounds the MACs known here; the other arguments are the FDB's."""
        self.name = name
        self.ports: dict[int, AccessPort] = {}
        self.fdb = Fdb(name, self.ports, trunks, slot=slot, shared=shared, age_s=age_s, limit=limit)

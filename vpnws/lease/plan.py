"""The plan of addresses: which there are, and who may have each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vpnws.lease.fixed import Fixed
    from vpnws.lease.pool import Address, Pool
    from vpnws.lease.who import Who


class Plan:
    """The pools, the fixed addresses, and the addresses that nobody may have."""

    def __init__(
        self,
        pools: Iterable[Pool],
        fixed: Iterable[Fixed] = (),
        excluded: Iterable[tuple[str, Address]] = (),
    ) -> None:
        """`excluded` are the server's own, each with its network.

        Raises ConfigError if a fixed one is among them.
        """
        self._pools = {(pool.network, pool.version): pool for pool in pools}
        self._excluded = frozenset(excluded)
        self._fixed = {(one.network, one.address): one for one in fixed}
        self._by_network: dict[tuple[str, int], list[Fixed]] = {}
        for one in self._fixed.values():
            self._by_network.setdefault((one.network, one.address.version), []).append(one)
            if (one.network, one.address) in self._excluded and one.kind != "nobody":
                raise ConfigError(
                    f"vpnws-fixed gives {one.address} in the network {one.network} to"
                    f" {one.kind} {one.name}, and the server itself has that address"
                )

    def pool(self, network: str, version: int) -> Pool | None:
        """Return the pool of a network for a version of IP, 4 or 6."""
        return self._pools.get((network, version))

    def versions(self, network: str) -> tuple[int, ...]:
        """Return the versions of IP that a network has pools of."""
        return tuple(version for version in (4, 6) if (network, version) in self._pools)

    def may_have(self, who: Who, network: str, address: Address) -> bool:
        """Return whether `who` may have `address`, if nobody else has it."""
        if (network, address) in self._excluded:
            return False
        fixed = self._fixed.get((network, address))
        if fixed is not None:
            return fixed.is_for(who)
        pool = self.pool(network, address.version)
        return pool is not None and address in pool

    def is_known(self, network: str, address: Address) -> bool:
        """Return whether the plan has `address` for anybody."""
        fixed = self._fixed.get((network, address))
        pool = self.pool(network, address.version)
        is_known = fixed.kind != "nobody" if fixed is not None else pool and address in pool
        return bool(is_known) and (network, address) not in self._excluded

    def fixed_for(self, who: Who, network: str, version: int) -> list[Address]:
        """Return the addresses that are for `who` alone."""
        listed = self._by_network.get((network, version), ())
        return [one.address for one in listed if one.is_for(who)]

"""What a lease is asked for and answered with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from vpnws.lease.pool import Address


class Holder(NamedTuple):
    """A port that holds leases."""

    slot: int
    """Its process."""
    port: int
    """Its id, which no other port of a living process has; never LEFT."""
    most: int = 1
    """Addresses of one version that it may hold at once: as many as hosts may be behind it."""


@dataclass(frozen=True, slots=True)
class Lease:
    """An address that a station may use while its port is here, and for a time after that."""

    address: Address
    prefix_length: int
    """That of the subnet."""
    lease_s: int
    """How long it may use the address if it hears no more."""

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix_length}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """No address, and why: a sentence for the station's user and for the operator."""

    sentence: str


class Full(Refusal):
    """No address, because the whole pool was searched and none is free."""

    __slots__ = ()


Answer: TypeAlias = "Lease | Refusal"

"""Happy Eyeballs (RFC 8305): in which order, and when, a host's addresses are tried; no I/O."""

from __future__ import annotations

from collections import deque
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Iterable, Sequence

Address: TypeAlias = "tuple[socket.AddressFamily, tuple[str, int] | tuple[str, int, int, int]]"
"""One of a host's addresses, as a socket takes it."""
ATTEMPT_DELAY_S: Final = 0.25
"""While an address has not answered for this long, the next one is tried beside it (RFC 8305
section 5)."""
TCP_TIMEOUT_S: Final = 5.0
"""An address that takes longer to connect is given up."""


def interleave(addresses: Sequence[Address], doubtful: Collection[str] = ()) -> list[Address]:
    """Return `addresses` with the families in turn, the first one's first (RFC 8305 section 4).

    Within a family the order stays, which is the resolver's (RFC 6724). IP addresses that are
    `doubtful` come last.
    """
    if not addresses:
        return []
    preferred = addresses[0][0]
    different = dict.fromkeys(addresses)
    first = [address for address in different if address[0] == preferred]
    second = [address for address in different if address[0] != preferred]
    pairs = chain.from_iterable(zip_longest(first, second))
    order = [address for address in pairs if address is not None]
    return sorted(order, key=lambda address: address[1][0] in doubtful)


class Race:
    """One attempt to reach any of some addresses; the caller owns the sockets and the clock."""

    def __init__(self, addresses: Iterable[Address]) -> None:
        """Take the addresses in the order to try them."""
        self._waiting = deque(addresses)
        self._ends_s: dict[Address, float] = {}
        self._next_start_s = float("-inf")

    @property
    def is_lost(self) -> bool:
        """Whether every address has failed."""
        return not self._waiting and not self._ends_s

    def start(self, now: float) -> Address | None:
        """Return the address to try at `now`, in seconds; None while it is none's turn."""
        if not self._waiting or now < self._next_start_s:
            return None
        address = self._waiting.popleft()
        self._ends_s[address] = now + TCP_TIMEOUT_S
        self._next_start_s = now + ATTEMPT_DELAY_S
        return address

    def fail(self, address: Address) -> None:
        """Note that `address` has failed: the next one need not wait any longer."""
        del self._ends_s[address]
        self._next_start_s = float("-inf")

    def overdue(self, now: float) -> list[Address]:
        """Return the addresses that have had their time by `now`; they are yet to `fail`."""
        return [address for address, end_s in self._ends_s.items() if end_s <= now]

    @property
    def wake_s(self) -> float:
        """When to look again if no socket becomes ready before."""
        next_s = [self._next_start_s] if self._waiting else []
        return min(next_s + list(self._ends_s.values()))

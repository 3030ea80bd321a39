"""The ledger: all changes that are made now, in order; what is wanted no more is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.client.janitor.changes import Pin
from vpnws.client.janitor.machine import ChangeError
from vpnws.client.janitor.plan import plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vpnws.client.janitor.changes import Change
    from vpnws.client.janitor.deeds import Deed
    from vpnws.client.janitor.machine import Machine

MAX_CHANGES: Final = 256
"""Changes that a client can have at once; further ones are refused."""
MAX_PINS: Final = 32
"""Addresses that are pinned at once; the oldest is let go for a new one."""


class Ledger:
    """The changes of one device."""

    def __init__(self, machine: Machine, tap: str, write: Callable[[Sequence[Deed]], None]) -> None:
        """`write` writes the journal; it raises nothing."""
        self._machine = machine
        self._tap = tap
        self._write = write
        self._made: dict[Change, Deed | None] = {}
        """In the order in which they were made; None for what was so before."""

    def want(self, changes: Sequence[Change]) -> list[ChangeError]:
        """Have these changes and no others, but for pins; return what could not be, or be undone.

        What was lost meanwhile, as routes are when the device was set down, is made again.
        """
        wanted = dict.fromkeys(changes[:MAX_CHANGES])
        failures = [self._refused(each) for each in changes[MAX_CHANGES:]]
        for change in reversed(tuple(self._made)):
            if change not in wanted and not isinstance(change, Pin):
                said = self._undo(change)
                failures += [ChangeError(said)] if said else []
        # A device in another network namespace is out of reach, and not lost.
        if self._machine.index_of(self._tap):
            failures += self._have(tuple(wanted))
        self._write(self._deeds())
        return failures

    def pin(self, address: str) -> list[ChangeError]:
        """Have packets to `address` take the way without the device, as that way is now.

        Raises ValueError if that is no address to pin.
        """
        change = Pin(address)
        before = self._made.pop(change, None)
        if before is not None:
            # While it is there the kernel shows no other way.
            before.undo(self._machine)
        pins = [each for each in self._made if isinstance(each, Pin)]
        for each in pins[: max(0, len(pins) + 1 - MAX_PINS)]:
            self._undo(each)
        failures = self._have((change,))
        self._write(self._deeds())
        return failures

    def unpin(self, kept: Sequence[str]) -> None:
        """Let go of all pins but those of the addresses `kept`."""
        for change in reversed(tuple(self._made)):
            if isinstance(change, Pin) and change.address not in kept:
                self._undo(change)
        self._write(self._deeds())

    def undo_all(self) -> list[str]:
        """Undo everything, the last change first; return what a person must know."""
        said = [self._undo(change) for change in reversed(tuple(self._made))]
        self._write(())
        return [each for each in said if each]

    @property
    def has_something(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._deeds())

    def _have(self, changes: Sequence[Change]) -> list[ChangeError]:
        """Make changes, or make sure of those that are made; return what could not be."""
        new: dict[Change, Deed | None] = {}
        failures = []
        for change in changes:
            try:
                if change not in self._made:
                    new[change] = plan(self._machine, self._tap, change)
            except ChangeError as error:
                failures.append(error)
        if new:
            # First the journal: what is in it and was not done is undone without harm.
            self._made |= new
            self._write(self._deeds())
        for change in changes:
            try:
                if (deed := self._made.get(change)) is not None:
                    deed.do(self._machine)
            except ChangeError as error:
                failures.append(error)
                if change in new:
                    del self._made[change]
        return failures

    def _undo(self, change: Change) -> str:
        deed = self._made.pop(change)
        return "" if deed is None else deed.undo(self._machine)

    def _deeds(self) -> list[Deed]:
        return [deed for deed in self._made.values() if deed is not None]

    def _refused(self, change: Change) -> ChangeError:
        return ChangeError(f"more than {MAX_CHANGES} changes of {self._tap}: {change} is left out")

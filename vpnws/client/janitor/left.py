"""Undoes what clients have left that were killed together with their janitors."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from vpnws.client.janitor import journal
from vpnws.client.janitor.journal import JournalError, Lock, places
from vpnws.client.janitor.namespaces import is_gone, own_network
from vpnws.client.janitor.resolv_conf import ResolvConfDeed, left_by_power_failure

if TYPE_CHECKING:
    from pathlib import Path

    from vpnws.client.janitor.journal import Place
    from vpnws.client.janitor.machine import Machine


def undo_left(machine: Machine, directory: Path, held: Place | None = None) -> list[str]:
    """Undo what the journals of our network namespace say that no living process keeps.

    `held` is one whose lock we hold ourselves. Return a line for each device. Raises OSError
    without permission to do so.
    """
    lines, kept_files = [], set()
    for place in places(directory):
        if place == held:
            lines += _undo(machine, place)
            continue
        lock = Lock.take(place) if place.network == own_network() else None
        if lock is None:
            kept_files |= {each.path for each in _files(place)}
            continue
        lines += _undo(machine, place)
        lock.release()
    found = left_by_power_failure(machine.resolv_conf)
    if found is not None and found.path not in kept_files:
        lines.append(found.undo(machine) or f"{found.path}: restored")
    return lines


def undo_left_of_gone(machine: Machine, directory: Path) -> list[str]:
    """Undo what is left of network namespaces that are gone: files, and the journals themselves.

    Return a line for each journal that stays, but for those of clients that run in other network
    namespaces. Raises OSError without permission to do so.
    """
    lines = []
    for place in places(directory):
        lock = Lock.take(place)
        if lock is None and place.network == own_network():
            lines.append(f"{place.tap}: its client runs, so nothing is undone")
        if lock is None:
            continue
        if is_gone(place.network):
            lines += _undo(machine, place)
        elif place.network != own_network() and place.path.exists():
            lines.append(
                f"{place.tap} is of another network namespace: run vpnws-client clean there"
            )
        lock.release()
    return lines


def _undo(machine: Machine, place: Place) -> list[str]:
    """Undo one journal, whose lock we hold, and remove it; there may be none."""
    if not place.path.exists():
        return []
    try:
        deeds = journal.read(place)
    except JournalError as error:
        return [f"{place.tap}: {error}; delete it when nothing is left to undo"]
    if place.network != own_network():
        # Its devices and routes went with the namespace. Files did not.
        deeds = [each for each in deeds if isinstance(each, ResolvConfDeed)]
    said = [each for each in (deed.undo(machine) for deed in reversed(deeds)) if each]
    journal.write(place, ())
    return [f"{place.tap}: undone what a killed client had left", *said]


def _files(place: Place) -> list[ResolvConfDeed]:
    with suppress(JournalError):
        return [each for each in journal.read(place) if isinstance(each, ResolvConfDeed)]
    return []

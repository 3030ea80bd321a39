"""Undoes what clients have left that were killed together with their janitors."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vpnws.client.janitor import journal
from vpnws.client.janitor.journal import JournalError, Lock, own_network, places
from vpnws.client.janitor.resolv_conf import ResolvConfDeed, left_by_power_failure

if TYPE_CHECKING:
    from vpnws.client.janitor.journal import Place
    from vpnws.client.janitor.machine import Machine

_NETWORKS: Final = ("/proc/[0-9]*/ns/net", "/run/netns/*")
"""Where the network namespaces that still are can be seen."""


def undo_left(machine: Machine, directory: Path) -> list[str]:
    """Undo what the journals in `directory` say that no living process keeps.

    Return a line for each device. Raises OSError without permission to do so.
    """
    lines, kept_files = [], set()
    for place in places(directory):
        if place.network != own_network() and place.network in _living_networks():
            lines.append(
                f"{place.tap}: it was in another network namespace: run vpnws-client clean there"
            )
            continue
        lock = Lock.take(place)
        if lock is None:
            kept_files |= {each.path for each in _files(place)}
            lines.append(f"{place.tap}: its client runs, so nothing is undone")
            continue
        lines += _undo(machine, place)
        lock.release()
    found = left_by_power_failure(machine.resolv_conf)
    if found is not None and found.path not in kept_files:
        lines.append(found.undo(machine) or f"{found.path}: restored")
    return lines


def _undo(machine: Machine, place: Place) -> list[str]:
    """Undo one journal, whose lock we hold, and remove it."""
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


def _living_networks() -> set[str]:
    """Return the numbers of the network namespaces that processes are in, or that have a name."""
    found = set()
    for pattern in _NETWORKS:
        for path in Path("/").glob(pattern[1:]):
            with suppress(OSError):
                found.add(str(path.stat().st_ino))
    return found

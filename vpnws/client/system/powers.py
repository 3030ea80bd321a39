"""Decides what the janitor of a client may do, from the options alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vpnws.client.janitor.changes import Address, Mtu, NameServers, Route, Switch
from vpnws.client.janitor.process import Powers

if TYPE_CHECKING:
    from pathlib import Path

    from vpnws.client.settings import ClientSettings


def powers_of(settings: ClientSettings, tap: str, files: tuple[Path, ...] = ()) -> Powers:
    """Return what a janitor for the device `tap` may do; at the end it removes `files`.

    Whoever takes over the client, by a fault in it, can make it ask for no more than that.
    """
    network = settings.network
    kinds = {Address, Mtu, Switch}
    own_routes = network.routes or network.default_route or network.broadcast
    if own_routes or "routes" in network.accept:
        kinds.add(Route)
    if network.dns or "dns" in network.accept:
        kinds.add(NameServers)
    names = frozenset(kind.__name__ for kind in kinds)
    return Powers(tap, names, network.up, network.down, files)

"""What control asks of the server's processes about MACs and IP addresses (see asks)."""

from __future__ import annotations

from msgspec import Struct

from vpnws.control.asks import Ask, Done
from vpnws.control.paging import Filter, Rows
from vpnws.control.rules import Pin
from vpnws.control.views import AddressView, FdbView


class FdbAsk(Ask[Rows[FdbView]], frozen=True, kw_only=True):
    """Which MACs does this process have, and which has it reserved?"""

    filter: Filter = Filter()


class AddressesAsk(Ask[Rows[AddressView]], frozen=True, kw_only=True):
    """Which IP addresses has this process heard on its ports?"""

    filter: Filter = Filter()


class FlushAsk(Ask[Done], frozen=True, kw_only=True):
    """Forget where MACs are: one, or all of a port of this process, or all of a network."""

    network: str = ""
    mac: str = ""
    port: str = ""
    by: str = ""


class FreeAsk(Ask[Done], frozen=True, kw_only=True):
    """Free a MAC that is reserved for a name whose station is away."""

    network: str
    mac: str
    by: str = ""


class PinAsk(Ask[Done], frozen=True, kw_only=True):
    """Give a MAC to an identity until it is unpinned."""

    pin: Pin


class UnpinAsk(Ask[Done], frozen=True, kw_only=True):
    """Remove the pin with this id."""

    id: str
    by: str = ""


class PinList(Struct, frozen=True):
    """All pins, by network and MAC."""

    pins: tuple[Pin, ...]


class PinsAsk(Ask[PinList], frozen=True):
    """Which MACs are pinned?"""

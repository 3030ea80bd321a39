"""Follows a station's life with DHCP: asks when it is connected, and says what comes of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from vpnws.client.dhcp.offers import offer_of
from vpnws.client.life import Follower
from vpnws.dhcp.client import Change
from vpnws.wire.offer import Offer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from vpnws.client.aside import Alarm
    from vpnws.client.life import Link
    from vpnws.client.waiting import Waiter
    from vpnws.dhcp.grant import Grant
    from vpnws.errors import ConnectError

SILENCE_S: Final = 10.0
"""If no DHCP server has answered for so long after the station was connected, it says so."""
_SILENCE: Final = (
    "no DHCP server has answered on %s for %.0f s, and the client keeps asking: the network needs"
    " one (vpnws-dhcp = on at the server, or one in its LAN), or give the address with --address"
)
SOURCE: Final = "dhcp"
log = logging.getLogger(__name__)


Changed: TypeAlias = "Callable[[Change, Grant | None], None]"
"""Is told what has become of the address, and what is granted now."""


class DhcpClient(Protocol):
    """Has an address leased, and tells what has become of it."""

    def connected(self, mac: bytes) -> None:
        """Ask for an address, or whether the one from before still holds."""

    def leaving(self) -> list[bytes]:
        """Give the address up; return the frames that tell the server."""

    def close(self) -> None:
        """End."""


class Dhcp(Follower):
    """Has an address leased while the station is connected, and given up when the program ends."""

    def __init__(
        self,
        make: Callable[[Changed], DhcpClient],
        waiter: Waiter,
        apply: Callable[[str, Offer], None],
        accepted: Collection[str],
    ) -> None:
        """`make` makes the client, given who is told of changes; `apply` has an offer applied.

        `accepted` are the parts of an answer that are taken, as --accept calls them.
        """
        self._client = make(self._changed)
        self._waiter = waiter
        self._apply = apply
        self._accepted = accepted
        self._tap_name = ""
        self._has_address = False
        self._shown = ""
        self._silence: Alarm | None = None

    def connected(self, link: Link) -> None:
        """Ask for an address, or whether the one from before still holds."""
        self._tap_name = link.tap_name
        self._stop_silence()
        if not self._has_address:
            at_s = self._waiter.now() + SILENCE_S
            self._silence = self._waiter.aside.alarm(at_s, self._say_silence)
        self._client.connected(link.mac)

    def lost(self, error: ConnectError, delay_s: float) -> None:
        """Keep the address: its lease goes on."""
        del error, delay_s
        self._stop_silence()

    def leaving(self) -> Sequence[bytes]:
        """Return the frames that give the address up."""
        return self._client.leaving()

    def ended(self, reason: str) -> None:
        """End."""
        del reason
        self._stop_silence()
        self._client.close()

    def _changed(self, change: Change, grant: Grant | None) -> None:
        self._has_address = grant is not None
        offer = Offer()
        if grant is not None:
            self._stop_silence()
            offer = offer_of(grant, self._accepted)
        self._say(change, grant)
        self._apply(SOURCE, offer)

    def _say(self, change: Change, grant: Grant | None) -> None:
        """Say what a person must know: a lease that goes on is none of it."""
        name = self._tap_name
        if grant is not None:
            shown = str(grant.interface)
            if change is Change.BOUND or shown != self._shown:
                log.info("%s has the address %s by DHCP, %s", name, shown, _lasting(grant))
            self._shown = shown
        elif change is Change.IN_USE:
            log.warning("the address that the DHCP server has offered is in use: asking again")
        else:
            why = "its lease has ended and nobody has renewed it"
            if change is Change.REFUSED:
                why = "the DHCP server has taken it back"
            log.warning("%s no longer has the address %s: %s", name, self._shown, why)

    def _say_silence(self, now: float) -> None:
        del now
        log.warning(_SILENCE, self._tap_name, SILENCE_S)

    def _stop_silence(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None


def _lasting(grant: Grant) -> str:
    server = ".".join(map(str, grant.server))
    time = "for ever" if grant.lease_s is None else f"for {grant.lease_s:.0f} s"
    return f"from {server} {time}"

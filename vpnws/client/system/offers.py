"""Takes of the server's offers what the user accepts, and says what is left out."""

from __future__ import annotations

import logging
from dataclasses import replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from vpnws.client.life import Follower
from vpnws.client.settings import ACCEPTABLE, DEFAULT_MTU_BYTES
from vpnws.client.system.wanted import is_default
from vpnws.wire.offer import Offer

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.client.aside import Alarm
    from vpnws.client.life import Link
    from vpnws.client.settings import ClientSettings
    from vpnws.client.waiting import Waiter
    from vpnws.errors import ConnectError

SILENCE_S: Final = 10.0
"""A station that has no address so long after it was connected says how to get one."""
MAX_SAID: Final = 32
"""Different sentences about offers that one run says; a server could make up ever new ones."""
SOURCE: Final = "server"
_SILENCE: Final = (
    "connected, but without an address after %.0f s: %s has none but link-local ones, so nothing"
    " reaches it by IP; give it one (--address 10.8.0.2/24), ask the network's DHCP server"
    " (--dhcp), or have the operator of the switch set vpnws-pool"
)
log = logging.getLogger(__name__)


class Offers(Follower):
    """What the server has offered, as far as it is accepted.

    An offer counts until another one comes. If a later connection brings none, its address stays
    for as long as the server keeps it for this station, and is then taken away.
    """

    def __init__(
        self,
        settings: ClientSettings,
        waiter: Waiter,
        apply: Callable[[str, Offer], None],
        addresses: Callable[[str], list[bytes] | None],
    ) -> None:
        """`apply` has an offer applied; `addresses` returns those of a device, None if unknown."""
        self._settings = settings
        self._waiter = waiter
        self._apply = apply
        self._addresses = addresses
        self._accepted = Offer()
        self._kept_until_s = 0.0
        self._is_connected = False
        self._said: set[str] = set()
        self._alarms: list[Alarm] = []

    def connected(self, link: Link) -> None:
        """Wait for an offer, and for an address from wherever."""
        self._is_connected = True
        self._stop()
        now = self._waiter.now()
        if self._accepted.has_settings:
            self._set_alarm(max(now + SILENCE_S, self._kept_until_s), self._drop)
        if not self._settings.bridge and not self._settings.network.dhcp:
            self._set_alarm(now + SILENCE_S, lambda _: self._look(link.tap_name))

    def told(self, offer: Offer) -> None:
        """Take what is accepted; a notice alone changes nothing."""
        if not offer.has_settings:
            return
        accepted = self._accept(offer)
        if accepted.address != self._accepted.address and accepted.address:
            log.info("the server gives this station %s", ", ".join(accepted.address))
        self._accepted = accepted
        # Nothing is left to be dropped; whether there is an address is still looked at.
        self._kept_until_s = 0.0
        self._apply(SOURCE, accepted)

    def lost(self, error: ConnectError, delay_s: float) -> None:
        """Keep what there is: the next connection brings it again."""
        del error, delay_s
        if self._is_connected:
            self._is_connected = False
            self._kept_until_s = self._waiter.now() + self._accepted.lease_s
        self._stop()

    def ended(self, reason: str) -> None:
        """Wait for nothing more."""
        del reason
        self._stop()

    def _accept(self, offer: Offer) -> Offer:
        """Return of `offer` what is accepted, and say what is not."""
        settings = self._settings
        accept = set(settings.network.accept)
        if settings.bridge:
            # The address of a host whose TAP is a bridge's port belongs to the bridge.
            accept.discard("address")
        if settings.mtu_bytes != DEFAULT_MTU_BYTES:
            accept.discard("mtu")
        default = tuple(filter(is_default, offer.routes))
        plain = replace(offer, routes=tuple(each for each in offer.routes if each not in default))
        for name in ACCEPTABLE:
            if name not in accept and getattr(plain, name):
                self._say_left_out(name, getattr(plain, name))
        if default and not settings.network.default_route:
            self._say_not_applied("routes", ", ".join(default), "--default-route applies it")
        wanted = default if settings.network.default_route else ()
        return Offer(
            address=offer.address if "address" in accept else (),
            routes=(*(plain.routes if "routes" in accept else ()), *wanted),
            dns=offer.dns if "dns" in accept else (),
            mtu=offer.mtu if "mtu" in accept else 0,
            lease_s=offer.lease_s,
        )

    def _say_left_out(self, name: str, value: tuple[str, ...] | int) -> None:
        shown = str(value) if isinstance(value, int) else ", ".join(value)
        why = f"--accept {','.join((*self._settings.network.accept, name))} applies it"
        if name == "address" and self._settings.bridge:
            why = "the bridge has the addresses here"
        elif name == "mtu" and self._settings.mtu_bytes != DEFAULT_MTU_BYTES:
            why = f"--mtu {self._settings.mtu_bytes} counts"
        self._say_not_applied(name, shown, why)

    def _say_not_applied(self, name: str, shown: str, why: str) -> None:
        self._say(f"the server offers {name} {shown}, which is not applied: {why}")

    def _drop(self, now: float) -> None:
        """Give up what an earlier connection brought, if this one has brought nothing."""
        if self._kept_until_s and now >= self._kept_until_s:
            self._say(
                f"the server does not offer {', '.join(self._accepted.address) or 'this'} any more:"
                " it is taken away again"
            )
            self._kept_until_s = 0.0
            self._accepted = Offer()
            self._apply(SOURCE, self._accepted)

    def _look(self, tap_name: str) -> None:
        """Say that the device has no address, and how it gets one."""
        found = self._addresses(tap_name)
        if found is not None and not any(map(_is_usable, found)):
            self._say(_SILENCE % (SILENCE_S, tap_name))

    def _set_alarm(self, at_s: float, ring: Callable[[float], None]) -> None:
        self._alarms.append(self._waiter.aside.alarm(at_s, ring))

    def _stop(self) -> None:
        for alarm in self._alarms:
            alarm.cancel()
        self._alarms.clear()

    def _say(self, sentence: str) -> None:
        """Say a sentence once."""
        if sentence not in self._said and len(self._said) < MAX_SAID:
            self._said.add(sentence)
            log.warning("%s", sentence)


def _is_usable(packed: bytes) -> bool:
    """Return whether an address is one that others can reach over a router."""
    address = ip_address(packed)
    return not (address.is_link_local or address.is_loopback)

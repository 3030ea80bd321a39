"""Keeps this machine's network as the options and the server's offers say, through the janitor."""

from __future__ import annotations

import ipaddress
import logging
import select
from typing import TYPE_CHECKING, Final

from vpnws.client.janitor.changes import Address
from vpnws.client.janitor.messages import Call, KeepPins, PinOne, Want
from vpnws.client.janitor.process import LOCK_S
from vpnws.client.life import Follower
from vpnws.client.system.caution import Caution
from vpnws.client.system.interface import as_tap_error
from vpnws.client.system.resolvers import name_servers
from vpnws.client.system.wanted import Wanted, versions_beside
from vpnws.errors import TapError
from vpnws.text import one_line
from vpnws.wire.ethernet import format_mac

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.client.janitor.caller import Janitor
    from vpnws.client.janitor.messages import Answer, Request
    from vpnws.client.life import Link
    from vpnws.client.settings import ClientSettings
    from vpnws.client.waiting import Waiter
    from vpnws.errors import ConnectError
    from vpnws.wire.offer import Offer

ADDRESS_S: Final = 2.0
"""So long after it is connected, a station without an address runs the command of --exec.

It adds its routes then too: the device may have an address that nobody has told the client of."""
BEGIN_S: Final = LOCK_S + 5.0
"""A janitor that cannot begin in this time ends the program."""
GATEWAY_S: Final = 10.0
"""A station with --default-route that has no gateway so long after it is connected says so."""
MAX_SAID: Final = 64
"""Sentences that are remembered, so that each is said once; after more, all may be said again."""
log = logging.getLogger(__name__)


class Network(Follower):
    """The network of one station's machine."""

    def __init__(
        self,
        settings: ClientSettings,
        tap: str,
        janitor: Janitor,
        waiter: Waiter,
        servers: Callable[[], list[str]] = name_servers,
        versions_beside: Callable[[str], list[int]] = versions_beside,
        caution: Caution | None = None,
    ) -> None:
        """`tap` is the device; `servers` returns the name servers that the machine asks now.

        `versions_beside` returns the IP versions whose default route is not the device's; `caution`
        decides what of offers is harmless. By default both are as this machine is.
        """
        self._versions_beside = versions_beside
        self._settings = settings
        self._tap = tap
        self._janitor = janitor
        self._waiter = waiter
        self._servers = servers
        self._caution = caution or Caution(settings, tap)
        self._wanted = Wanted(settings)
        self._link: Link | None = None
        self._is_early = True
        """Whether the server or DHCP may still bring the address that routes need."""
        self._was: Link | None = None
        """The connection that --exec has been run for, and --exec-down not yet."""
        self._said: set[str] = set()

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of the device, each with its prefix length."""
        return self._wanted.addresses

    def begin(self) -> None:
        """Give the device what it needs before it is connected.

        Raises TapError or TapPermissionError if an address cannot be given, Stopped when told to
        stop.
        """
        for failure in self._ask_patiently(Want(tuple(map(Address, self.addresses)))).failures:
            raise as_tap_error(failure)
        self._waiter.aside.watch(self._janitor.fd, self._serve)
        self._waiter.before_connect = self._pin
        # Without this the station is of use all the same.
        self._ask(Want(tuple(self._wanted.before_connecting())))

    def apply(self, source: str, offer: Offer) -> None:
        """Have what `source` offers now instead of what it has offered before.

        `source` is "server" or "dhcp". A default route in the offer is a gateway for
        --default-route, and nothing without that option. What would take over more of this machine
        than the user accepts is left out (see Caution). It does not wait for the changes.
        """
        taken = self._caution.sift(offer, self._in_use(), self._say)
        wanted = Wanted(self._settings, {**self._wanted.offers, source: taken})
        before = self._wanted
        if wanted.changes(is_connected=True) == before.changes(is_connected=True):
            return
        self._wanted = wanted
        self._tell()
        if self._link is not None and wanted.addresses != before.addresses:
            self._call_up("the addresses have changed" if before.addresses else "connected")

    def connected(self, link: Link) -> None:
        """Pin no address but the server's, and make sure of everything else."""
        self._link = link
        self._send(KeepPins((link.server_address,)))
        self._tell()
        now, aside = self._waiter.now(), self._waiter.aside
        if self._is_early:
            aside.alarm(now + ADDRESS_S, self._route_anyway)
        if self._settings.network.default_route:
            aside.alarm(now + GATEWAY_S, self._look_for_gateway)
        if self.addresses or self._settings.bridge:
            self._call_up("connected")
        else:
            aside.alarm(now + ADDRESS_S, self._come_up_anyway)

    def lost(self, error: ConnectError, delay_s: float) -> None:
        """Have names looked up as without the VPN, by a way that leads around it."""
        del delay_s
        if self._link is None:
            return
        self._link = None
        self._call_down(str(error))
        self._ask(self._want())
        for server in self._servers():
            if self._wanted.covers(server):
                self._ask(PinOne(server))

    def ended(self, reason: str) -> None:
        """Have everything undone, and wait for that."""
        self._waiter.aside.unwatch(self._janitor.fd)
        try:
            self._call_down(reason)
        finally:
            for sentence in self._janitor.close():
                self._say(sentence)

    def _in_use(self) -> list[str]:
        """Return addresses that must be reached without the VPN.

        A private name server may be in the VPN, or is in a network that is near.
        """
        own = [] if self._link is None else [self._link.server_address.partition("%")[0]]
        return own + [each for each in self._servers() if ipaddress.ip_address(each).is_global]

    def _would_swallow(self, address: str) -> bool:
        return self._wanted.covers(address) or self._wanted.is_beside(address)

    def _pin(self, address: str) -> None:
        """Pin an address that is about to be connected to, if the device would swallow it."""
        host = ipaddress.ip_address(address.partition("%")[0])
        if not (host.is_loopback or host.is_link_local) and self._would_swallow(str(host)):
            self._ask(PinOne(str(host)))

    def _tell(self) -> None:
        """Tell the janitor what is wanted; first what keeps the connection alive."""
        link = self._link
        if link is not None and self._would_swallow(link.server_address):
            self._send(PinOne(link.server_address))
        self._send(self._want())

    def _want(self) -> Want:
        is_connected = self._link is not None
        return Want(tuple(self._wanted.changes(is_connected=is_connected, is_early=self._is_early)))

    def _route_anyway(self, now: float) -> None:
        del now
        if self._link is not None:
            self._is_early = False
            if self._wanted.is_early:
                self._tell()

    def _look_for_gateway(self, now: float) -> None:
        """Say what --default-route still waits for, or what it leaves out."""
        del now
        if self._link is None:
            return
        if self._wanted.lacks_gateway:
            self._say(
                "--default-route waits, because no gateway is known, or no address to reach it"
                " from: name it (--gateway 10.8.0.1), or have the server offer it"
            )
            return
        for version in self._versions_beside(self._tap):
            if not self._wanted.has_halves(version):
                self._say(
                    f"--default-route is for IPv{6 if version == 4 else 4} only, because no gateway"
                    f" for IPv{version} is known: IPv{version} still leaves beside the VPN; name a"
                    " gateway for it too (--gateway), or turn it off"
                )

    def _come_up_anyway(self, now: float) -> None:
        del now
        if self._link is not None and self._was is None:
            self._call_up("connected, without an address")

    def _call_up(self, reason: str) -> None:
        if self._link is not None:
            self._was = self._link
            self._send(Call(is_up=True, variables=self._variables(self._link, reason)))

    def _call_down(self, reason: str) -> None:
        """Run the command of --exec-down, if that of --exec has been run."""
        was, self._was = self._was, None
        if was is not None:
            self._send(Call(is_up=False, variables=self._variables(was, reason)))

    def _variables(self, link: Link, reason: str) -> dict[str, str]:
        """Return what a command gets; a stranger's words are in the reason only."""
        return {
            "VPNWS_TAP": self._tap,
            "VPNWS_MAC": format_mac(link.mac),
            "VPNWS_SERVER": link.url.shown,
            "VPNWS_ADDRESS": " ".join(self.addresses),
            "VPNWS_REASON": one_line(reason),
        }

    def _send(self, request: Request) -> None:
        self._janitor.send(request)

    def _ask_patiently(self, request: Request) -> Answer:
        """Return the answer to the first request, before which a janitor may have to be waited for.

        That is the one of a client that was killed, which still undoes what it has done.
        """
        number = self._janitor.send(request)
        until_s = self._waiter.now() + BEGIN_S
        while True:
            answer = self._janitor.read()
            if answer is not None and answer.number == number:
                return answer
            if answer is not None:
                self._hear(answer)
                continue
            try:
                self._waiter.wait(self._janitor.fd, select.POLLIN, until_s)
            except TimeoutError as error:
                raise TapError(
                    f"cannot set up {self._tap}: this system does not answer in time"
                ) from error

    def _ask(self, request: Request) -> None:
        """Send a request and wait for its answer, for a bounded time."""
        answer = self._janitor.ask(request)
        if answer is None:
            self._say("this system takes long to change its network; the client goes on meanwhile")
        else:
            self._hear(answer)
        self._serve()

    def _serve(self) -> None:
        """Hear what the janitor says."""
        while (answer := self._janitor.read()) is not None:
            self._hear(answer)

    def _hear(self, answer: Answer) -> None:
        for failure in answer.failures:
            self._say(str(failure))
        for sentence in answer.said:
            self._say(sentence)

    def _say(self, sentence: str) -> None:
        """Say a sentence once."""
        if sentence not in self._said:
            if len(self._said) >= MAX_SAID:
                self._said.clear()
            self._said.add(sentence)
            log.warning("%s", sentence)

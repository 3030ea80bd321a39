"""Those who follow a station's life: what they are told, and when."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vpnws.client.round_trip import RoundTrip
from vpnws.errors import VpnwsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vpnws.client.settings import ServerUrl
    from vpnws.errors import ConnectError
    from vpnws.wire.offer import Offer


@dataclass(frozen=True, slots=True)
class Link:
    """A connection that was made."""

    url: ServerUrl
    server_address: str
    """The IP address that was connected to; a proxy's if one is used."""
    tap_name: str
    mac: bytes
    """What the station has announced."""
    has_offload: bool
    fd: int
    """The descriptor of its TCP connection, valid until the connection ends."""
    known_addresses: tuple[str, ...] = ()
    """Every IP address that the next connections may go to, as far as names were looked up: what
    a default route through the VPN must leave alone."""
    round_trip: RoundTrip = field(default_factory=RoundTrip)
    """How long the server takes to answer pings; it changes while the connection lives."""


class Follower:
    """Follows a station's life; each call does nothing here.

    A VpnwsError that one raises ends the program, with the exit code that it means.
    """

    def dialing(self, server: ServerUrl) -> None:
        """Note that an attempt to connect to `server` begins."""

    def connected(self, link: Link) -> None:
        """Note that frames pass from now on."""

    def told(self, offer: Offer) -> None:
        """Note what the server has said; it may say so again, and something else."""

    def lost(self, error: ConnectError, delay_s: float) -> None:
        """Note that there is no connection, and that the next attempt comes after `delay_s`.

        It is called for each failed attempt too.
        """

    def leaving(self) -> Sequence[bytes]:
        """Return frames to send before a connection is closed because the program ends."""
        return ()

    def ended(self, reason: str) -> None:
        """Note that the program ends, and undo what must not stay; called once."""


class Followers(Follower):
    """Several followers, told in their order, and of the end in the opposite order."""

    def __init__(self, followers: Sequence[Follower]) -> None:
        self._followers = followers

    def dialing(self, server: ServerUrl) -> None:
        """Tell all of them."""
        for follower in self._followers:
            follower.dialing(server)

    def connected(self, link: Link) -> None:
        """Tell all of them."""
        for follower in self._followers:
            follower.connected(link)

    def told(self, offer: Offer) -> None:
        """Tell all of them."""
        for follower in self._followers:
            follower.told(offer)

    def lost(self, error: ConnectError, delay_s: float) -> None:
        """Tell all of them."""
        for follower in self._followers:
            follower.lost(error, delay_s)

    def leaving(self) -> Sequence[bytes]:
        """Return the frames of all of them."""
        return [frame for follower in self._followers for frame in follower.leaving()]

    def ended(self, reason: str) -> None:
        """Tell all of them, also if one fails."""
        with ExitStack() as stack:
            for follower in self._followers:
                stack.callback(follower.ended, reason)


@contextmanager
def telling_the_end(follower: Follower) -> Iterator[None]:
    """Tell `follower` of the end, however it comes."""
    reason = "stopped"
    try:
        yield
    except VpnwsError as error:
        reason = str(error)
        raise
    finally:
        follower.ended(reason)

"""The frames that a DHCP client sends, and what is in each (RFC 2131 tables 4 and 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.wire.announce import announcements, probe
from vpnws.wire.dhcp import BOOTREQUEST, MAX_MESSAGE_BYTES, NO_IP, Kind, Message, Option, Way
from vpnws.wire.dhcp_frame import Ends, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.dhcp.grant import Grant

MAX_HOST_NAME_BYTES: Final = 63
"""A longer name is not told to servers: no DNS takes it (RFC 1035 2.3.4)."""
_SECS_END: Final = 0xFFFF
_WANTED: Final = bytes(
    (
        # Before the routers (RFC 3442).
        Option.CLASSLESS_ROUTES,
        Option.SUBNET_MASK,
        Option.ROUTERS,
        Option.STATIC_ROUTES,
        Option.DNS,
        Option.MTU,
        Option.LEASE_S,
        Option.RENEWAL_S,
        Option.REBINDING_S,
    )
)
_TAKES: Final = MAX_MESSAGE_BYTES.to_bytes(2)


class Asking:
    """Makes the requests of one client; those of one exchange have the same number."""

    def __init__(self, mac: bytes, random: Callable[[], float], host_name: str) -> None:
        """`random` returns floats from 0 to 1."""
        self.mac = mac
        self.sent_s = 0.0
        """When the last request was made."""
        self._random = random
        self._xid = 0
        self._began_s = 0.0
        name = host_name.encode("ascii", "ignore")
        self._name: dict[int, bytes] = (
            {Option.HOST_NAME: name} if 0 < len(name) <= MAX_HOST_NAME_BYTES else {}
        )

    def begin(self, now: float) -> None:
        """Begin an exchange."""
        self._xid = int(self._random() * 0xFFFFFFFF)
        self._began_s = now

    def is_answered_by(self, message: Message) -> bool:
        """Return whether `message` belongs to the exchange under way."""
        return message.xid == self._xid and message.mac == self.mac

    def discover(self, now: float) -> bytes:
        """Ask all servers for an offer."""
        return self._to_all(self._message(Kind.DISCOVER, now))

    def request(self, offered: Grant, now: float) -> bytes:
        """Take an offer; all servers hear it."""
        options = self._server(offered) | self._wanted_ip(offered)
        return self._to_all(self._message(Kind.REQUEST, now, options))

    def reboot(self, had: Grant, now: float) -> bytes:
        """Ask whether an address from before may still be used."""
        return self._to_all(self._message(Kind.REQUEST, now, self._wanted_ip(had)))

    def renew(self, had: Grant, now: float) -> bytes:
        """Ask the server that gave an address to let us keep it."""
        return self._to_server(had, self._message(Kind.REQUEST, now, ciaddr=had.interface.packed))

    def rebind(self, had: Grant, now: float) -> bytes:
        """Ask any server to let us keep an address."""
        message = self._message(Kind.REQUEST, now, ciaddr=had.interface.packed)
        return self._to_all(message, had.interface.packed)

    def release(self, had: Grant) -> bytes:
        """Tell the server that its address is free."""
        self.begin(self.sent_s)
        options = self._server(had)
        return self._to_server(had, self._plain(Kind.RELEASE, options, had.interface.packed))

    def decline(self, offered: Grant) -> bytes:
        """Tell the server that somebody else has the address that it gave."""
        return self._to_all(
            self._plain(Kind.DECLINE, self._server(offered) | self._wanted_ip(offered))
        )

    def probe(self, offered: Grant) -> bytes:
        """Ask whether somebody has the address."""
        return probe(self.mac, offered.interface.packed)

    def announce(self, had: Grant) -> bytes:
        """Tell everybody that the address is here."""
        (frame,) = announcements(self.mac, [had.interface.packed], is_router=False)
        return frame

    def _message(
        self, kind: Kind, now: float, options: dict[int, bytes] | None = None, ciaddr: bytes = NO_IP
    ) -> Message:
        """Return a request that wants an answer."""
        self.sent_s = now
        secs = min(int(now - self._began_s), _SECS_END)
        asked: dict[int, bytes] = {
            **(options or {}),
            **self._name,
            Option.MAX_BYTES: _TAKES,
            Option.PARAMETERS: _WANTED,
        }
        return Message(BOOTREQUEST, kind, self._xid, self.mac, secs, ciaddr=ciaddr, options=asked)

    def _plain(self, kind: Kind, options: dict[int, bytes], ciaddr: bytes = NO_IP) -> Message:
        """Return a message that nobody answers."""
        return Message(BOOTREQUEST, kind, self._xid, self.mac, ciaddr=ciaddr, options=options)

    def _server(self, grant: Grant) -> dict[int, bytes]:
        return {Option.SERVER_ID: grant.server}

    def _wanted_ip(self, grant: Grant) -> dict[int, bytes]:
        return {Option.REQUESTED_IP: grant.interface.packed}

    def _to_all(self, message: Message, source: bytes = NO_IP) -> bytes:
        return wrap(message, Way.TO_SERVER, Ends(self.mac, source))

    def _to_server(self, had: Grant, message: Message) -> bytes:
        # Its MAC is known from its answer, so nobody needs to be asked for it.
        ends = Ends(self.mac, had.interface.packed, had.server_mac, had.server)
        return wrap(message, Way.TO_SERVER, ends)

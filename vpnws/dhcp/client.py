"""The DHCP client as a state machine (RFC 2131 4.4): messages and `now` in, frames and news out.

```
        start                 offer             ACK                probed
 INIT --------> SELECTING ---------> REQUESTING ----> CHECKING --------------> BOUND
   ^                                     |               |                     |   ^
   |            NAK, silence             |   in use      |                at T1|   | ACK
   +-------------------------------------+---------------+                     v   |
   ^                                                                        RENEWING
   |            NAK, or the lease has ended                            at T2   |   | ACK
   +--------------------------------------- REBINDING <------------------------+   v
                                                                              BOUND
 reconnected, with a lease: REBOOTING: an ACK keeps it, a NAK ends it, silence lets it go on
```

Whoever drives it sends the frames, tells it of each message and of each ARP packet that comes in,
and calls `tick` at `due_s`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from vpnws.dhcp.asking import Asking
from vpnws.dhcp.grant import Grant, read_grant
from vpnws.wire.dhcp import BOOTREPLY, Kind, Way

if TYPE_CHECKING:
    from collections.abc import Callable

    from vpnws.wire.dhcp_frame import Received
    from vpnws.wire.discovery import Arp

FIRST_DELAY_S: Final = 4.0
"""Without an answer, a client asks again after so long, then after twice as long, and so on."""
MAX_DELAY_S: Final = 64.0
"""It never waits longer for a server to appear (RFC 2131 4.1)."""
MAX_REQUESTS: Final = 4
"""An offer is asked for so often. If nobody answers, the client looks for servers again."""
MAX_REBOOTS: Final = 2
"""After a reconnection, a lease is confirmed by so many requests. If nobody answers, it goes on
until it ends (RFC 2131 3.2)."""
JITTER_S: Final = 1.0
"""Each wait is longer or shorter by up to this, so that a class that asked at once does not do so
again."""
CHECK_S: Final = 0.4
"""For so long a new address is watched: whoever has it answers an ARP probe."""
DECLINE_S: Final = 10.0
"""So long a client waits after an address that somebody else has (RFC 2131 3.1)."""
MIN_RENEW_DELAY_S: Final = 60.0
"""Requests to keep a lease are at least this far apart (RFC 2131 4.4.5), or a sixteenth of a lease
that is short."""


class State(StrEnum):
    """Where a client is (RFC 2131 4.4, figure 5)."""

    INIT = "init"
    SELECTING = "selecting"
    REQUESTING = "requesting"
    CHECKING = "checking"
    REBOOTING = "rebooting"
    BOUND = "bound"
    RENEWING = "renewing"
    REBINDING = "rebinding"


_ASKING: Final = (State.REQUESTING, State.REBOOTING, State.RENEWING, State.REBINDING)
"""Where a refusal counts: one that comes after an acknowledgement is of another server."""
_HOLDING: Final = (State.REBOOTING, State.BOUND, State.RENEWING, State.REBINDING)


class Change(StrEnum):
    """What has become of the address."""

    BOUND = "bound"
    """There is a new one: use it."""
    KEPT = "kept"
    """The lease goes on; what the server tells may have changed."""
    REFUSED = "refused"
    """The server has taken it back: stop to use it."""
    ENDED = "ended"
    """The lease has ended and nobody has renewed it: stop to use it."""
    IN_USE = "in use"
    """Somebody else has the address that was offered; it was never used here."""


@dataclass(slots=True)
class Step:
    """What is to do now: frames to send, and what has changed."""

    frames: list[bytes] = field(default_factory=list)
    change: Change | None = None


class Client:
    """One client on one link."""

    def __init__(self, mac: bytes, random: Callable[[], float], host_name: str = "") -> None:
        """`random` returns floats from 0 to 1; `host_name` is told to servers if it is given."""
        self.state = State.INIT
        self.grant: Grant | None = None
        """What was granted, or is asked for just now."""
        self.due_s = float("inf")
        """When to call `tick`; infinite if there is nothing to wait for."""
        self._asking = Asking(mac, random, host_name)
        self._random = random
        self._tries = 0
        self._granted_s = 0.0

    @property
    def has_address(self) -> bool:
        """Whether an address may be used."""
        return self.state in _HOLDING

    @property
    def ends_s(self) -> float:
        """When the lease ends; infinite if it never does, or there is none."""
        return self._at(self.grant.lease_s if self.has_address and self.grant else None)

    def start(self, now: float) -> Step:
        """Begin, or begin again after a reconnection: what is leased is confirmed."""
        if not self.has_address or self.grant is None:
            return self._select(now)
        self.state, self._tries = State.REBOOTING, 0
        self._asking.begin(now)
        return self._ask_again(now)

    def stop(self) -> Step:
        """Give up the address, and end."""
        frames = []
        if self.has_address and self.grant is not None:
            frames = [self._asking.release(self.grant)]
        self.state, self.grant, self.due_s = State.INIT, None, float("inf")
        return Step(frames)

    def tick(self, now: float) -> Step:
        """Do what is due at `now` seconds."""
        if now < self.due_s:
            return Step()
        if now >= self.ends_s:
            return self._lose(Change.ENDED, now)
        if self.state is State.CHECKING:
            return self._bind(Change.BOUND, now)
        if self.state is State.INIT:
            return self._select(now)
        return self._ask_again(now)

    def receive(self, received: Received, now: float) -> Step:
        """Take a message that came in on the link at `now` seconds."""
        message = received.message
        is_reply = received.way is Way.TO_CLIENT and message.op == BOOTREPLY
        if not is_reply or not self._asking.is_answered_by(message):
            return Step()
        grant = read_grant(message, received.ends.source_mac)
        if message.kind == Kind.OFFER and self.state is State.SELECTING and grant is not None:
            return self._request(grant, now)
        if message.kind == Kind.ACK and grant is not None:
            return self._acknowledged(grant, now)
        if message.kind == Kind.NAK and self.state in _ASKING:
            return self._lose(Change.REFUSED, now)
        return Step()

    def hear(self, arp: Arp, now: float) -> Step:
        """Take an ARP packet that came in: it may show that somebody has the address."""
        grant = self.grant
        if self.state is not State.CHECKING or grant is None:
            return Step()
        is_theirs = arp.sender_ip == grant.interface.packed and arp.sender_mac != self._asking.mac
        if not is_theirs:
            return Step()
        frame = self._asking.decline(grant)
        self._reset(now + DECLINE_S)
        return Step([frame], Change.IN_USE)

    def _select(self, now: float) -> Step:
        self.state, self.grant, self._tries = State.SELECTING, None, 0
        self._asking.begin(now)
        return self._ask_again(now)

    def _request(self, offered: Grant, now: float) -> Step:
        self.state, self.grant, self._tries = State.REQUESTING, offered, 0
        return self._ask_again(now)

    def _ask_again(self, now: float) -> Step:
        """Send what this state sends, and say when to do so again."""
        grant = self.grant
        if self.state is State.SELECTING or grant is None:
            frame = self._asking.discover(now)
        elif self.state is State.REQUESTING:
            if self._tries >= MAX_REQUESTS:
                return self._select(now)
            frame = self._asking.request(grant, now)
        elif self.state is State.REBOOTING:
            if self._tries >= MAX_REBOOTS:
                return self._go_on(now)
            frame = self._asking.reboot(grant, now)
        else:
            return self._extend(grant, now)
        delay_s = min(FIRST_DELAY_S * 2**self._tries, MAX_DELAY_S)
        self._tries = min(self._tries + 1, 16)
        self.due_s = now + delay_s + JITTER_S * (2 * self._random() - 1)
        self.due_s = min(self.due_s, self.ends_s)
        return Step([frame])

    def _extend(self, grant: Grant, now: float) -> Step:
        """Ask to keep a lease: first its own server, near the end any (RFC 2131 4.4.5)."""
        if self.state is State.BOUND:
            self._asking.begin(now)
        is_late = now >= self._at(grant.rebind_s)
        self.state = State.REBINDING if is_late else State.RENEWING
        until_s = self._at(grant.lease_s if is_late else grant.rebind_s)
        short_s = min(MIN_RENEW_DELAY_S, (grant.lease_s or 0) / 16)
        self.due_s = min(until_s, now + max((until_s - now) / 2, short_s))
        frame = self._asking.rebind(grant, now) if is_late else self._asking.renew(grant, now)
        return Step([frame])

    def _acknowledged(self, grant: Grant, now: float) -> Step:
        asked_for = self.grant
        if asked_for is None or grant.interface.ip != asked_for.interface.ip:
            return Step()
        if self.state is State.REQUESTING:
            self.state, self.grant, self.due_s = State.CHECKING, grant, now + CHECK_S
            self._granted_s = self._asking.sent_s
            return Step([self._asking.probe(grant)])
        if self.state in (State.REBOOTING, State.RENEWING, State.REBINDING):
            self.grant, self._granted_s = grant, self._asking.sent_s
            return self._bind(Change.KEPT, now)
        return Step()

    def _bind(self, change: Change, now: float) -> Step:
        self._go_on(now)
        grant = self.grant
        frames = [self._asking.announce(grant)] if grant is not None else []
        return Step(frames, change)

    def _go_on(self, now: float) -> Step:
        """Use the address until it is time to renew its lease."""
        self.state = State.BOUND
        grant = self.grant
        self.due_s = max(now, self._at(grant.renew_s if grant is not None else None))
        return Step()

    def _lose(self, change: Change, now: float) -> Step:
        if self.has_address:
            return replace(self._select(now), change=change)
        # A server that offers and then refuses must not be asked as fast as it answers.
        self._reset(now + FIRST_DELAY_S)
        return Step()

    def _reset(self, due_s: float) -> None:
        self.state, self.grant, self.due_s = State.INIT, None, due_s

    def _at(self, after_s: float | None) -> float:
        """Return a time of the lease on the clock; infinite if it never comes."""
        return float("inf") if after_s is None else self._granted_s + after_s

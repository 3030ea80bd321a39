"""The steps of a session with a server: upgrade, what it offers, answers, frames of full size."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Final

from vpnws.client.connect.dial import Dialer
from vpnws.client.doctor.step import NoteError, SkippedError, Step
from vpnws.errors import ConnectError
from vpnws.text import one_line
from vpnws.wire.ethernet import format_mac
from vpnws.wire.offer import Offer, decode
from vpnws.wire.probes import all_nodes_ping, full_size_frame
from vpnws.wire.records import encode_record
from vpnws.wire.websocket import NORMAL

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from vpnws.client.carry.connection import Connection
    from vpnws.client.settings import ClientSettings
    from vpnws.client.waiting import Waiter

OFFER_WAIT_S: Final = 1.0
"""A server says what it has for a station right after the upgrade."""
PONG_WAIT_S: Final = 5.0
"""A server that answers no ping within this time is called one that does not."""
FRAME_WAIT_S: Final = 3.0
"""So long the doctor listens for frames of other stations."""
FULL_SIZE_FRAMES: Final = 4
"""So many frames of full size are sent: more than fit into one segment of TCP."""


class Session:
    """One connection to the server, with which the doctor plays the station."""

    def __init__(
        self, settings: ClientSettings, context: ssl.SSLContext | None, waiter: Waiter
    ) -> None:
        """`context` is for wss."""
        self._settings = settings
        self._dialer = Dialer(settings, context, waiter)
        self._waiter = waiter
        # Not the station's own: it may be connected at this moment, and its MAC is where it is.
        self._mac = bytes((0x02, *os.urandom(5)))
        self._connection: Connection | None = None
        self._offers: list[Offer] = []
        self._messages = 0

    def steps(self) -> tuple[Step, ...]:
        """Return the steps, in order."""
        return (
            Step("upgrade", self._upgrade),
            Step("offload", self._offload),
            Step("offer", self._offer),
            Step("ping", self._ping),
            Step("full size", self._full_size),
            Step("frames", self._frames),
        )

    def close(self) -> None:
        """End the session."""
        if self._connection is not None:
            self._connection.send_close(NORMAL)
            self._connection.close()

    def _upgrade(self) -> str:
        self._connection = self._dialer.connect(self._mac)
        self._messages += len(self._connection.take_early())
        self._take_texts()
        return f"the server takes this station, as {format_mac(self._mac)} for this test"

    def _offload(self) -> str:
        if self._link.has_offload:
            return "the server speaks vpnws.offload.1"
        if not self._settings.offload:
            raise SkippedError("--no-offload")
        raise NoteError("this server does not know it: frames are sent one by one")

    def _offer(self) -> str:
        self._serve_until(lambda: bool(self._offers), OFFER_WAIT_S)
        if not self._offers:
            raise SkippedError("the server has none: give the device an --address, or use --dhcp")
        return "; ".join(filter(None, map(_told, self._offers)))

    def _ping(self) -> str:
        if self._answers():
            return "the server answers"
        raise NoteError(
            f"the server answers no ping within {PONG_WAIT_S:.0f} s: that it is gone is noticed"
            " only when TCP notices it"
        )

    def _full_size(self) -> str:
        if not self._link.pongs:
            raise SkippedError("without answers to pings nothing tells whether they pass")
        mtu_bytes = self._settings.mtu_bytes
        self._send(*[full_size_frame(self._mac, mtu_bytes)] * FULL_SIZE_FRAMES)
        if not self._answers():
            raise ConnectError(
                f"the server no longer answers after {FULL_SIZE_FRAMES} frames with an MTU of"
                f" {mtu_bytes}: something on the way swallows long packets (a firewall that drops"
                " ICMP?); a smaller MTU of the interface to the Internet proves it: ip link set"
                " DEVICE mtu 1280"
            )
        return f"frames with an MTU of {mtu_bytes} bytes reach the server"

    def _frames(self) -> str:
        self._send(all_nodes_ping(self._mac))
        self._serve_until(lambda: self._messages > 0, FRAME_WAIT_S)
        if not self._messages:
            raise NoteError(
                f"nobody was heard within {FRAME_WAIT_S:.0f} s: no other station is there, or none"
                " may be heard (roles, networks)"
            )
        return "frames of others come in"

    @property
    def _link(self) -> Connection:
        if self._connection is None:
            raise ConnectError("there is no connection")
        return self._connection

    def _send(self, *frames: bytes) -> None:
        has_offload = self._link.has_offload
        self._link.send_frames([encode_record(each) if has_offload else each for each in frames])

    def _answers(self) -> bool:
        before = self._link.pongs
        self._serve_until(lambda: not self._link.has_unsent, PONG_WAIT_S)
        self._link.ping()
        return self._serve_until(lambda: self._link.pongs != before, PONG_WAIT_S)

    def _serve_until(self, is_done: Callable[[], bool], wait_s: float) -> bool:
        """Take what comes in until `is_done`; return whether it is. Raises ConnectError."""
        until_s = self._waiter.now() + wait_s
        while not is_done():
            events = select.POLLIN | (select.POLLOUT if self._link.has_unsent else 0)
            try:
                if not self._link.has_pending():
                    self._waiter.wait(self._link.fd, events, until_s)
            except TimeoutError:
                return False
            self._serve()
        return True

    def _serve(self) -> None:
        link = self._link
        link.flush()
        self._messages += len(link.receive())
        link.answer_ping()
        self._take_texts()
        if link.is_over:
            ending = link.ending
            why = one_line(ending.reason) if ending else link.failure
            raise ConnectError(f"the server ended the connection: {why or 'no reason given'}")

    def _take_texts(self) -> None:
        texts = self._link.take_texts()
        self._offers += [offer for text in texts if (offer := decode(text)) is not None]


def _told(offer: Offer) -> str:
    """Return an offer in words."""
    parts = (
        ("address", ", ".join(offer.address)),
        ("routes", ", ".join(offer.routes)),
        ("name servers", ", ".join(offer.dns)),
        ("MTU", str(offer.mtu or "")),
        ("notice", offer.notice and repr(one_line(offer.notice))),
    )
    return "; ".join(f"{name} {value}" for name, value in parts if value)

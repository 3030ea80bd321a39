"""Tells each station that can read it what the web server and the pools have for it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from typing import TYPE_CHECKING

from vpnws.control.events import Event
from vpnws.lease.answer import Lease, Refusal
from vpnws.server.once import Once
from vpnws.server.port.state import LinkState
from vpnws.wire.offer import Offer
from vpnws.wire.records import SUBPROTOCOL

if TYPE_CHECKING:
    from vpnws.server.leasing import StationLeases
    from vpnws.server.node import Node
    from vpnws.server.port.link import Link


class Offers:
    """What the stations of one process are told when they have joined."""

    def __init__(self, node: Node) -> None:
        """`node` has the stations."""
        self._node = node
        self._faults = Once(node.loop, self._tell_fault)

    def greet(self, link: Link) -> None:
        """Tell the station what there is for it; a plain one never gets a text."""
        session, now = link.session, self._node.loop.now()
        for fault in session.offer_faults:
            self._faults.note(fault)
        if link.state is not LinkState.OPEN:
            # It went in the moment since it was attached: nobody would take a lease back.
            return
        offer = session.offer
        leasing = self._node.leasing
        is_plain = session.subprotocol != SUBPROTOCOL
        # A plain station with a MAC gets it by DHCP, if at all.
        if leasing is not None and offer.address and not (is_plain and not session.announced_mac):
            self._note_given(link, leasing)
        elif leasing is not None and not is_plain and not session.wants_bridge:
            # Behind a bridge are others, who ask for addresses of their own.
            offer = self._with_leases(link, leasing, now)
        if not is_plain and offer != Offer():
            link.tell(offer, now)

    def _with_leases(self, link: Link, leasing: StationLeases, now: float) -> Offer:
        """Return the station's offer with an address of each pool of its network."""
        leased = []
        for answer in leasing.lease_each(link):
            if isinstance(answer, Refusal):
                link.notify(f"there is no address for this station: {answer.sentence}", now)
            else:
                leased.append(answer)
        if not leased:
            return link.session.offer
        return replace(
            link.session.offer, address=tuple(map(str, leased)), lease_s=leased[0].lease_s
        )

    def _note_given(self, link: Link, leasing: StationLeases) -> None:
        """Have what the web server gives be leased, where the pools could give it to others."""
        for text in link.session.offer.address:
            address = ip_interface(text).ip
            pool = leasing.leases.plan.pool(link.session.network, address.version)
            if pool is None or address not in pool:
                continue
            answer = leasing.renew(link, link.session.announced_mac or b"", address)
            if not isinstance(answer, Lease):
                self._faults.note(
                    f"VPNWS_CLIENT_ADDRESS gives {address} in the network {pool.network}, and the"
                    " pool has leased it to another station or has it fixed: give addresses outside"
                    " vpnws-pool, or use vpnws-fixed"
                )

    def _tell_fault(self, _kind: str, sentence: str, count: int) -> None:
        again = f" ({count} stations)" if count > 1 else ""
        self._node.journal.note(
            Event.CLIENT_VAR, f"{sentence}{again}", reason=sentence, count=count
        )

"""The leases of one process's stations: who has which, kept true to who is here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vpnws.control.events import Event
from vpnws.errors import LeaseError
from vpnws.lease.answer import Holder, Lease, Refusal
from vpnws.lease.who import Who
from vpnws.server.once import Once
from vpnws.switch.guard.bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vpnws.lease.answer import Answer
    from vpnws.lease.pool import Address
    from vpnws.server.journal import Journal
    from vpnws.server.lease_setup import OpenLeases
    from vpnws.server.loop import Loop
    from vpnws.server.port.link import Link
    from vpnws.switch.port import AccessPort

LOOK_EVERY_S: Final = 1.0
"""A process sees this often whether the file of leases is still there, and whether it says what is
true of its own ports."""
MAX_WRITTEN: Final = 100
"""Ports whose leases one look writes down, because they have gone, or because the file was lost;
further ones follow with the next looks."""
MAX_NEW: Final = 7
"""Addresses that a port gets in one lease time beyond as many as it may hold at once. Without this
bound a station that takes ever new MACs uses up a pool: each address is kept for the MAC that had
it."""
_TOO_MANY_NEW: Final = (
    "a station has asked by DHCP for ever new MACs, more than its port may get addresses for in"
    " vpnws-lease-time: it may be using up the pool (vpnws-ctl leases)"
)


class StationLeases:
    """The leases of the stations of one process."""

    def __init__(
        self,
        loop: Loop,
        opened: OpenLeases,
        slot: int,
        links: Mapping[int, Link],
        journal: Journal,
    ) -> None:
        """`links` are the stations' by their ports' ids, as they come and go."""
        self._table, self.leases, self.now_s = opened
        self._slot = slot
        self._links = links
        self._journal = journal
        self._held: dict[int, dict[tuple[int, bytes], tuple[str, Who, Lease]]] = {}
        """By the port's id, version of IP and MAC."""
        self._new: dict[int, TokenBucket] = {}
        """What each port may still get for further MACs, in lease times."""
        self._gone: list[Holder] = []
        """Ports that have gone and that the table still has."""
        self._lost: list[int] = []
        """Ports whose leases are to be written again."""
        self._is_behind = True
        """Whether the table may have leases of ports of this process that have gone."""
        self._refused = Once(loop, self._tell_refusal)
        self._ticker = loop.every(LOOK_EVERY_S, self._look)
        self._look()

    def lease(
        self, link: Link, mac: bytes, version: int = 4, wanted: Address | None = None
    ) -> Answer:
        """Give the host `mac` at a station's port an address: see `Leases.lease`."""
        if not self._may_lease(link, (version, mac)):
            return Refusal(_TOO_MANY_NEW)
        who, network, holder = who_at(link, mac), link.session.network, self._holder_of(link.port)
        answer = self.leases.lease(
            network, who, holder, self.now_s(), version=version, wanted=wanted
        )
        return self._keep(link, who, answer)

    def lease_each(self, link: Link) -> list[Answer]:
        """Give a station an address of each pool of its network, for the MAC that it announced."""
        who, network = who_at(link, link.session.announced_mac or b""), link.session.network
        answers = self.leases.lease_each(network, who, self._holder_of(link.port), self.now_s())
        return [self._keep(link, who, answer) for answer in answers]

    def renew(self, link: Link, mac: bytes, address: Address) -> Answer:
        """Give the host `mac` at a station's port just this `address`: see `Leases.renew`.

        That it cannot have it is not told to the operator: hosts ask for what they had elsewhere.
        """
        if not self._may_lease(link, (address.version, mac)):
            return Refusal(_TOO_MANY_NEW)
        who, network, holder = who_at(link, mac), link.session.network, self._holder_of(link.port)
        answer = self.leases.renew(network, who, holder, self.now_s(), address)
        return self._keep(link, who, answer) if isinstance(answer, Lease) else answer

    def release(self, link: Link, mac: bytes, address: Address) -> None:
        """Free an address that the host `mac` at a station's port gives up."""
        who = who_at(link, mac)
        held = self._held.get(link.port.id, {})
        try:
            row = self.leases.release(
                link.session.network, address, who, self._holder_of(link.port)
            )
        except LeaseError as error:
            self._refused.note(str(error))
            return
        if row is not None:
            held.pop((address.version, row.mac), None)

    def here(self) -> set[tuple[str, bytes]]:
        """Return the addresses that ports of this process hold, each with its network."""
        return {
            (network, lease.address.packed)
            for held in self._held.values()
            for network, _, lease in held.values()
        }

    def decline(self, link: Link, mac: bytes, address: Address) -> None:
        """Give to nobody for a time what the host `mac` says that a stranger uses."""
        who = who_at(link, mac)
        try:
            holder = self._holder_of(link.port)
            self.leases.decline(link.session.network, address, who, holder, self.now_s())
        except LeaseError as error:
            self._refused.note(str(error))
            return
        self._held.get(link.port.id, {}).pop((address.version, mac), None)

    def left(self, link: Link) -> None:
        """Note that a station's port has gone; the next looks write that down.

        Many may go at once, and the frames of those who stay do not wait for that.
        """
        self._new.pop(link.port.id, None)
        if self._held.pop(link.port.id, None) is not None:
            self._gone.append(self._holder_of(link.port))

    def leave_all(self) -> None:
        """Note that this process ends, with all of its ports: in one change, which is quick."""
        try:
            self.leases.abandon(self._slot, self.now_s())
        except LeaseError as error:
            self._refused.note(str(error))
        self._held.clear()
        self._gone.clear()
        # It must not open the file again: the next server may have begun with it.
        self._ticker.close()
        self._table.close()

    def _holder_of(self, port: AccessPort) -> Holder:
        """Return what `port` is as a holder of leases."""
        return Holder(self._slot, port.id, port.station_limit)

    def _may_lease(self, link: Link, place: tuple[int, bytes]) -> bool:
        """Return whether a port may get an address for a host; one it has counts as none."""
        port = link.port
        if place in self._held.get(port.id, {}):
            return True
        # A bucket's tokens come in a second: here that is a lease time.
        now = self.now_s() / self.leases.lease_s
        if port.id not in self._new:
            self._new[port.id] = TokenBucket(port.station_limit + MAX_NEW, now)
        is_allowed = self._new[port.id].take(1, 1, now)
        if not is_allowed:
            self._refused.note(_TOO_MANY_NEW)
        return is_allowed

    def _keep(self, link: Link, who: Who, answer: Answer) -> Answer:
        if isinstance(answer, Refusal):
            self._refused.note(answer.sentence)
            return answer
        held = self._held.setdefault(link.port.id, {})
        place = (answer.address.version, who.mac)
        held.pop(place, None)
        held[place] = (link.session.network, who, answer)
        same = [other for other in held if other[0] == place[0]]
        for other in same[: max(0, len(same) - link.port.station_limit)]:
            del held[other]
        return answer

    def _look(self) -> None:
        try:
            if not self._table.see_that_it_is_there():
                # What is not in there any more is written again.
                self._lost = list(self._held)
            if self._is_behind:
                self._catch_up()
            if self._gone:
                self.leases.leave_all(self._gone[:MAX_WRITTEN], self.now_s())
                del self._gone[:MAX_WRITTEN]
            self._restore()
        except LeaseError as error:
            self._is_behind = True
            self._refused.note(str(error))

    def _catch_up(self) -> None:
        """Note which ports of this process have gone that the table has. Raises LeaseError."""
        now_s = self.now_s()
        if not self._links:
            self.leases.abandon(self._slot, now_s)
        gone = {row.port for row in self._table.held(self._slot)} - set(self._links)
        self.leases.leave_all([Holder(self._slot, port) for port in gone], now_s)
        self._gone.clear()
        self._is_behind = False

    def _restore(self) -> None:
        for port in self._lost[:MAX_WRITTEN]:
            link = self._links.get(port)
            if link is not None:
                for network, who, lease in self._held.get(port, {}).values():
                    holder = self._holder_of(link.port)
                    self.leases.renew(network, who, holder, self.now_s(), lease.address)
        del self._lost[:MAX_WRITTEN]

    def _tell_refusal(self, _kind: str, sentence: str, count: int) -> None:
        again = f" ({count} times)" if count > 1 else ""
        self._journal.note(Event.NO_ADDRESS, f"{sentence}{again}", reason=sentence, count=count)


def who_at(link: Link, mac: bytes) -> Who:
    """Return who the host `mac` at a station's port is to the leases."""
    identity = link.session.identity
    return Who(identity.remote_user, identity.dn, mac)

"""Lets a station wait at its handshake until vpnws-on-connect has said whether it may join."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from vpnws.control.asks import Done
from vpnws.control.hook_asks import PermitAsk, PermitTold
from vpnws.errors import CapacityError, UpgradeError
from vpnws.server.hooks.facts import facts_of_session

if TYPE_CHECKING:
    from vpnws.control.asks import Peers
    from vpnws.server.loop import Loop, Signal
    from vpnws.server.port.session import Session
    from vpnws.server.start import Server

MAX_ASKING: Final = 64
"""Stations of one worker that wait for vpnws-on-connect; a further one gets 503. Each holds a core
of the worker, and the others stay free for those who join, and for control."""
MARGIN_S: Final = 2.0
"""A station waits this much longer than the commands may take."""


@dataclass(slots=True)
class _Waiting:
    signal: Signal
    told: PermitTold | None = None


class Permits:
    """The stations of one worker that wait."""

    def __init__(self, loop: Loop, peers: Peers, own: int, hooks: int, timeout_s: float) -> None:
        """`own` is the slot of this process, `hooks` that of the process for hooks."""
        self._loop = loop
        self._peers = peers
        self._own = own
        self._hooks = hooks
        self._timeout_s = timeout_s + MARGIN_S
        # An answer to the process before at this slot must not let in a station of this one.
        self._numbers = itertools.count(secrets.randbits(48))
        self._waiting: dict[int, _Waiting] = {}
        peers.serve(PermitTold, self._take)

    def ask(self, session: Session) -> None:
        """Return if the station of `session` may join; others run meanwhile.

        Raises UpgradeError if it may not, CapacityError if that cannot be found out: nobody joins
        unasked.
        """
        if len(self._waiting) >= MAX_ASKING:
            raise CapacityError(f"{MAX_ASKING} stations wait for vpnws-on-connect already")
        number = next(self._numbers)
        waiting = self._waiting[number] = _Waiting(self._loop.make_signal())
        ask = PermitAsk(slot=self._own, number=number, facts=facts_of_session(session))
        try:
            if self._peers.post(self._hooks, ask):
                waiting.signal.wait(self._timeout_s)
        finally:
            del self._waiting[number]
        _judge(waiting.told)

    def _take(self, told: PermitTold) -> Done:
        waiting = self._waiting.get(told.number)
        if waiting is not None:
            waiting.told = told
            waiting.signal.set()
        return Done()


def _judge(told: PermitTold | None) -> None:
    if told is None:
        raise CapacityError(
            "the process that runs vpnws-on-connect did not answer, and without its word nobody"
            " joins: uwsgi.ini starts it with mule = vpnws_app:hooks"
        )
    if told.status == 403:
        raise UpgradeError("403 Forbidden", told.reason)
    if told.status:
        raise CapacityError(told.reason)


def make_permits(server: Server) -> Permits | None:
    """Return what asks in this worker; None if vpnws-on-connect may not refuse."""
    settings, peers = server.settings, server.peers
    if not settings.on_connect_may_refuse or peers is None:
        return None
    slot = server.uwsgi.worker_id() - 1
    return Permits(server.loop, peers, slot, server.hooks_slot, settings.hook_timeout_s)

"""Decides what each event sets off: which commands run, and whether it is posted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from vpnws.control.asks import Done
from vpnws.control.events import Event
from vpnws.control.hook_asks import PermitAsk, PermitTold, ToldAsk
from vpnws.server import shell
from vpnws.server.hooks.commands import MAX_WAITING, Command, Commands
from vpnws.server.hooks.facts import facts_of_event
from vpnws.text import one_line

if TYPE_CHECKING:
    from vpnws.config import Settings
    from vpnws.control.asks import Peers
    from vpnws.server.hooks.background import Background
    from vpnws.server.hooks.commands import Run
    from vpnws.server.hooks.failures import Failures
    from vpnws.server.hooks.webhook import Webhook
    from vpnws.server.loop import Loop

STOP_S: Final = 10.0
"""The time at the end for commands and posts that are under way or wait; the rest is lost, and its
count is noted."""
LATE_S: Final = 1.0
"""So long after the signal to stop, stations' ends still come in from the workers."""
REFUSES: Final = 1
"""The exit code of vpnws-on-connect that refuses a station."""
ON_CONNECT: Final = "vpnws-on-connect"
_HOOKS: Final = {
    Event.JOIN.value: ON_CONNECT,
    Event.LEAVE.value: "vpnws-on-disconnect",
    Event.LEARN.value: "vpnws-on-learn",
}
_LOOK_EVERY_S: Final = 0.1


class Dispatch:
    """What the process for hooks does with what it is told and asked."""

    def __init__(
        self,
        loop: Loop,
        settings: Settings,
        peers: Peers,
        failures: Failures,
        background: Background,
        webhook: Webhook | None,
        run: Run = shell.run,
    ) -> None:
        """Serve what `peers` tell and ask from now on."""
        self._loop = loop
        self._peers = peers
        self._failures = failures
        self._webhook = webhook
        self._on_connect = settings.on_connect
        self._by_event = {
            Event.JOIN.value: "" if settings.on_connect_may_refuse else settings.on_connect,
            Event.LEAVE.value: settings.on_disconnect,
            Event.LEARN.value: settings.on_learn,
        }
        self._is_used = bool(webhook or settings.on_connect or any(self._by_event.values()))
        # Stations wait for these, so they do not wait behind those that only tell.
        self._permits = Commands(background, settings.hook_timeout_s, run)
        self._commands = Commands(background, settings.hook_timeout_s, run)
        peers.serve(ToldAsk, self._tell)
        peers.serve(PermitAsk, self._ask)

    def finish(self) -> None:
        """Wait a moment for what is under way, then kill it."""
        until_s = self._loop.now() + (STOP_S if self._is_used else 0.0)
        pause = self._loop.make_signal()
        if self._is_used:
            pause.wait(LATE_S)
        while not self._is_idle() and self._loop.now() < until_s:
            pause.wait(_LOOK_EVERY_S)
        shell.kill_all()
        if not self._is_idle():
            self._failures.note("hooks", "the server ended before they were done")

    def _is_idle(self) -> bool:
        is_webhook_idle = self._webhook is None or self._webhook.is_idle
        return self._commands.is_idle and self._permits.is_idle and is_webhook_idle

    def _tell(self, told: ToldAsk) -> Done:
        event = told.event
        if told.lost:
            self._failures.note("hooks", "too many events at once: some were lost", told.lost)
        if self._webhook is not None:
            self._webhook.tell(event)
        commands = self._by_event.get(event.name)
        if commands:
            hook = _HOOKS[event.name]
            key = str(event.fields.get("port", ""))
            command = Command(hook, commands, facts_of_event(event), key)
            if not self._commands.submit(command, partial(self._ended, hook)):
                self._failures.note(hook, f"{MAX_WAITING} commands wait already: it was not run")
        return Done()

    def _ended(self, hook: str, ended: shell.Ended) -> None:
        if not ended.is_good:
            self._failures.note(hook, f"{ended.cause}; it said: {ended.said}")

    def _ask(self, ask: PermitAsk) -> Done:
        command = Command(ON_CONNECT, self._on_connect, ask.facts, key="")
        if not self._permits.submit(command, partial(self._decided, ask)):
            self._answer(ask, 503, f"{ON_CONNECT} has too much to do")
        return Done()

    def _decided(self, ask: PermitAsk, ended: shell.Ended) -> None:
        if ended.is_good:
            self._answer(ask, 0, "")
        elif ended.status == REFUSES and not ended.killed_for:
            reason = one_line(" ".join(ended.output.decode(errors="replace").split()))
            self._answer(ask, 403, reason or "this station may not join")
        else:
            self._ended(ON_CONNECT, ended)
            self._answer(ask, 503, f"{ON_CONNECT} could not say whether this station may join")

    def _answer(self, ask: PermitAsk, status: int, reason: str) -> None:
        self._peers.post(ask.slot, PermitTold(number=ask.number, status=status, reason=reason))

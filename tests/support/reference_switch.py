"""A slow model of one switch that knows everything: who must receive a frame, and who must not."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import Generic, TypeVar

P = TypeVar("P")
LIVES_S = 60.0
"""How long a MAC stays with the name of a station that has gone."""
SILENCE_S = 1.0
PEACE_S = 2.0


@dataclass
class _Mac(Generic[P]):
    """One MAC in one network."""

    holder: P | None = None
    name: str = ""
    """Whose it is: of the holder's user, or of one who has left; empty if nobody's."""
    name_until_s: float = inf
    challenged_s: float | None = None
    answered_s: float = -inf
    losers: set[P] = field(default_factory=set)


class ReferenceSwitch(Generic[P]):
    """Ports in networks, and the port that has each MAC; nothing ages."""

    def __init__(self) -> None:
        self._hearing: set[P] = set()
        self.ports: dict[P, str] = {}
        self._names: dict[P, str] = {}
        self._taps: set[P] = set()
        self._macs: dict[tuple[str, bytes], _Mac[P]] = {}

    def attach(
        self,
        port: P,
        network: str,
        *,
        name: str = "",
        is_tap: bool = False,
        hears_floods: bool = True,
    ) -> None:
        """Add a port that has not spoken yet, of the user `name` if that is not empty.

        Without `hears_floods` it hears no floods before it has spoken.
        """
        if hears_floods:
            self._hearing.add(port)
        self.ports[port], self._names[port] = network, name
        if is_tap:
            self._taps.add(port)

    def detach(self, port: P, now: float, *, for_good: bool = False) -> None:
        """Remove a port; its MACs stay its user's for a while, unless it has left `for_good`."""
        del self.ports[port], self._names[port]
        self._hearing.discard(port)
        for mac in self._macs.values():
            mac.losers.discard(port)
            if mac.holder == port:
                mac.holder, mac.challenged_s, mac.answered_s = None, None, -inf
                mac.name = "" if for_good else mac.name
                mac.name_until_s = now + LIVES_S

    def forward(self, ingress: P, *frames: bytes, now: float) -> dict[P, list[bytes]]:
        """Let `frames` come in at `ingress`; return what each port must receive, in order."""
        network = self.ports[ingress]
        if frames:
            self._hearing.add(ingress)
        egress: dict[P, list[bytes]] = {port: [] for port in self.ports}
        for frame in frames:
            source = self._macs.setdefault((network, frame[6:12]), _Mac())
            if not self._admits(source, ingress, now):
                continue
            there = self._macs.get((network, frame[:6]))
            goal = None if there is None else there.holder
            for port in self.ports:
                is_reached = self.ports[port] == network and port != ingress
                is_goal = goal == port or (goal is None and port in self._hearing)
                if is_reached and is_goal:
                    egress[port].append(frame)
        return egress

    def _admits(self, mac: _Mac[P], port: P, now: float) -> bool:
        if mac.holder == port:
            if mac.challenged_s is not None:
                mac.challenged_s, mac.answered_s = None, now
            return True
        if mac.holder is None and now >= mac.name_until_s:
            mac.name = ""
        name = self._names[port]
        if mac.name and mac.name != name and port not in self._taps:
            return False
        if mac.holder is None:
            self._give(mac, port)
            return True
        if mac.name and mac.name == name:
            if port in mac.losers:
                return False
            self._give(mac, port)
            return True
        return self._outlasts(mac, port, now)

    def _outlasts(self, mac: _Mac[P], port: P, now: float) -> bool:
        """Challenge the holder, or take the MAC if it has been silent since that was done."""
        if mac.challenged_s is not None:
            if now - mac.challenged_s >= SILENCE_S:
                self._give(mac, port)
                return True
        elif now - mac.answered_s >= PEACE_S:
            mac.challenged_s = now
        return False

    def _give(self, mac: _Mac[P], port: P) -> None:
        if mac.holder is not None:
            mac.losers.add(mac.holder)
        mac.losers.discard(port)
        mac.holder, mac.name, mac.name_until_s = port, self._names[port], inf
        mac.challenged_s, mac.answered_s = None, -inf

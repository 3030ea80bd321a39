"""A slow model of one switch that knows everything: who must receive a frame, and who must not."""

from __future__ import annotations

from typing import Generic, TypeVar

P = TypeVar("P")


class ReferenceSwitch(Generic[P]):
    """Ports in networks, and the port at which each MAC last spoke; nothing ages."""

    def __init__(self) -> None:
        self.ports: dict[P, str] = {}
        self._where: dict[tuple[str, bytes], P] = {}

    def attach(self, port: P, network: str) -> None:
        """Add a port that has not spoken yet."""
        self.ports[port] = network

    def detach(self, port: P) -> None:
        """Remove a port, and what was known of it."""
        del self.ports[port]
        self._where = {key: there for key, there in self._where.items() if there != port}

    def forward(self, ingress: P, *frames: bytes) -> dict[P, list[bytes]]:
        """Let `frames` come in at `ingress`; return what each port must receive, in order."""
        network = self.ports[ingress]
        egress: dict[P, list[bytes]] = {port: [] for port in self.ports}
        for frame in frames:
            destination, source = frame[:6], frame[6:12]
            self._where[network, source] = ingress
            goal = self._where.get((network, destination))
            for port in self.ports:
                is_reached = self.ports[port] == network and port != ingress
                if is_reached and goal in (None, port):
                    egress[port].append(frame)
        return egress

"""The namespaces that a contestant runs in: a LAN of a server and two stations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from tests.support.netns import Lan

if TYPE_CHECKING:
    from tests.support.netns import Namespace


class Bed(Lan):
    """A LAN with one congestion control for all TCP in it: inside a VPN and under it."""

    def __init__(self, congestion: str = "") -> None:
        """Plan it; without `congestion` it is the machine's."""
        super().__init__(2)
        self._congestion = congestion

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            for namespace in self.namespaces:
                self._set_up(namespace)
        except BaseException:
            self._stack.close()
            raise
        return self

    @property
    def namespaces(self) -> list[Namespace]:
        """All namespaces of the LAN."""
        return [self.server, *self.stations]

    def _set_up(self, namespace: Namespace) -> None:
        if self._congestion:
            setting = f"net.ipv4.tcp_congestion_control={self._congestion}"
            namespace.run(["sysctl", "-q", "-w", setting])

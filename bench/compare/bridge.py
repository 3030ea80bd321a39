"""The bare kernel bridge between the two stations: no VPN at all, the bed's own ceiling."""

from __future__ import annotations

from bench.compare.contestant import Contestant


class Bridge(Contestant):
    """The road itself: two veth pairs and a Linux bridge in the server's namespace."""

    name = "bridge"
    sentence = "no VPN: the two stations on the kernel's bridge"

    def start(self) -> None:
        """Enter the LAN, which has the bridge."""
        self.parts.enter_context(self.lan)

    def address(self, index: int) -> str:
        """Return station `index`'s address on the road."""
        return self.lan.address(index)

"""What an uplink's device is as stations see it: its MACs and addresses, and what has changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vpnws.control.events import Event
from vpnws.wire.announce import announcements
from vpnws.wire.ethernet import format_mac, parse_mac

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vpnws.server.journal import Journal
    from vpnws.server.uplink.devices import TapDevices
    from vpnws.tap.contract import DeviceState, Tap


class Presence:
    """The MACs and addresses of one TAP that is open, and of its bridge, as of the last look."""

    def __init__(self, devices: TapDevices, network: str, device: str, journal: Journal) -> None:
        """`network` and `device` are the TAP's pair in vpnws-tap."""
        self._devices = devices
        self._network = network
        self._journal = journal
        self._device = device
        self._seen: DeviceState | None = None
        self._said: DeviceState | None = None
        self._announced: dict[bytes, list[bytes]] = {}

    def look(self, tap: Tap) -> tuple[list[bytes], list[bytes]]:
        """Look at the device; return its MACs, and frames that announce what is new.

        Peers keep the MAC of an address for a long time, and the kernel does not tell them when a
        device is made again or gets another MAC. Raises TapError if the device is gone.
        """
        state = tap.state()
        self._notice(state)
        there = dict(self._there(state))
        frames = [
            frame
            for mac, (name, addresses) in there.items()
            if addresses != self._announced.get(mac)
            for frame in announcements(mac, addresses, is_router=self._devices.forwards_ipv6(name))
        ]
        self._announced = {mac: addresses for mac, (_, addresses) in there.items()}
        return list(there), frames

    def _notice(self, state: DeviceState) -> None:
        """Say what has changed, once an admin who does it in several commands is done."""
        if self._said is None:
            self._said = replace(state, is_up=True if state.is_here else None)
        elif state == self._seen and state != self._said:
            self._say(self._said, state)
            self._said = state
        self._seen = state

    def _there(self, state: DeviceState) -> Iterator[tuple[bytes, tuple[str, list[bytes]]]]:
        """Yield the MAC of the TAP and of its bridge, with name and addresses of each."""
        if not state.is_here:
            yield state.mac, (state.name, [])
            return
        yield state.mac, (state.name, self._devices.addresses_of(state.name))
        bridge = self._devices.bridge_of(state.name)
        mac = parse_mac(self._devices.read_mac(bridge)) if bridge else None
        if mac is not None:
            yield mac, (bridge, self._devices.addresses_of(bridge))

    def _say(self, before: DeviceState, now: DeviceState) -> None:
        device = self._device
        if now.name != before.name:
            self._note(
                Event.UPLINK_CHANGED,
                f"is called {now.name} now: frames still pass, but the next start looks for"
                f" {device}; rename it back, or set vpnws-tap",
            )
        if now.mac != before.mac:
            mac = format_mac(now.mac)
            self._note(Event.UPLINK_CHANGED, f"has the MAC {mac} now", mac)
        if not now.is_here:
            self._note(
                Event.UPLINK_CHANGED,
                "is in another network namespace now: frames still pass, its addresses are not"
                " announced, and the next start looks for it here",
            )
        elif now.is_up is False:
            self._note(Event.UPLINK_DOWN, f"is down, so no frame passes: ip link set {now.name} up")
        elif before.is_up is False:
            self._journal.note(
                Event.UPLINK_UP,
                f"the device of uplink {device} is set up again",
                device=device,
                network=self._network,
            )

    def _note(self, event: Event, what: str, mac: str = "") -> None:
        self._journal.note(
            event,
            f"uplink {self._device} {what}",
            device=self._device,
            network=self._network,
            mac=mac,
            reason=what,
        )

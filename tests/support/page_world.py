"""A world for the live page: views of a server that does not exist, moved by hand.

Time is the world's own. `advance` moves it and all counters, so that a page sees two minutes of
traffic as fast as it can read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from vpnws.control.views import (
    AddressView,
    BanView,
    DropView,
    EventView,
    Limits,
    NetworkView,
    PortView,
    ProcessView,
    StatusView,
    Traffic,
    Who,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

START_S: Final = 1_900_000_000.0
FRAME_BYTES: Final = 1_000
WORDS: Final = {
    "egress_full": (
        "The queue is full: more is sent to the station than its path can take.",
        "TCP adapts to that. If it lasts, look for a slow path to the station.",
    ),
    "storm": (
        "The port flooded more than vpnws-storm-limit allows.",
        "Look for a loop or a faulty program behind the station.",
    ),
}
"""Reasons for drops with why and remedy; others have words of one kind."""


class World:
    """Ports, networks and processes, with rates at which their counters grow."""

    def __init__(self, workers: int = 2) -> None:
        """Make a server with so many workers and a mule, and no port."""
        self.now_s = START_S
        self.workers = [f"worker {number}" for number in range(1, workers + 1)]
        self.ports: dict[str, PortView] = {}
        self.rates: dict[str, tuple[int, int]] = {}
        self.drop_rates: dict[str, tuple[str, int]] = {}
        self.addresses: list[AddressView] = []
        self.events: list[EventView] = []
        self.bans: dict[str, BanView] = {}
        self.missing: tuple[str, ...] = ()

    def add_station(
        self,
        user: str = "",
        network: str = "blue",
        rates: tuple[int, int] = (0, 0),
        **more: object,
    ) -> PortView:
        """Add a station, worker after worker; `rates` are bytes per second in and out."""
        number = len(self.ports) + 1
        worker = number % len(self.workers) + 1
        view = PortView(
            id=f"{worker}.{number + 2}",
            kind="station",
            process=f"worker {worker}",
            network=network,
            who=Who(user=user, addr=f"192.0.2.{number % 250 + 1}"),
            macs=(mac_of(number),),
            mac_count=1,
            role="isolated" if number % 7 == 0 else "promiscuous",
            subprotocol="vpnws.offload.1",
            since_s=START_S - 60.0 * number,
            heard_s=self.now_s,
            limits=Limits(storm_packets_per_s=2000, stations=16, egress_bytes=1_000_000),
        )
        return self.add(replace(view, **more), rates)

    def add(self, view: PortView, rates: tuple[int, int] = (0, 0)) -> PortView:
        """Add a port as it is."""
        self.ports[view.id] = view
        self.rates[view.id] = rates
        return view

    def add_trunks(self, rates: tuple[int, int] = (0, 0)) -> None:
        """Join every two processes, the mule among them, by a trunk."""
        names = [*self.workers, "mule"]
        for index, name in enumerate(names, 1):
            for number, other in enumerate(each for each in names if each != name):
                port = PortView(
                    id=f"{index}.t{number + 1}", kind="trunk", process=name, device=other,
                    since_s=START_S - 90_000,
                )  # fmt: skip
                self.add(port, rates)

    def add_tap(self, device: str, network: str = "blue", rates: tuple[int, int] = (0, 0)) -> None:
        """Add a TAP of the server, at the mule."""
        port = PortView(
            id=f"{len(self.workers) + 1}.9", kind="tap", process="mule", network=network,
            device=device, macs=("02:ff:00:00:00:01",), mac_count=1, since_s=START_S - 90_000,
            role="promiscuous",
        )  # fmt: skip
        self.add(port, rates)

    def change(self, port: str, **fields: object) -> None:
        """Change fields of a port."""
        self.ports[port] = replace(self.ports[port], **fields)

    def note(self, name: str, text: str, level: str = "info", **fields: str) -> EventView:
        """Add an event, now."""
        event = EventView(
            seq=len(self.events) + 1, process="worker 1", time_s=self.now_s, name=name,
            level=level, text=text, fields=dict(fields),
        )  # fmt: skip
        self.events.append(event)
        return event

    def advance(self, seconds: float = 1.0) -> None:
        """Let time pass: counters grow at their rates."""
        self.now_s += seconds
        for port, (rx, tx) in self.rates.items():
            self._grow(port, int(rx * seconds), int(tx * seconds))

    def _grow(self, port: str, rx_bytes: int, tx_bytes: int) -> None:
        view = self.ports[port]
        before = view.traffic
        traffic = Traffic(
            rx_frames=before.rx_frames + rx_bytes // FRAME_BYTES,
            rx_bytes=before.rx_bytes + rx_bytes,
            tx_frames=before.tx_frames + tx_bytes // FRAME_BYTES,
            tx_bytes=before.tx_bytes + tx_bytes,
        )
        drops, recent = dict(view.drops), {}
        if port in self.drop_rates:
            reason, frames = self.drop_rates[port]
            drops[reason] = drops.get(reason, 0) + frames
            recent = {reason: frames}
        self.ports[port] = replace(
            view, traffic=traffic, drops=drops, recent_drops=recent, heard_s=self.now_s
        )

    def shown_ports(self) -> list[PortView]:
        """Return the ports of the processes that answer."""
        return [port for port in self.ports.values() if port.process not in self.missing]

    def networks(self) -> list[NetworkView]:
        """Return the networks of the ports."""
        names = sorted({port.network for port in self.ports.values() if port.kind != "trunk"})
        return [self._network(name) for name in names]

    def _network(self, name: str) -> NetworkView:
        everywhere = self.ports.values()
        ports = [port for port in everywhere if port.network == name and port.kind != "trunk"]
        return NetworkView(
            name=name,
            stations=sum(port.kind == "station" for port in ports),
            taps=tuple(port.device for port in ports if port.kind == "tap"),
            macs=sum(port.mac_count for port in ports),
            macs_limit=16_384,
            traffic=Traffic(
                rx_bytes=sum(port.traffic.rx_bytes for port in ports),
                tx_bytes=sum(port.traffic.tx_bytes for port in ports),
            ),
            drops=summed(port.drops for port in ports),
            recent_drops=summed(port.recent_drops for port in ports),
        )

    def drops(self) -> list[DropView]:
        """Return the drops of all ports, in words."""
        return [
            DropView(
                network=port.network, port=port.id, process=port.process, kind=port.kind,
                who=port.who, reason=reason, frames=frames,
                recent_frames=port.recent_drops.get(reason, 0),
                why=WORDS.get(reason, (f"Why {reason}.", ""))[0],
                remedy=WORDS.get(reason, ("", f"Mend {reason}."))[1],
            )
            for port in self.ports.values()
            for reason, frames in port.drops.items()
        ]  # fmt: skip

    def status(self) -> StatusView:
        """Return the server in a few lines."""
        names = [name for name in (*self.workers, "mule") if name not in self.missing]
        return StatusView(
            version="0.1.0", mode="bridge", now_s=self.now_s, since_s=START_S - 275_000,
            ports=len(self.ports), networks=len(self.networks()),
            macs=sum(port.mac_count for port in self.ports.values()),
            processes=tuple(self._process(index, name) for index, name in enumerate(names)),
            missing=self.missing,
        )  # fmt: skip

    def _process(self, index: int, name: str) -> ProcessView:
        ports = [port for port in self.ports.values() if port.process == name]
        return ProcessView(
            name=name, pid=4711 + index, since_s=START_S - 275_000, ports=len(ports),
            loop_lag_s=0.0021, egress_bytes=sum(port.queued_bytes for port in ports), joins=31,
            refusals={"403": 2},
        )  # fmt: skip

    def state(self, max_ports: int = 500) -> dict[str, object]:
        """Return what the stream tells each second."""
        ports = self.shown_ports()
        return {
            "status": self.status(),
            "networks": self.networks(),
            "ports": ports[:max_ports],
            "truncated": len(ports) > max_ports,
        }


def mac_of(number: int) -> str:
    """Return a station's MAC."""
    return f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"


def summed(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Return the sums of counts by name."""
    total: dict[str, int] = {}
    for each in counts:
        for name, value in each.items():
            total[name] = total.get(name, 0) + value
    return total

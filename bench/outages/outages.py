"""The outages: how each is brought about, and what is seen of it."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bench.outages.bed import EXPIRED, NAME, PASSES_ON, Dnsmasq, Patient
from tests.support.mounts import own_mounts
from tests.support.netns import SERVER_ADDRESS
from tests.support.vpn import LOGIN
from vpnws.client.program.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.outages.bed import Bed

MAX_SAID: Final = 6
"""Lines of one client that are shown; those between the first and the last are left out."""
SEND_BEFORE_S: Final = 2.0
"""A line is sent inside so long before the end of an outage."""
OTHER_NET: Final = "10.77.0"
OWN_CHANGES: Final = (
    "address add 10.8.1.9/24 dev tap0",
    "route add 10.50.0.0/16 dev tap0",
    "route add 0.0.0.0/1 dev tap0",
    "address add fd08:1::9/64 dev tap0 nodad",
    "link set tap0 mtu 1400",
    "address del 10.8.1.9/24 dev tap0",
)


@dataclass(slots=True)
class Seen:
    """What was seen of an outage."""

    outage: str
    said: list[str]
    exit_code: int
    """0 if the client went on until it was told to stop."""
    left: list[str]
    first_ping_s: float | None = None
    """Seconds from the end of the outage, None if the client ended."""
    tcp_goes_on: bool | None = None
    """Whether a TCP connection inside has outlived it; None if there was none."""
    reconnects: int = 0

    def shown(self) -> dict[str, str]:
        """Return its cells of the table."""
        ping = "" if self.first_ping_s is None else f"{self.first_ping_s:.1f}"
        inside = {None: "", True: "goes on", False: "LOST"}[self.tcp_goes_on]
        return {
            "outage": self.outage,
            "reconnects": str(self.reconnects),
            "first ping after s": ping,
            "TCP inside": inside,
            "exit code": str(self.exit_code),
            "left": ", ".join(self.left) or "nothing",
        }

    def plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**self.shown(), "said": self.said, "reconnects": self.reconnects}

    def sentences(self) -> str:
        """Return what the client has said, as lines to print."""
        said = self.said
        if len(said) > MAX_SAID:
            said = [*said[: MAX_SAID - 2], f"({len(said) - MAX_SAID + 1} more)", said[-1]]
        return "\n".join([f"{self.outage}:", *(f"    {line}" for line in said)])


def _finish(
    name: str, patient: Patient, since_s: float, *, has_tcp: bool = True, within_s: float = 60.0
) -> Seen:
    """See what comes of an outage that the client should survive, and end the client."""
    first_ping_s = patient.first_ping_s(since_s, within_s)
    goes_on = patient.tcp_goes_on() if has_tcp else None
    said = patient.said()
    patient.close()
    code = patient.client.stop()
    reconnects = sum(line.startswith("connected to") for line in said)
    return Seen(name, said, code, patient.left(), first_ping_s, goes_on, reconnects)


def _ended(name: str, patient: Patient) -> Seen:
    """See what comes of an outage that ends the client."""
    code = patient.client.wait_for_end()
    return Seen(name, patient.said(), code, patient.left())


def _go_through(patient: Patient, away_s: float) -> None:
    """Wait for an outage to end; send on the TCP connection inside, not long before."""
    # What TCP sends again and again in a long outage, it sends after ever longer pauses.
    time.sleep(max(0.0, away_s - SEND_BEFORE_S))
    patient.send_inside()
    time.sleep(min(away_s, SEND_BEFORE_S))


def cable(bed: Bed, index: int, away_s: float) -> Seen:
    """Pull the cable, and put it back."""
    patient = Patient(bed, index)
    patient.join()
    bed.lan.server.ip(f"link set lan{index + 1} down")
    _go_through(patient, away_s)
    bed.lan.server.ip(f"link set lan{index + 1} up")
    return _finish(f"cable pulled for {away_s:g} s", patient, time.time())


def black_hole(bed: Bed, index: int, away_s: float) -> Seen:
    """Lose everything on the way for a while, with the cable in."""
    patient = Patient(bed, index)
    patient.join()
    bed.lan.unplug(index)
    _go_through(patient, away_s)
    bed.lan.plug(index)
    return _finish(f"nothing passes for {away_s:g} s, the cable is in", patient, time.time())


def other_network(bed: Bed, index: int, away_s: float) -> Seen:
    """Go to another network, where the machine has another address and another router."""
    patient = Patient(bed, index)
    patient.join()
    server, port = bed.lan.server, f"lan{index + 1}"
    server.ip(f"link set {port} nomaster")
    patient.namespace.ip("address flush dev eth0")
    time.sleep(away_s)
    server.ip(f"address add {OTHER_NET}.1/24 dev {port}")
    patient.namespace.ip(f"address add {OTHER_NET}.2/24 dev eth0")
    patient.namespace.ip(f"route add default via {OTHER_NET}.1")
    return _finish("another network, another address", patient, time.time())


def suspend(bed: Bed, index: int, away_s: float) -> Seen:
    """Stop the client's process (SIGSTOP), and let it go on."""
    patient = Patient(bed, index)
    patient.join()
    patient.client.process.send_signal(signal.SIGSTOP)
    _go_through(patient, away_s)
    since_s = time.time()
    patient.client.process.send_signal(signal.SIGCONT)
    return _finish(f"suspended for {away_s:g} s (SIGSTOP)", patient, since_s)


def no_dns(bed: Bed, index: int, away_s: float) -> Seen:
    """Start without a name server, and bring it up later."""
    patient = Patient(bed, index)
    resolv = bed.directory / "resolv.conf"
    resolv.write_text(f"nameserver {SERVER_ADDRESS}\noptions timeout:1 attempts:1\n")
    script = f'mount --bind {resolv} /etc/resolv.conf && exec "$@"'
    patient.start(host=NAME, wrapper=own_mounts(script))
    patient.client.wait_for_log("cannot look up", within_s=30.0)
    time.sleep(away_s)
    with Dnsmasq(bed.lan.server):
        since_s = time.time()
        return _finish(f"no name server for {away_s:g} s", patient, since_s, has_tcp=False)


def deleted(bed: Bed, index: int, away_s: float) -> Seen:  # noqa: ARG001
    """Delete the TAP device while the client runs."""
    patient = Patient(bed, index)
    patient.join(pings=False)
    patient.namespace.ip("link delete tap0")
    return _ended("TAP deleted", patient)


def killed(bed: Bed, index: int, away_s: float) -> Seen:  # noqa: ARG001
    """Kill the client, and start it again at once."""
    patient = Patient(bed, index)
    patient.join(pings=False)
    patient.client.end_by(signal.SIGKILL)
    left = patient.left()
    since_s = time.time()
    patient.client.start()
    # There is nothing to ping through before.
    patient.client.wait_until_connected(2)
    seen = _finish("SIGKILL, and started again", patient, since_s, has_tcp=False)
    seen.left += left
    return seen


def wrong_password(bed: Bed, index: int, away_s: float) -> Seen:  # noqa: ARG001
    """Log in with a wrong password."""
    patient = Patient(bed, index)
    patient.start(login=LOGIN.replace("@", "x@"))
    return _ended("wrong password", patient)


def expired(bed: Bed, index: int, away_s: float) -> Seen:  # noqa: ARG001
    """Meet a server whose certificate has expired."""
    patient = Patient(bed, index)
    patient.start(host=f"{SERVER_ADDRESS}:{EXPIRED}")
    return _ended("certificate expired", patient)


def wrong_path(bed: Bed, index: int, away_s: float) -> Seen:  # noqa: ARG001
    """Ask for a path at which nothing is."""
    patient = Patient(bed, index)
    patient.start(host=f"{SERVER_ADDRESS}/nowhere")
    return _ended("wrong path", patient)


def cut(bed: Bed, index: int, away_s: float) -> Seen:
    """Be silent behind a proxy that cuts idle connections, and then be cut by it for age."""
    patient = Patient(bed, index)
    patient.join(host=f"{SERVER_ADDRESS}:{PASSES_ON}", pings=False)
    time.sleep(away_s)
    patient.ping()
    patient.first_ping_s(time.time())
    since_s = time.time()
    bed.haproxy.cut_all()
    name = f"idle for {away_s:g} s behind a proxy, then cut by it"
    return _finish(name, patient, since_s, has_tcp=False)


def own_changes(bed: Bed, index: int, away_s: float) -> Seen:
    """Change the station's own TAP, and nothing that leads to the server."""
    patient = Patient(bed, index)
    patient.join()
    for change in OWN_CHANGES:
        patient.namespace.ip(change)
    time.sleep(away_s)
    return _finish("addresses and routes of the own TAP changed", patient, time.time())


def server_gone(bed: Bed, index: int, away_s: float) -> Seen:
    """Lose the server for a while; it ends in order and says so, as at a restart."""
    patient = Patient(bed, index)
    patient.join()
    bed.go_away()
    _go_through(patient, away_s)
    since_s = time.time()
    bed.come_back()
    return _finish(f"server gone for {away_s:g} s", patient, since_s, within_s=90.0)


@dataclass(frozen=True, slots=True)
class Outage:
    """An outage, and how long it lasts in the program and in the tests."""

    bring_about: Callable[[Bed, int, float], Seen]
    away_s: float
    short_s: float
    exit_code: Exit = Exit.STOPPED


OUTAGES: Final = {
    "cable": Outage(cable, 30.0, 17.0),
    "black hole": Outage(black_hole, 30.0, 17.0),
    "other network": Outage(other_network, 5.0, 1.0),
    "suspend": Outage(suspend, 120.0, 8.0),
    "no DNS": Outage(no_dns, 20.0, 2.0),
    "deleted": Outage(deleted, 0.0, 0.0, Exit.TAP),
    "killed": Outage(killed, 0.0, 0.0),
    "wrong password": Outage(wrong_password, 0.0, 0.0, Exit.REFUSED),
    "expired": Outage(expired, 0.0, 0.0, Exit.TLS),
    "wrong path": Outage(wrong_path, 0.0, 0.0, Exit.NO_SWITCH),
    "cut": Outage(cut, 90.0, 2.0),
    "own changes": Outage(own_changes, 5.0, 2.0),
}
"""All that happen to one station; they can be tried at once."""
SERVER_GONE: Final = Outage(server_gone, 120.0, 5.0)
"""The one that happens to all stations at once."""

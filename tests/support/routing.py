"""The nftables ruleset of docs/modes.md, and which frames pass between two stations."""

from __future__ import annotations

import socket
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING

from vpnws.wire.ethernet import BROADCAST

from .frames import mac
from .markdown import blocks
from .processes import run
from .site import raw_socket
from .uwsgi import REPOSITORY
from .vpn import TAP

if TYPE_CHECKING:
    from .netns import Namespace

MODES_PAGE = REPOSITORY / "docs" / "modes.md"
TRIED_S = 0.4
"""How long a frame may take from one station to the other."""
MAX_FRAMES = 10_000
PORT = 7777
CONNECT_S = 0.4


def ruleset() -> str:
    """Return the nftables ruleset that the page about modes shows."""
    (found,) = [block.text for block in blocks(MODES_PAGE.read_text()) if block.language == "nft"]
    return found


def masquerade(router: Namespace) -> None:
    """Load the page's ruleset."""
    router.run(["nft", "-f", "-"], input_text=ruleset())


def frames_tried(target: bytes, source: bytes) -> dict[str, bytes]:
    """Return frames to a station's MAC, to all and to groups; each contains its name."""
    plain, arp, tagged = b"\x88\xb5", b"\x08\x06", bytes.fromhex("8100006488b5")
    tried = {
        "unicast": (target, plain),
        "unknown unicast": (mac(0x7777), plain),
        "broadcast": (BROADCAST, plain),
        "IPv4 multicast": (bytes.fromhex("01005e0000fb"), plain),
        "IPv6 multicast": (bytes.fromhex("333300000001"), plain),
        "other multicast": (bytes.fromhex("010ccdcd0001"), plain),
        "ARP broadcast": (BROADCAST, arp),
        "ARP unicast": (target, arp),
        "tagged": (target, tagged),
    }
    return {
        name: (destination + source + kind + _mark(name)).ljust(60, b"\0")
        for name, (destination, kind) in tried.items()
    }


def what_arrives(
    sender: Namespace, listener: Namespace, interface: str = TAP, sender_interface: str = TAP
) -> list[str]:
    """Send all these frames from one device, by default a station's TAP.

    Returns the names of those heard at `interface`.
    """
    with (
        closing(raw_socket(sender, sender_interface)) as here,
        closing(raw_socket(listener, interface)) as there,
    ):
        tried = frames_tried(listener.mac(interface), sender.mac(sender_interface))
        for frame in tried.values():
            here.send(frame)
        came = everything(there)
    return [name for name in tried if any(_mark(name) in frame for frame in came)]


def everything(listener: socket.socket) -> list[bytes]:
    """Return the frames that come until none has come for a while."""
    found: list[bytes] = []
    listener.settimeout(TRIED_S)
    with suppress(TimeoutError):
        while len(found) < MAX_FRAMES:
            found.append(listener.recv(65536))
    return found


def connects(sender: Namespace, listener: Namespace, address: str) -> bool:
    """Return whether a TCP connection from one namespace to the other's address succeeds."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with closing(listener.call(partial(_listen, family))) as server:
        try:
            sender.call(partial(socket.create_connection, (address, PORT), CONNECT_S)).close()
        except OSError:
            return False
        server.accept()[0].close()
        return True


def datagram_arrives(sender: Namespace, listener: Namespace, address: str) -> bool:
    """Return whether a UDP datagram from one namespace to the other's address arrives."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with (
        closing(listener.call(partial(_bind, family))) as there,
        closing(sender.call(partial(socket.socket, family, socket.SOCK_DGRAM))) as here,
    ):
        there.settimeout(TRIED_S)
        try:
            here.sendto(b"datagram", (address, PORT))
            return there.recv(100) == b"datagram"
        except OSError:
            return False


def neighbours(station: Namespace) -> str:
    """Return the neighbors that a station knows from answers to ARP and ND."""
    shown = run(["ip", "-n", station.name, "neigh", "show", "dev", TAP]).stdout
    return "\n".join(line for line in shown.splitlines() if "lladdr" in line)


def _listen(family: int) -> socket.socket:
    address = "::" if family == socket.AF_INET6 else "0.0.0.0"
    server = socket.create_server((address, PORT), family=family)
    server.settimeout(2.0)
    return server


def _bind(family: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.bind(("", PORT))
    return made


def _mark(name: str) -> bytes:
    return f"<{name}>".encode()

"""A packet socket on the device that takes in DHCP answers and ARP, and nothing else."""

from __future__ import annotations

import ctypes
import errno
import socket
from struct import Struct
from typing import Final

from vpnws.errors import TapError, TapPermissionError
from vpnws.wire.headers import TYPE_ARP, TYPE_IPV4

MAX_PACKETS: Final = 64
"""Packets that are taken in one turn; the rest waits for the next, and frames come in between."""
_READ_BYTES: Final = 2048
_ALL_TYPES: Final = 0x0003
"""ETH_P_ALL (linux/if_ether.h)."""
_ATTACH_FILTER: Final = 26
"""SO_ATTACH_FILTER (asm-generic/socket.h)."""
_NOT_NOW: Final = (errno.ENETDOWN, errno.ENOBUFS, errno.EAGAIN, errno.ENXIO, errno.ENODEV)
"""The device is down, full or in another network namespace: it may be back for the next frame."""
_INSTRUCTION: Final = Struct("HBBI")
FILTER: Final = (
    (0x28, 0, 0, 12),  # load the type of the frame
    (0x15, 8, 0, TYPE_ARP),  # take
    (0x15, 0, 8, TYPE_IPV4),  # anything else: leave
    (0x30, 0, 0, 23),  # load the protocol
    (0x15, 0, 6, 17),  # not UDP: leave
    (0x28, 0, 0, 20),  # load the fragment's offset
    (0x45, 4, 0, 0x1FFF),  # not the first one: leave
    (0xB1, 0, 0, 14),  # load the length of the IP header
    (0x48, 0, 0, 16),  # load the destination's port
    (0x15, 0, 1, 68),  # not a DHCP client's: leave
    (0x06, 0, 0, _READ_BYTES),  # take
    (0x06, 0, 0, 0),  # leave
)
"""What the kernel runs for each frame (linux/filter.h): code, jumps if true and if false, value.
Without it every frame of the station would be copied to us."""
_PROGRAM: Final = Struct("@HP")


class PacketSocket:
    """The socket; its device may be down, and come up later."""

    def __init__(self, device: str) -> None:
        """Open it on `device`. Raises TapPermissionError, TapError."""
        try:
            self._socket = _open(device)
        except PermissionError as error:
            raise TapPermissionError(
                "--dhcp needs CAP_NET_RAW, to ask before there is an address: run the client as"
                " root, or leave --dhcp out and run a DHCP client on the device"
            ) from error
        except OSError as error:
            raise TapError(f"cannot use DHCP on {device}: {error.strerror}") from error
        self.fd = self._socket.fileno()

    def send(self, frame: bytes) -> None:
        """Send a frame; what the device does not take at once is lost, and asked for again."""
        try:
            self._socket.send(frame)
        except OSError as error:
            if error.errno not in _NOT_NOW:
                raise TapError(f"DHCP: {error.strerror}") from error

    def receive(self) -> list[bytes]:
        """Return the frames that have come in, MAX_PACKETS at most."""
        frames: list[bytes] = []
        while len(frames) < MAX_PACKETS:
            try:
                data, address = self._socket.recvfrom(_READ_BYTES)
            except OSError:
                # Nothing more, or the device went down: it may come up again.
                break
            if address[2] != socket.PACKET_OUTGOING:
                frames.append(data)
        return frames

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _open(device: str) -> socket.socket:
    # Without a protocol nothing comes in before the filter is there.
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*each) for each in FILTER))
        program = _PROGRAM.pack(len(FILTER), ctypes.addressof(code))
        made.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, program)
        made.bind((device, _ALL_TYPES))
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made

"""Sends known bytes between two namespaces with the kernel's own TCP and UDP."""

from __future__ import annotations

import random
import socket
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .netns import Namespace

    Option = tuple[int, int, int | bytes]

PORT: Final = 7777
UDP_SEGMENT: Final = 103
"""A socket option of Linux: one send is cut into datagrams of this many bytes."""
TIMEOUT_S: Final = 20.0


def _socket(namespace: Namespace, family: int, kind: int) -> socket.socket:
    made = namespace.call(lambda: socket.socket(family, kind))
    made.settimeout(TIMEOUT_S)
    return made


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def send_stream(
    sender: Namespace, receiver: Namespace, address: str, size_bytes: int, *options: Option
) -> bool:
    """Send random bytes over TCP to `address`; return whether exactly these arrived.

    `options` are set on the sender's socket before it connects.
    """
    data = random.Random(size_bytes).randbytes(size_bytes)
    got = bytearray()
    with _socket(receiver, _family(address), socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, PORT))
        listener.listen()

        def receive() -> None:
            connection, _ = listener.accept()
            connection.settimeout(TIMEOUT_S)
            with connection:
                while part := connection.recv(1 << 20):
                    got.extend(part)

        reader = threading.Thread(target=receive, daemon=True)
        reader.start()
        with _socket(sender, _family(address), socket.SOCK_STREAM) as client:
            for option in options:
                client.setsockopt(*option)
            client.connect((address, PORT))
            client.sendall(data)
        reader.join(TIMEOUT_S)
    return bytes(got) == data


def send_datagrams(
    sender: Namespace, receiver: Namespace, address: str, sizes: list[int]
) -> list[int]:
    """Send UDP datagrams in one call; all but the last are as long as the first.

    Return the lengths of the datagrams that arrive; their content is checked.
    """
    data = random.Random(len(sizes)).randbytes(sum(sizes))
    with (
        _socket(receiver, _family(address), socket.SOCK_DGRAM) as listener,
        _socket(sender, _family(address), socket.SOCK_DGRAM) as client,
    ):
        listener.bind((address, PORT))
        if len(sizes) > 1:
            client.setsockopt(socket.SOL_UDP, UDP_SEGMENT, sizes[0])
        client.sendto(data, (address, PORT))
        got = [listener.recv(65536) for _ in sizes]
    if b"".join(got) != data:
        raise AssertionError("the datagrams do not hold what was sent")
    return list(map(len, got))

"""UDP datagrams in 64-byte frames at a given rate: a small program that sends, and one that counts.

Python calls sendmmsg and recvmmsg, which take many datagrams at once, so that many share the cost
of a call. `python -m bench.compare.flood count PORT` prints how many datagrams have come, once no
more come; `... send PORT ADDRESS RATE SECONDS` prints how many it sent and in which time.
"""

from __future__ import annotations

import ctypes
import json
import socket
import struct
import sys
import time
from typing import Final

PAYLOAD_BYTES: Final = 22
"""With UDP, IPv4 and Ethernet headers (8, 20, 14) a frame of 64 bytes."""
BATCH: Final = 64
PAUSE_S: Final = 0.0002
FIRST_S: Final = 10.0
"""How long the counter waits for the first datagram."""
QUIET_S: Final = 0.4
"""A counter that has counted ends when nothing comes for so long."""
_RECEIVE_BYTES: Final = 8 << 20
_MSG_WAITFORONE: Final = 0x10000
_SO_RCVBUFFORCE: Final = 33


class _IoVec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _MsgHdr(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iov", ctypes.POINTER(_IoVec)),
        ("iov_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _MMsgHdr(ctypes.Structure):
    _fields_ = (("header", _MsgHdr), ("length", ctypes.c_uint))


_libc = ctypes.CDLL(None, use_errno=True)


class Batch:
    """Messages for sendmmsg and recvmmsg that share one buffer."""

    def __init__(self) -> None:
        """Make room for `BATCH` datagrams."""
        self._buffer = ctypes.create_string_buffer(2048)
        self._iov = _IoVec(ctypes.addressof(self._buffer), PAYLOAD_BYTES)
        header = _MsgHdr(iov=ctypes.pointer(self._iov), iov_length=1)
        self._messages = (_MMsgHdr * BATCH)(*[_MMsgHdr(header) for _ in range(BATCH)])

    def send(self, fd: int, count: int) -> int:
        """Send up to `count` datagrams and return how many went; a refusal counts as none."""
        return max(0, int(_libc.sendmmsg(fd, self._messages, min(count, BATCH), 0)))

    def receive(self, fd: int) -> int:
        """Wait for datagrams and return how many came, 0 on a timeout."""
        return max(0, int(_libc.recvmmsg(fd, self._messages, BATCH, _MSG_WAITFORONE, None)))


def send(port: int, address: str, rate: float, seconds: float) -> dict[str, float]:
    """Send at `rate` datagrams per second, or as fast as it goes with rate 0."""
    batch, sent = Batch(), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.connect((address, port))
        fd = datagrams.fileno()
        start_s = now_s = time.monotonic()
        while now_s < start_s + seconds:
            due = int((now_s - start_s) * rate) - sent if rate else BATCH
            if due > 0:
                sent += batch.send(fd, due)
            else:
                time.sleep(PAUSE_S)
            now_s = time.monotonic()
    return {"sent": sent, "elapsed_s": now_s - start_s}


def count(port: int) -> dict[str, float]:
    """Count datagrams until no more come."""
    batch, received = Batch(), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BYTES)
        datagrams.bind(("", port))
        _set_timeout(datagrams, FIRST_S)
        print("ready", flush=True)
        came = batch.receive(datagrams.fileno())
        _set_timeout(datagrams, QUIET_S)
        while came:
            received += came
            came = batch.receive(datagrams.fileno())
    return {"received": received}


def main() -> None:
    """Do what the command line says."""
    role, port, *rest = sys.argv[1:]
    if role == "count":
        print(json.dumps(count(int(port))))
    else:
        print(json.dumps(send(int(port), rest[0], float(rest[1]), float(rest[2]))))


def _set_timeout(one: socket.socket, seconds: float) -> None:
    # Not settimeout: that makes the socket non-blocking, and recvmmsg would not wait.
    value = struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)


if __name__ == "__main__":
    main()

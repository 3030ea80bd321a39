"""One-byte requests and answers between two stations, one at a time: a small program for each end.

`python -m bench.compare.pingpong serve tcp|udp PORT` answers until its input ends;
`... ask tcp|udp PORT ADDRESS SECONDS` asks, and prints the time of each transaction in ns.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time

WARM_UP = 50
"""Transactions that are not counted."""
LOST_S = 1.0
"""A datagram without an answer for so long is lost, and another is sent."""


def serve(kind: str, port: int) -> None:
    """Answer whatever comes with one byte."""
    threading.Thread(target=_serve, args=(kind, port), daemon=True).start()
    sys.stdin.read()


def ask(kind: str, port: int, address: str, seconds: float) -> list[int]:
    """Return the times in ns of all transactions of `seconds`."""
    with _connected(kind, address, port) as connection:
        for _ in range(WARM_UP):
            _transact(connection)
        times_ns: list[int] = []
        until_ns = time.perf_counter_ns() + int(seconds * 1e9)
        while time.perf_counter_ns() < until_ns:
            took_ns = _transact(connection)
            if took_ns:
                times_ns.append(took_ns)
        return times_ns


def main() -> None:
    """Do what the command line says."""
    role, kind, port, *rest = sys.argv[1:]
    if role == "serve":
        serve(kind, int(port))
    else:
        print(json.dumps(ask(kind, int(port), rest[0], float(rest[1]))))


def _transact(connection: socket.socket) -> int:
    start_ns = time.perf_counter_ns()
    try:
        connection.send(b"?")
        if not connection.recv(1):
            raise EOFError("the other end closed the connection")
    except TimeoutError:
        return 0
    return time.perf_counter_ns() - start_ns


def _connected(kind: str, address: str, port: int) -> socket.socket:
    if kind == "udp":
        datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        datagrams.connect((address, port))
        datagrams.settimeout(LOST_S)
        return datagrams
    stream = socket.create_connection((address, port))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream.settimeout(None)
    return stream


def _serve(kind: str, port: int) -> None:
    if kind == "udp":
        _serve_udp(port)
    else:
        _serve_tcp(port)


def _serve_udp(port: int) -> None:
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("", port))
    print("ready", flush=True)
    while True:
        _, asker = datagrams.recvfrom(1)
        datagrams.sendto(b"!", asker)


def _serve_tcp(port: int) -> None:
    listener = socket.create_server(("", port))
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while connection.recv(1):
            connection.send(b"!")


if __name__ == "__main__":
    main()

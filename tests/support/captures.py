"""Reads captures as the programs of an operator do."""

from __future__ import annotations

import struct
import subprocess

_STATISTICS, _LOST, _RECEIVED = 5, 5, 4


def tshark(capture: bytes, *fields: str, checks: tuple[str, ...] = ()) -> list[list[str]]:
    """Return these fields of each frame, as tshark reads them from a pipe.

    `checks` are preferences, such as udp.check_checksum:TRUE.
    """
    arguments = [word for field in fields for word in ("-e", field)]
    preferences = [word for check in checks for word in ("-o", check)]
    command = ["tshark", "-n", *preferences, "-r", "-", "-T", "fields", *arguments]
    done = subprocess.run(command, input=capture, capture_output=True, check=True, timeout=60)
    return [line.split("\t") for line in done.stdout.decode().splitlines()]


def comments(capture: bytes) -> list[str]:
    """Return the comment of each frame."""
    return [row[0] for row in tshark(capture, "frame.comment")]


def statistics(capture: bytes) -> list[tuple[int, int]]:
    """Return (frames, those of them whose copies were lost) of each interface, as it says."""
    found = []
    while capture:
        kind, size = struct.unpack_from("<II", capture)
        assert capture[size - 4 : size] == capture[4:8]
        if kind == _STATISTICS:
            options, rest = {}, capture[20 : size - 4]
            while rest[:2] != bytes(2):
                code, length = struct.unpack_from("<HH", rest)
                options[code] = int.from_bytes(rest[4 : 4 + length], "little")
                rest = rest[4 + length + -length % 4 :]
            found.append((options[_RECEIVED], options[_LOST]))
        capture = capture[size:]
    return found

"""Memory that was freed goes back to the kernel."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import os
from collections import deque
from vpnws.server.memory import give_back

def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

before = resident_bytes()
blocks = [deque(range(64)) for _ in range(100_000)]
used = resident_bytes() - before
few = blocks[::50]
del blocks
kept = resident_bytes() - before
give_back()
print(used, kept, resident_bytes() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can give memory back")
def test_it_is_given_back_although_a_little_of_it_is_still_in_use() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    used, kept, left = map(int, done.stdout.split())
    assert kept > used // 2, "it is not given back by itself"
    assert left < used // 2

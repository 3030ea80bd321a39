"""A virtual machine joins by qemu:PATH, without root and without a TAP: a real QEMU and guest."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.netns import SERVER_ADDRESS
from tests.support.prerequisites import require
from tests.support.qemu_guest import REACHED, QemuGuest, require_guest
from tests.support.service import Service
from tests.support.traffic import ping
from tests.support.unprivileged import NOBODY, as_seen_by_users
from tests.support.vpn import LOGIN, TAP, Client, Vpn
from vpnws.client.program.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.netns import Namespace

pytestmark = pytest.mark.netns

MAC, OTHER_MAC = "52:54:00:aa:bb:cc", "52:54:00:aa:bb:dd"
GUEST = "10.8.0.77"
PORT = 8088
FILE_BYTES = 1_000_000
FAR_S = 60.0
AS_NOBODY = f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --bounding-set=-all"


class FileServer(Service):
    """Python's own web server, with one file."""

    name = "http.server"

    def __init__(self, namespace: Namespace, content: bytes) -> None:
        super().__init__(namespace)
        self._content = content

    def lay_out(self) -> None:
        """Write the file."""
        (self.directory / "file").write_bytes(self._content)

    def command(self) -> list[str]:
        """Return the command line."""
        return ["python3", "-u", "-m", "http.server", str(PORT)]

    def working_directory(self) -> Path:
        """Return what is served."""
        return self.directory

    def is_ready(self) -> bool:
        """Return whether it listens."""
        return "Serving HTTP" in self.log_text()


@pytest.fixture
def vpn() -> Iterator[Vpn]:
    require_guest()
    require("setpriv")
    with Vpn(stations=2) as made:
        yield made


@pytest.fixture
def place() -> Iterator[Path]:
    """Yield a directory of a user without privileges."""
    with tempfile.TemporaryDirectory(prefix="vpnws-guest-") as made:
        os.chown(made, NOBODY, NOBODY)
        yield Path(made)


def test_a_guest_reaches_a_station_and_is_reached(vpn: Vpn, place: Path, tmp_path: Path) -> None:
    content = os.urandom(FILE_BYTES)
    station, other = vpn.lan.stations
    vpn.join(0)
    vpn.parts.enter_context(FileServer(station, content))
    authority = str(shutil.copy(vpn.nginx.ca.crt, place))
    path = place / "vm.sock"
    client = vpn.parts.enter_context(
        Client(
            other,
            *("--ca", authority, f"qemu:{path}", f"wss://{LOGIN}{SERVER_ADDRESS}/vpn"),
            wrapper=[*as_seen_by_users(tmp_path), *AS_NOBODY.split()],
        )
    )
    client.wait_until_connected()
    assert f" {TAP}:" not in other.ip("-o link show")
    with QemuGuest(other, path, mac=MAC, address=GUEST, station=vpn.address(0), port=PORT) as guest:
        guest.wait_for_log(REACHED, within_s=FAR_S)
        # What has the guest's MAC is announced anew, and the log says whose it is.
        client.wait_until_connected(2)
        assert f"the MAC of qemu:{path} is {MAC} now" in client.log_text()
        assert f"as qemu:{path} {MAC}, offload on" in client.log_text()
        assert ping(station, GUEST, count=3).received == 3
        guest.wait_for_log(hashlib.md5(content).hexdigest(), within_s=FAR_S)
    client.wait_for_log(f"the guest at qemu:{path} is gone; waiting for the next")
    assert ping(station, GUEST, count=1).received == 0
    with QemuGuest(
        other, path, mac=OTHER_MAC, address=GUEST, station=vpn.address(0), port=PORT
    ) as next_guest:
        next_guest.wait_for_log(REACHED, within_s=FAR_S)
        client.wait_until_connected(3)
        assert f"as qemu:{path} {OTHER_MAC}" in client.log_text()
    assert client.stop() == Exit.STOPPED
    assert "Traceback" not in client.log_text()
    assert not path.exists()

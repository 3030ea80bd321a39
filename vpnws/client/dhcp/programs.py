"""The DHCP clients of a system that can be used: how each is started, and gives its lease up."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final, NamedTuple

from vpnws.client.dhcp.report import SCRIPT
from vpnws.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

OWN: Final = "own"
NAMES: Final = (OWN, "udhcpc", "dhclient")
"""What --dhcp-client may say."""
_SEARCH_PATH: Final = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
_DHCLIENT_CONF: Final = """\
option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;
request rfc3442-classless-static-routes, subnet-mask, routers, domain-name-servers, interface-mtu,
    dhcp-lease-time, dhcp-renewal-time, dhcp-rebinding-time;
initial-interval 4;
backoff-cutoff 64;
timeout 600;
retry 10;
"""


class Program(NamedTuple):
    """A DHCP client: what runs, with the device's name behind it."""

    name: str
    words: tuple[str, ...]

    def write_files(self, directory: Path) -> None:
        """Write into `directory` what the program needs. Raises OSError."""
        script = directory / "script"
        script.write_text(SCRIPT)
        script.chmod(0o700)
        (directory / "conf").write_text(_DHCLIENT_CONF)
        (directory / "leases").touch()

    def command(self, device: str, directory: Path) -> list[str]:
        """Return what asks for an address, and keeps its lease until it is ended."""
        if self.name == "udhcpc":
            wanted = ("-O", "staticroutes", "-O", "mtu")
            return [*self.words, "-f", "-R", *wanted, "-s", f"{directory}/script", "-i", device]
        return [*self.words, "-d", *self._files(directory), device]

    def release(self, device: str, directory: Path) -> list[str]:
        """Return what gives the lease up after the end; empty if ending by SIGTERM does so."""
        if self.name == "udhcpc":
            return []
        return [*self.words, "-r", *self._files(directory), device]

    def _files(self, directory: Path) -> tuple[str, ...]:
        files = (("-cf", "conf"), ("-lf", "leases"), ("-sf", "script"))
        given = (word for option, name in files for word in (option, f"{directory}/{name}"))
        return ("-4", "--no-pid", *given)


def find(name: str) -> Program:
    """Return the program `name`, one of NAMES but OWN. Raises ConfigError if it is not there."""
    path = shutil.which(name, path=_SEARCH_PATH)
    if path is not None:
        return Program(name, (path,))
    busybox = shutil.which("busybox", path=_SEARCH_PATH) if name == "udhcpc" else None
    if busybox is None:
        raise ConfigError(
            f"--dhcp-client {name} is not on this system: install it, or leave the option out, and"
            " the client asks by itself"
        )
    return Program(name, (busybox, name))

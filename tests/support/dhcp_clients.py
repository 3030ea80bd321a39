"""Debian's DHCP clients on a device, with a script that takes the address and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .service import Service

if TYPE_CHECKING:
    from .netns import Namespace

_UDHCPC_SCRIPT = """\
#!/bin/sh
case "$1" in
    bound | renew) ip address replace "$ip/$mask" dev "$interface" ;;
    deconfig) ip -4 address flush dev "$interface" scope global ;;
esac
"""
_DHCLIENT_SCRIPT = """\
#!/bin/sh
case "$reason" in
    BOUND | RENEW | REBIND | REBOOT)
        ip address replace "$new_ip_address/24" dev "$interface" ;;
    EXPIRE | FAIL | RELEASE | STOP) ip -4 address flush dev "$interface" scope global ;;
esac
exit 0
"""


class DhcpClient(Service):
    """A client that asks at once, and runs until it is stopped."""

    script: str
    obtained: str
    """What it says when it has a lease."""
    leaves_nothing = False

    def __init__(self, namespace: Namespace, device: str) -> None:
        super().__init__(namespace)
        self.device = device

    def prepare(self) -> None:
        """Write the script."""
        path = self.directory / "script"
        path.write_text(self.script)
        path.chmod(0o755)

    def is_ready(self) -> bool:
        """Return whether it has said anything."""
        return bool(self.log_text())

    def wait_for_lease(self, count: int = 1) -> None:
        """Wait until it has said `count` times that it has a lease."""
        self.wait_for_log(self.obtained, count, within_s=20.0)


class Udhcpc(DhcpClient):
    """Busybox's client."""

    name = "udhcpc"
    script = _UDHCPC_SCRIPT
    obtained = "obtained from"

    def command(self) -> str:
        """Return the command line; it gives its lease back at the end."""
        self.prepare()
        return f"busybox udhcpc -f -R -i {self.device} -s {self.directory}/script"


class Dhclient(DhcpClient):
    """ISC's client."""

    name = "dhclient"
    script = _DHCLIENT_SCRIPT
    obtained = "bound to"

    def command(self) -> str:
        """Return the command line; it keeps its leases and its settings to itself."""
        self.prepare()
        (self.directory / "conf").write_text("initial-interval 1;\n")
        (self.directory / "leases").touch()
        files = f"-cf {self.directory}/conf -lf {self.directory}/leases -sf {self.directory}/script"
        return f"dhclient -4 -d -v --no-pid {files} {self.device}"

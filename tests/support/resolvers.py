"""Programs that have charge of a machine's name servers, each in a view of the machine of its own.

They are unpacked and not installed (tests/install-tools.sh), and see copies of /etc and /run.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from . import processes
from .assembly import Assembly
from .mounts import own_mounts
from .prerequisites import lacking
from .waiting import wait_for

if TYPE_CHECKING:
    from .netns import Namespace

UNPACKED = Path("/var/cache/vpnws-tests/resolvers")
KINDS = ("openresolv", "resolvconf", "systemd-resolved")
OWN = "192.168.5.1"
"""The name server that the machine has before."""
READY_S = 20.0

# $1 is where the packages are unpacked, $2 is one of KINDS, $3 an empty directory.
_ENTER = r"""
set -e
cd "$1/$2"
mount -t tmpfs tmpfs "$3"
cp -a /etc/. etc/. "$3" 2>/dev/null || true
mount --bind "$3" /etc
rm -f /etc/resolv.conf
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/dbus /run/resolvconf/interface /run/systemd/resolve
mount -t overlay overlay -o "lowerdir=$PWD/lib:/usr/lib" /usr/lib
case $2 in
resolvconf)
    touch /run/resolvconf/enable-updates /run/resolvconf/resolv.conf
    ln -s ../run/resolvconf/resolv.conf /etc/resolv.conf
    ;;
systemd-resolved)
    echo systemd-resolve:x:993:993::/:/usr/sbin/nologin >>/etc/passwd
    echo systemd-resolve:x:993: >>/etc/group
    chown 993:993 /run/systemd/resolve
    cp usr/share/dbus-1/system.d/* /etc/dbus-1/system.d/
    printf '[Resolve]\nDNS=192.168.5.1\nFallbackDNS=\n' >/etc/systemd/resolved.conf
    ln -s /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf
    dbus-daemon --system --nofork --nopidfile &
    until [ -S /run/dbus/system_bus_socket ]; do sleep 0.05; done
    /usr/lib/systemd/systemd-resolved &
    until resolvectl dns; do sleep 0.05; done
    ;;
esac
[ "$2" = systemd-resolved ] || echo nameserver 192.168.5.1 | resolvconf -a eth0.dhcp
touch /run/ready
exec sleep 600
"""


class Resolver(Assembly):
    """One of KINDS in a namespace, for as long as the `with` block lasts."""

    def __init__(self, namespace: Namespace, kind: str, directory: Path) -> None:
        """`directory` is an empty one."""
        self._namespace = namespace
        self._kind = kind
        self._directory = directory
        places = f"{UNPACKED}/{kind}/sbin", f"{UNPACKED}/{kind}/usr/bin"
        self._path = ":".join((*places, "/usr/sbin", "/usr/bin", "/sbin", "/bin"))

    def build(self) -> None:
        """Start it, and wait until it has charge."""
        if not (UNPACKED / "all").exists():
            lacking(f"no {self._kind} is unpacked (run tests/install-tools.sh)")
        self._process = self._namespace.popen(
            [*own_mounts(_ENTER), str(UNPACKED), self._kind, str(self._directory)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": self._path},
        )
        self.parts.callback(processes.stop, self._process)
        wait_for(lambda: self._run("test", "-e", "/run/ready"), READY_S, self._kind)

    def wrapper(self) -> list[str]:
        """Return a command prefix that runs a command where this has charge."""
        return [*self._inside(), "env", f"PATH={self._path}"]

    def asked(self) -> list[str]:
        """Return the name servers that are asked for most names, the first one first."""
        if self._kind == "systemd-resolved":
            shown = self._namespace.run([*self.wrapper(), "resolvectl", "dns"]).stdout
            lines = [
                line.partition("): ")[2] or line.partition("Global: ")[2]
                for line in shown.splitlines()
            ]
            return [word for line in reversed(lines) for word in line.split()]
        shown = self._namespace.run([*self._inside(), "cat", "/etc/resolv.conf"]).stdout
        return re.findall(r"^nameserver (\S+)", shown, re.MULTILINE)

    def _inside(self) -> list[str]:
        return ["nsenter", "--mount", "--target", str(self._process.pid)]

    def _run(self, *words: str) -> bool:
        return not self._namespace.run([*self._inside(), *words], check=False).returncode

"""Boots a real systemd as process 1 of a container, with the project installed as docs say.

The container consists of namespaces only. Its root is an overlay of the machine's, so nothing is
written outside. It has its own network, processes and cgroups.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import pytest

from . import processes
from .prerequisites import require, require_tap
from .uwsgi import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

BOOT_S = 90.0
HIDDEN = ("/root", "/home", "/run/user")
"""Where ProtectHome lets a service see nothing."""

# $1 is an empty directory, $2 the checkout, $3 its Python environment, $4 that one's base.
_BOOT = r"""
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$1"
cd "$1"
mkdir up work root up2 work2
mount -t overlay overlay -o lowerdir=/,upperdir=up,workdir=work root
cd root
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    touch dev/$device; mount --bind /dev/$device dev/$device
done
mkdir dev/net dev/shm
mknod dev/net/tun c 10 200; chmod 666 dev/net/tun
ln -s /proc/self/fd dev/fd
touch dev/console; mount --bind "$1.console" dev/console

mkdir -p opt/vpnws
mount -t overlay overlay -o lowerdir="$2",upperdir=../up2,workdir=../work2 opt/vpnws
mkdir -p opt/vpnws/.venv
mount --bind "$3" opt/vpnws/.venv
mount --bind "$4" "$1/work"
for hidden in root home; do mount -t tmpfs -o mode=755 tmpfs $hidden; done
mkdir -p ".$4"; mount --bind "$1/work" ".$4"

rm -rf etc/systemd/system etc/vpnws; mkdir -p etc/systemd/system
for unit in systemd-journald.service systemd-journald.socket systemd-journald-dev-log.socket; do
    ln -s /dev/null etc/systemd/system/$unit
done
cat > etc/systemd/system/script.service <<UNIT
[Service]
Type=oneshot
StandardOutput=file:/dev/console
StandardError=file:/dev/console
ExecStart=/bin/sh -e /script
ExecStopPost=systemctl --no-block exit
UNIT
printf '[Unit]\nDefaultDependencies=no\nWants=script.service\n' > etc/systemd/system/script.target
cp "$1.script" script
mkdir -p tmp/old; pivot_root . tmp/old; umount -l /tmp/old
ip link set lo up
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=script.target --show-status=no --log-target=console
"""

# Only what keeps the service from this machine's Python is changed.
_DROP_IN = """
mkdir -p /etc/systemd/system/vpnws.service.d
cat > /etc/systemd/system/vpnws.service.d/test.conf <<UNIT
[Service]
StandardOutput=append:/var/log/vpnws-test.log
StandardError=append:/var/log/vpnws-test.log
{hidden}
UNIT
"""


def require_systemd() -> None:
    """Require what the container and the TAPs in it need."""
    require_tap()
    require("systemctl", "unshare")
    kinds = Path("/proc/filesystems").read_text().split()
    if not ({"overlay", "cgroup2"} <= set(kinds) and Path("/lib/systemd/systemd").exists()):
        pytest.skip("the kernel has no overlay or cgroup2, or there is no systemd")


def run_in_systemd(script: str) -> str:
    """Run a shell script (`sh -e`) as root in a booted container; return all that it printed.

    It finds the project in /opt/vpnws. Raises CommandError when the container does not end.
    """
    with tempfile.TemporaryDirectory(prefix="vpnws-systemd-") as name, _cgroup() as cgroup:
        stage = Path(name) / "stage"
        stage.mkdir()
        console = Path(name) / "stage.console"
        console.touch()
        (Path(name) / "stage.script").write_text(_drop_in() + script)
        namespaces = ["--mount", "--pid", "--fork", "--cgroup", "--uts", "--ipc", "--net"]
        places = [str(stage), str(REPOSITORY), sys.prefix, sys.base_prefix]
        boot = ["unshare", *namespaces, "--kill-child=KILL", "sh", "-c", _BOOT, "sh", *places]
        enter = f'echo $$ > {quote(str(cgroup))}/cgroup.procs; exec "$@"'
        done = processes.run(["sh", "-c", enter, "sh", *boot], timeout_s=BOOT_S, check=False)
        return console.read_text(errors="replace") + done.stderr


def _drop_in() -> str:
    base = sys.base_prefix
    hidden = f"ProtectHome=tmpfs\nBindReadOnlyPaths={base}" if base.startswith(HIDDEN) else ""
    return _DROP_IN.format(hidden=hidden)


@contextmanager
def _cgroup() -> Iterator[Path]:
    """Make a cgroup for the container, and remove it with all that systemd made in it.

    The hierarchy is mounted in a place of its own: what the machine has at /sys/fs/cgroup may be
    elsewhere, absent or covered.
    """
    with tempfile.TemporaryDirectory(prefix="vpnws-cgroup-") as top:
        processes.run(["mount", "-t", "cgroup2", "cgroup2", top])
        cgroup = Path(top) / f"vpnws-test-{os.getpid()}"
        try:
            cgroup.mkdir()
            yield cgroup
        finally:
            for path in sorted(cgroup.rglob("*/"), reverse=True):
                with suppress(OSError):
                    path.rmdir()
            cgroup.rmdir()
            processes.run(["umount", top])

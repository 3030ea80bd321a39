"""A virtual machine: QEMU without KVM, Debian's kernel for clouds, busybox, and one network device.

Its init brings the device up, pings a station until that answers, fetches a file from it, and says
on the serial console, which is the service's log, what it has done.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from . import processes
from .prerequisites import lacking, require
from .service import Service
from .tools import tool_path

if TYPE_CHECKING:
    from .netns import Namespace
    from .processes import Command

PARTS = Path("/var/cache/vpnws-tests/guest")
"""Where tests/install-tools.sh puts the kernel and its modules."""
MODULES = (
    *("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"),
    *("failover", "net_failover", "virtio_net"),
)
"""In the order of their needs."""
UP = "guest: up"
REACHED = "guest: reached the station"
MEMORY_MB = 128
_INIT = """\
#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in {modules}; do insmod /modules/$module.ko; done
ip address add {address}/24 dev eth0
ip link set eth0 up
echo "{up}"
until ping -c 1 -W 1 {station}; do sleep 0.2; done
echo "{reached}"
wget -q -O /file http://{station}:{port}/file && md5sum /file
while :; do sleep 1000; done
"""


def require_guest() -> None:
    """Require what a virtual machine is made of."""
    require("qemu-system-x86_64", "busybox", "ldd")
    if not (PARTS / "vmlinuz").exists():
        lacking(f"no kernel in {PARTS} (run tests/install-tools.sh)")


class QemuGuest(Service):
    """A virtual machine whose network is the client at the end of a unix socket."""

    name = "qemu"
    start_s: ClassVar[float] = 90.0

    def __init__(
        self, namespace: Namespace, socket_path: Path, *, mac: str, address: str, station: str,
        port: int,
    ) -> None:  # fmt: skip
        """`station` is whom it pings, and whose `port` has the file over HTTP."""
        super().__init__(namespace)
        self._socket_path = socket_path
        self._mac = mac
        self._init = _INIT.format(
            modules=" ".join(MODULES), up=UP, reached=REACHED, address=address, station=station,
            port=port,
        )  # fmt: skip

    def lay_out(self) -> None:
        """Make the initial file system."""
        root = self.directory / "root"
        for folder in ("bin", "dev", "modules", "proc"):
            (root / folder).mkdir(parents=True)
        _copy_busybox(root)
        for module in MODULES:
            shutil.copy(PARTS / f"{module}.ko", root / "modules")
        (root / "init").write_text(self._init)
        (root / "init").chmod(0o755)
        archive = f"find . | busybox cpio -o -H newc > {self.directory}/initrd"
        processes.run(["sh", "-c", archive], cwd=root)

    def command(self) -> Command:
        """Return the command line."""
        return [
            *("qemu-system-x86_64", "-accel", "tcg", "-M", "pc", "-cpu", "max", "-m"),
            *(str(MEMORY_MB), "-nodefaults", "-no-user-config", "-display", "none"),
            *("-serial", "stdio", "-no-reboot", "-kernel", str(PARTS / "vmlinuz")),
            *("-initrd", str(self.directory / "initrd")),
            *("-append", "console=ttyS0 quiet panic=-1"),
            "-netdev",
            f"stream,id=net0,server=off,addr.type=unix,addr.path={self._socket_path}",
            *("-device", f"virtio-net-pci,netdev=net0,mac={self._mac},romfile="),
        ]

    def is_ready(self) -> bool:
        """Return whether its device is up."""
        return UP in self.log_text()


def _copy_busybox(root: Path) -> None:
    """Copy busybox, the libraries that it needs, and a name for each of its programs."""
    busybox = tool_path("busybox")
    assert busybox is not None
    shutil.copy(busybox, root / "bin" / "busybox")
    needed = processes.run(["ldd", busybox], check=False).stdout
    for library in re.findall(r"(/\S+) \(0x", needed):
        place = root / library.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(library).resolve(), place)
    for program in processes.run([busybox, "--list"]).stdout.split():
        link = root / "bin" / program
        if not link.exists():
            link.symlink_to("busybox")

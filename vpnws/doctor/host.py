"""Looks at this host: the one module of the doctor that reads files and runs programs.

It asks by programs of the host that print JSON, because they ask the kernel by netlink: /sys may
show the devices of another network namespace. Each has PROGRAM_S, and none is asked for rights.
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from vpnws.doctor import firewall, iproute
from vpnws.doctor.facts import Facts, ForwardChain
from vpnws.doctor.nginx import read_nginx
from vpnws.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vpnws.config import Settings
    from vpnws.doctor.facts import Nginx

T = TypeVar("T")

PROGRAM_S: Final = 0.5
"""The time that a program of the host has to answer; without an answer the doctor is silent about
what it would have said."""
MAX_OUTPUT_BYTES: Final = 8_000_000
"""The longest output of a program that is read; of a longer one nothing counts."""
MAX_FILE_BYTES: Final = 1_000_000
"""The longest file that is read; the rest of a longer one is left out."""
NGINX: Final = "/etc/nginx/nginx.conf"
SYSCTLS: Final = (
    "net.bridge.bridge-nf-call-iptables",
    "net.bridge.bridge-nf-call-ip6tables",
    "net.bridge.bridge-nf-call-arptables",
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv4.conf.all.rp_filter",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_max",
    "net.core.somaxconn",
)
"""The kernel's parameters that are looked at, as sysctl(8) spells them."""
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""A service's own may lack the directories of an administrator's programs."""
_VENDORS: Final = ("sys_vendor", "product_name")


def look(
    settings: Settings, *, workers: int, backlog: int, max_fds: int, nginx: str = NGINX
) -> Facts:
    """Return how this host is now, as far as this user may see; it raises nothing.

    `workers`, `backlog` and `max_fds` are uWSGI's; `nginx` is the file of its configuration. It
    takes some milliseconds, or PROGRAM_S for each program that hangs: call it where nobody waits.
    """
    unseen: list[str] = []
    devices = _ask(iproute.SHOW_DEVICES, iproute.read_devices, unseen) if settings.tap else None
    learned = _ask(iproute.SHOW_LEARNED, iproute.read_learned, unseen) if settings.tap else None
    names = [*SYSCTLS, *(f"net.ipv4.conf.{device}.rp_filter" for _, device in settings.tap)]
    values = {name: _sysctl(name) for name in names}
    return Facts(
        settings=settings,
        workers=workers,
        backlog=backlog,
        max_fds=max_fds,
        devices=devices or {},
        learned=learned or {},
        sysctls={name: value for name, value in values.items() if value is not None},
        forward=_forward_chains() if settings.tap else (),
        vendor=_vendor(),
        nginx=_nginx(nginx, settings),
        unseen=tuple(unseen),
    )


def _ask(command: Sequence[str], read: Callable[[bytes], T], unseen: list[str]) -> T | None:
    """Return what `read` makes of what `command` prints; None, and a sentence, if that fails."""
    try:
        return read(_run(command))
    except (OSError, ValueError, LookupError, TypeError, subprocess.SubprocessError) as error:
        unseen.append(f"{command[0]} could not be asked: {error}")
        return None


def _run(command: Sequence[str]) -> bytes:
    """Return what `command` prints. Raises OSError or SubprocessError."""
    done = subprocess.run(
        command,
        env={"PATH": _PATH, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PROGRAM_S,
        check=False,
    )
    if done.returncode or len(done.stdout) > MAX_OUTPUT_BYTES:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["too much"]
        raise subprocess.SubprocessError(f"it says {one_line(lines[-1])}")
    return done.stdout


def _forward_chains() -> tuple[ForwardChain, ...] | None:
    """Return the chains that judge forwarded packets; None if they could not all be seen."""
    seen = [_ask(firewall.SHOW_CHAINS, firewall.read_chains, [])]
    for family in firewall.LEGACY:
        try:
            tables = Path(f"/proc/thread-self/net/{family}_tables_names").read_text().split()
        except FileNotFoundError:
            continue
        except OSError:
            return None
        if firewall.TABLE in tables:
            read = partial(firewall.read_legacy, family)
            seen.append(_ask(firewall.show_legacy(family), read, []))
    known = [chains for chains in seen if chains is not None]
    return tuple(chain for chains in known for chain in chains) if len(known) == len(seen) else None


def _sysctl(name: str) -> int | None:
    # A device's name may have dots; all that is asked for by name is a TAP's.
    found = re.fullmatch(r"net\.ipv4\.conf\.(.+)\.rp_filter", name)
    path = f"net/ipv4/conf/{found[1]}/rp_filter" if found else name.replace(".", "/")
    text = _read(Path("/proc/sys") / path).strip()
    return int(text) if text.isdigit() else None


def _vendor() -> str:
    """Return who has made this machine, if it is a virtual one."""
    if "hypervisor" not in _read(Path("/proc/cpuinfo")).split():
        return ""
    return " ".join(_read(Path("/sys/class/dmi/id") / name).strip() for name in _VENDORS).strip()


def _nginx(main: str, settings: Settings) -> Nginx | None:
    if not Path(main).is_file():
        return None
    read = partial(_read_all, Path(main).parent)
    return read_nginx(read, main, settings, len(os.sched_getaffinity(0)))


def _read_all(directory: Path, pattern: str) -> list[str]:
    """Return the texts of the files that `pattern` names, which may be relative to `directory`."""
    return [_read(Path(path)) for path in sorted(glob.glob(str(directory / pattern)))]


def _read(path: Path) -> str:
    try:
        # What is no file, such as a pipe, would make us wait.
        if not path.is_file():
            return ""
        with path.open(errors="replace") as file:
            return file.read(MAX_FILE_BYTES)
    except OSError:
        return ""

"""Lets an unprivileged user run the server: a view of the machine where /dev/net/tun is open."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from . import processes
from .mounts import own_mounts
from .uwsgi import REPOSITORY, Uwsgi

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .netns import Namespace

NOBODY = 65534
NOBODY_NAME, NOGROUP_NAME = "nobody", "nogroup"
DROPS = ("--uid", NOBODY_NAME, "--gid", NOGROUP_NAME)
"""Options of a uWSGI that root starts and that then gives up root."""
TAP = "vpn0"
GATEWAY = "10.8.0.254"


def as_seen_by_users(stage: Path, tun_mode: str = "666") -> list[str]:
    """Return a command prefix that runs a command, by exec, where users may do what they need.

    The real /dev/net/tun may be root's alone (udev is not everywhere), and so may be a directory
    that Python or the project lies in: both are opened in a mount namespace, and nowhere else.
    `stage` is an empty directory; nothing of what happens in it is seen outside. With a `tun_mode`
    of 600 users may do all but open /dev/net/tun.
    """
    script = "\n".join(
        ["set -e", *_opening_tun(stage, tun_mode), *_opening_places(stage), 'exec "$@"']
    )
    return own_mounts(script)


def _opening_tun(stage: Path, mode: str) -> list[str]:
    return [
        f"mount -t tmpfs -o mode=755 tmpfs {stage}",
        f"mknod {stage}/tun c 10 200",
        f"chmod {mode} {stage}/tun",
        f"mount --bind {stage}/tun /dev/net/tun",
    ]


def _opening_places(stage: Path) -> list[str]:
    """Hide each directory that keeps users out, and mount what they need back into it."""
    places = {Path(sys.base_prefix), Path(sys.prefix), REPOSITORY}
    barred = {place: bar for place in places if (bar := _bar(place))}
    held = {place: stage / f"held{number}" for number, place in enumerate(barred)}
    lines = []
    for place, hold in held.items():
        lines += [f"mkdir {hold}", f"mount --bind {quote(str(place))} {hold}"]
    for bar in set(barred.values()):
        lines.append(f"mount -t tmpfs -o mode=755 tmpfs {quote(str(bar))}")
    for place, hold in sorted(held.items()):
        there = quote(str(place))
        lines += [f"mkdir -p {there}", f"mount --bind {hold} {there}"]
    return lines


def _bar(place: Path) -> Path | None:
    """Return the topmost directory above `place` that users cannot enter."""
    above = reversed(place.parents)
    return next((path for path in above if not path.stat().st_mode & 0o001), None)


@contextmanager
def tap_server(
    namespace: Namespace,
    *arguments: str,
    settings: Mapping[str, str] | None = None,
    site: str = "",
    uid: int | None = None,
    tun_mode: str = "666",
) -> Iterator[Uwsgi]:
    """Run uWSGI with the TAP `vpn0` in a namespace, on port 8080, so that users may run it.

    `site` is the text of a site's own ini, where {ini} stands for the project's; by default the
    project's ini is used. `uid` is its user from the start, `tun_mode` that of /dev/net/tun.
    Raises ServiceError.
    """
    with tempfile.TemporaryDirectory(prefix="vpnws-users-") as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "stage").mkdir()
        (root / "run").mkdir()
        os.chown(root / "run", NOBODY, NOBODY)
        ini = REPOSITORY / "uwsgi.ini"
        if site:
            (root / "site.ini").write_text("[uwsgi]\n" + site.format(ini=ini, run=root / "run"))
            ini = root / "site.ini"
        given = {"vpnws-mode": "bridge", "vpnws-tap": TAP, **(settings or {})}
        with Uwsgi(
            *arguments,
            namespace=namespace,
            placeholders={key: value for key, value in given.items() if value},
            socket_path=root / "run" / "vpnws.sock",
            ini=ini,
            uid=uid,
            workers=2,
            wrapper=as_seen_by_users(root / "stage", tun_mode),
        ) as server:
            yield server


def capabilities(pid: int) -> int:
    """Return a process's effective capabilities as a bit set (proc_pid_status(5))."""
    return int(processes.status_field(pid, "CapEff"), 16)


def users(pid: int) -> set[int]:
    """Return a process's real, effective, saved and file system user."""
    return set(map(int, processes.status_field(pid, "Uid").split()))


def devices(namespace: Namespace) -> list[str]:
    """Return the names of the TAP devices in a namespace."""
    lines = namespace.ip("-o link show type tun").splitlines()
    return [line.split(": ")[1] for line in lines]


def add_device(namespace: Namespace, *, user: int | None = None, up: bool = True) -> None:
    """Make vpn0 as an admin does."""
    owner = ["user", str(user)] if user is not None else []
    # With a name only `ip netns exec` will do: `ip -n` opens the tun device outside.
    namespace.run(["ip", "tuntap", "add", "dev", TAP, "mode", "tap", *owner])
    if up:
        namespace.ip(f"link set {TAP} up")

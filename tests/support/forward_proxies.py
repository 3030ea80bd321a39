"""Squid and Dante in a namespace: the proxies that a network may put before its machines."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from . import processes
from .ca import password_line
from .mounts import own_file, own_mounts
from .service import Service

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from .netns import Namespace

USER, PASSWORD = "alice", "p@:%ä€ x"
"""The user that both want, with what URLs and headers trip over in the password."""
SQUID_PORT, DANTE_PORT = 3128, 1080
HOSTS = "127.0.0.1 localhost\n"

_SQUID = """\
http_port {port}
acl SSL_ports port 443
acl CONNECT method CONNECT
auth_param basic program /usr/lib/squid/basic_ncsa_auth {directory}/users
auth_param basic realm office
acl users proxy_auth REQUIRED
http_access deny CONNECT !SSL_ports
http_access allow users
http_access deny all
hosts_file {directory}/hosts
dns_nameservers 127.0.0.1
dns_timeout 1 seconds
cache deny all
memory_cache_shared off
pinger_enable off
shutdown_lifetime 0 seconds
pid_filename {directory}/squid.pid
cache_log {directory}/cache.log
access_log stdio:{directory}/access.log
coredump_dir {directory}
"""
_DANTE = """\
logoutput: {directory}/danted.log
internal: eth0 port = {port}
external: eth0
clientmethod: none
socksmethod: username
user.privileged: root
user.unprivileged: nobody
client pass {{
    from: 0.0.0.0/0 to: 0.0.0.0/0
}}
socks pass {{
    from: 0.0.0.0/0 to: 0.0.0.0/0
    command: connect
    log: connect error
}}
"""
# Dante asks this machine for users and names: it gets files of its own.
_WITH_OWN_FILES = """
set -e
for file in passwd shadow hosts; do mount --bind "$1/$file" "/etc/$file"; done
exec danted -f "$1/danted.conf" -p "$1/danted.pid"
"""


def own_hosts(
    namespace: Namespace, names: Mapping[str, Sequence[str]]
) -> AbstractContextManager[None]:
    """Have the programs that are started in `namespace` know these names and their addresses."""
    lines = [f"{address} {name}\n" for name, found in names.items() for address in found]
    return own_file(namespace, "hosts", HOSTS + "".join(lines))


class ForwardProxy(Service):
    """A proxy on a port of a namespace, which knows the names that it is given."""

    port: int

    def __init__(self, namespace: Namespace, names: Mapping[str, str]) -> None:
        """`names` are hosts and their addresses."""
        super().__init__(namespace)
        self._names = names

    def lay_out(self) -> None:
        """Write its configuration, its users and its hosts."""
        lines = [f"{address} {name}\n" for name, address in self._names.items()]
        (self.directory / "hosts").write_text(HOSTS + "".join(lines))
        self.directory.chmod(0o755)

    def is_ready(self) -> bool:
        """Return whether it listens."""
        assert self.namespace is not None
        listening = self.namespace.run(f"ss -Hltn sport = :{self.port}").stdout
        return bool(listening.strip())


class Squid(ForwardProxy):
    """An HTTP proxy that wants a user, and makes tunnels to port 443 only, as Debian ships it."""

    name = "squid"
    port = SQUID_PORT

    def lay_out(self) -> None:
        """Write its configuration, its users and its hosts."""
        super().lay_out()
        text = _SQUID.format(directory=self.directory, port=self.port)
        (self.directory / "squid.conf").write_text(text)
        (self.directory / "users").write_text(password_line(USER, PASSWORD))
        shutil.chown(self.directory, user="proxy")

    def command(self) -> list[str]:
        """Return the command line: in the foreground, alone under its name."""
        name = f"test{self.directory.name.replace('-', '').replace('_', '')[-12:]}"
        return ["squid", "-N", "-n", name, "-f", str(self.directory / "squid.conf")]

    def logs(self) -> list[Path]:
        """Return its output and its logs."""
        return [*super().logs(), self.directory / "cache.log", self.directory / "access.log"]


class Dante(ForwardProxy):
    """A SOCKS5 proxy that wants a user of its machine."""

    name = "danted"
    port = DANTE_PORT

    def lay_out(self) -> None:
        """Write its configuration, its users and its hosts."""
        super().lay_out()
        text = _DANTE.format(directory=self.directory, port=self.port)
        (self.directory / "danted.conf").write_text(text)
        crypt = ["openssl", "passwd", "-6", "-stdin"]
        hashed = processes.run(crypt, input_text=PASSWORD).stdout.strip()
        for name, line in (
            ("passwd", f"{USER}:x:1000:1000::/nonexistent:/bin/false\n"),
            ("shadow", f"{USER}:{hashed}:19000:0:99999:7:::\n"),
        ):
            shutil.copy(f"/etc/{name}", self.directory / name)
            with (self.directory / name).open("a") as file:
                file.write(line)

    def command(self) -> list[str]:
        """Return the command line, in a mount namespace with files of its own."""
        return [*own_mounts(_WITH_OWN_FILES), str(self.directory)]

    def logs(self) -> list[Path]:
        """Return its output and its log."""
        return [*super().logs(), self.directory / "danted.log"]

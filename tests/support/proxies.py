"""Runs Apache, HAProxy, Caddy or uWSGI's router in a namespace, set up as docs/proxies.md says."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import processes
from .ca import password_line
from .markdown import blocks, commands
from .mounts import own_mounts
from .uwsgi import BINARY, REPOSITORY
from .web_server import SERVER_NAMES, WebServer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .netns import Namespace

PAGE = REPOSITORY / "docs" / "proxies.md"
USER, PASSWORD = "alice", "wonderland"

# This mount namespace has its own /etc, /run and /var/log. The machine's are neither seen nor
# touched. $1 is a directory for them; the rest runs in a checkout, as the page's commands do.
_ENTER = """
set -e
cp -a /etc/. "$1/etc"
mount --bind "$1/etc" /etc
mount --bind "$1/log" /var/log
mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/haproxy /run/vpnws /var/log/apache2
mount --bind "$1/run" /run/vpnws
test ! -d /var/lib/apache2 || mount -t tmpfs tmpfs /var/lib/apache2
export HOME="$1/home"
cd "$1/checkout"
"""


@dataclass(frozen=True, slots=True)
class Kind:
    """What is particular to a proxy; `name` is also the tag of its blocks in the page."""

    name: str
    tools: tuple[str, ...]
    users: str = ""
    """Where its users are; "" for a proxy that knows no passwords."""
    run: str = ""
    """The last command: what the service's unit runs, in the foreground."""

    @property
    def knows_passwords(self) -> bool:
        """Whether it can ask for a name and a password; one that cannot asks for certificates."""
        return bool(self.users)

    def users_text(self, user: str, password: str) -> str:
        """Return a file with one user, in this proxy's form."""
        if self.name == "haproxy":
            crypt = _output(["openssl", "passwd", "-6", "-stdin"], password)
            return f"userlist vpnws\n    user {user} password {crypt}\n"
        if self.name == "caddy":
            return f"{user} {_output(['caddy', 'hash-password'], password)}\n"
        return password_line(user, password)


APACHE = Kind(
    "apache",
    ("apache2ctl", "a2enmod"),
    users="/etc/apache2/vpnws/htpasswd",
    run="exec apache2ctl -D FOREGROUND",
)
HAPROXY = Kind(
    "haproxy",
    ("haproxy",),
    users="/etc/haproxy/vpnws/users.cfg",
    run=". /etc/default/haproxy; exec haproxy -Ws -f /etc/haproxy/haproxy.cfg $EXTRAOPTS",
)
CADDY = Kind(
    "caddy",
    ("caddy", "setpriv"),
    users="/etc/caddy/vpnws/users",
    run="exec setpriv --reuid=caddy --regid=caddy --init-groups --inh-caps=+net_bind_service"
    " --ambient-caps=+net_bind_service caddy run --config /etc/caddy/Caddyfile",
)
ROUTER = Kind("router", ("openssl",), run=f"exec {BINARY} --ini /etc/vpnws/uwsgi-router.ini")
KINDS = (APACHE, HAPROXY, CADDY, ROUTER)


class Proxy(WebServer):
    """A proxy on port 443 of a namespace for as long as the `with` block lasts.

    uWSGI must listen on 127.0.0.1:8080 of the namespace; behind the router, on `socket_path`.
    """

    def __init__(self, kind: Kind, namespace: Namespace) -> None:
        super().__init__(namespace)
        self.kind = kind
        self.name = kind.name
        # apache2ctl is a shell, which SIGTERM ends before Apache.
        self.leaves_nothing = kind is not APACHE

    def logs(self) -> list[Path]:
        """Return its output and its log files."""
        return [*super().logs(), *sorted((self.directory / "log").glob("apache2/*"))]

    def lay_out(self) -> None:
        """Make the directories, certificates and passwords that the page's commands find."""
        super().lay_out()
        for name in ("etc", "home", "checkout"):
            (self.directory / name).mkdir()
        (self.directory / "home").chmod(0o1777)
        # As the page says: a socket made in here belongs to www-data's group.
        shutil.chown(self.directory / "run", group="www-data")
        (self.directory / "run").chmod(0o2750)
        checkout = self.directory / "checkout"
        (checkout / "deploy").symlink_to(REPOSITORY / "deploy")
        server = self.ca.server(*SERVER_NAMES)
        self.install(
            server,
            checkout / "fullchain.pem",
            checkout / "privkey.pem",
            checkout / "clients-ca.pem",
        )
        if self.kind.knows_passwords:
            text = self.kind.users_text(USER, PASSWORD)
            (self.directory / "users").write_text(text)

    def _script(self) -> str:
        users = f'cat "$1/users" > {self.kind.users}' if self.kind.users else ""
        steps = [documented(self.kind.name), users, documented(f"{self.kind.name}-check")]
        return "\n".join([_ENTER, *steps, self.kind.run])

    def command(self) -> list[str]:
        """Return the command line: the page's commands in a mount namespace with its own /etc."""
        return [*own_mounts(self._script()), str(self.directory)]

    def environment(self) -> Mapping[str, str]:
        """Return a PATH that includes uWSGI."""
        path = os.pathsep.join([str(BINARY.parent), os.environ.get("PATH", ""), "/usr/sbin"])
        return {"PATH": path}


def documented(tag: str) -> str:
    """Return the commands of the page's blocks with this tag. Raises LookupError without any."""
    found = [block for block in blocks(PAGE.read_text()) if tag in block.tags]
    if not found:
        raise LookupError(f"{PAGE.name} has no block {tag!r}")
    return "\n".join(command.text for block in found for command in commands(block))


def _output(command: list[str], text: str) -> str:
    return processes.run(command, input_text=f"{text}\n").stdout.strip()

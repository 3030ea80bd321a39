"""Runs Debian's nginx in a namespace with deploy/nginx.conf exactly as it is shipped."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from .ca import password_line
from .mounts import own_mounts
from .tools import tool_path
from .uwsgi import REPOSITORY
from .web_server import SERVER_NAMES, WebServer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .netns import Namespace

DEPLOY_CONF = REPOSITORY / "deploy" / "nginx.conf"
UWSGI_PARAMS = Path("/etc/nginx/uwsgi_params")
USERS = {"alice": "wonderland", "bob": "builder"}

# This mount namespace has its own /run and its own log directory of nginx. The machine's are
# neither seen nor touched.
_ENTER = """
set -e
mount --bind "$2" /var/log/nginx
mount -t tmpfs tmpfs /run
mkdir /run/vpnws
mount --bind "$1" /run/vpnws
shift 2
exec "$@"
"""

_MAIN_CONF = """\
user {user};
worker_processes {worker_processes};
pid {prefix}/nginx.pid;
error_log {prefix}/error.log info;
daemon off;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {prefix}/temp-body;
    proxy_temp_path {prefix}/temp-proxy;
    fastcgi_temp_path {prefix}/temp-fastcgi;
    uwsgi_temp_path {prefix}/temp-uwsgi;
    scgi_temp_path {prefix}/temp-scgi;
    access_log {prefix}/access.log;
    include {include};
}}
"""


class Nginx(WebServer):
    """nginx on port 443 of a namespace for as long as the `with` block lasts.

    uWSGI must listen on `socket_path`, which nginx sees as /run/vpnws/vpnws.sock.
    """

    name = "nginx"
    start_s = 10.0

    def __init__(
        self,
        namespace: Namespace,
        *,
        users: Mapping[str, str] | None = None,
        members: Mapping[str, Collection[str]] | None = None,
        server_names: Sequence[str] = SERVER_NAMES,
        worker_processes: int = 1,
        user: str = "root",
        config: Path = DEPLOY_CONF,
    ) -> None:
        """Plan a web server.

        `users` maps names to passwords (default `USERS`); `members` says which of them are in a
        password file (default: all, in each file that the configuration names); `server_names` are
        in the server's certificate; `user` is the user of the worker processes.
        """
        super().__init__(namespace)
        self._server = namespace
        self._users = users or USERS
        self._members = members or {}
        self._config = config
        self._server_names = server_names
        self._settings = {"user": user, "worker_processes": worker_processes, "include": config}

    def logs(self) -> list[Path]:
        """Return its output and its error log."""
        return [*super().logs(), self.directory / "error.log"]

    def check(self) -> str:
        """Return what `nginx -t` says of the configuration. Raises `CommandError` if it is bad."""
        return self._server.run([*self.command(), "-t"]).stderr

    def access_log(self) -> str:
        """Return the access log that deploy/nginx.conf writes."""
        path = self.directory / "log" / "vpnws.access.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def lay_out(self) -> None:
        """Write its configuration, certificates and passwords."""
        super().lay_out()
        conf = self.directory / "vpnws"
        conf.mkdir()
        server = self.ca.server(*self._server_names)
        self.install(server, conf / "server.crt", conf / "server.key", conf / "clients-ca.crt")
        lines = {name: password_line(name, word) for name, word in self._users.items()}
        for file in password_files(self._config.read_text()):
            members = self._members.get(file, lines)
            (conf / file).write_text("".join(lines[name] for name in members))
        shutil.copy(UWSGI_PARAMS, self.directory)
        main_conf = _MAIN_CONF.format(prefix=self.directory, **self._settings)
        (self.directory / "nginx.conf").write_text(main_conf)

    def command(self) -> list[str]:
        """Return the command line: nginx in a mount namespace with its own /run and logs."""
        binds = [str(self.directory / "run"), str(self.directory / "log")]
        files = ["-c", str(self.directory / "nginx.conf"), "-e", str(self.directory / "error.log")]
        nginx = tool_path("nginx") or "nginx"
        return [*own_mounts(_ENTER), *binds, nginx, "-p", f"{self.directory}/", *files]


def password_files(config: str) -> set[str]:
    """Return the names of the password files below vpnws/ that a configuration reads."""
    return set(re.findall(r"auth_basic_user_file +vpnws/([\w-]+);", config))

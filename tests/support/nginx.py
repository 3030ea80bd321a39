"""Runs Debian's nginx in a namespace with deploy/nginx.conf exactly as it is shipped."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from . import processes
from .ca import CertificateAuthority, password_line
from .netns import SERVER_ADDRESS, SERVER_ADDRESS_6
from .prerequisites import tool_path
from .traffic import is_listening
from .uwsgi import REPOSITORY
from .waiting import wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from .netns import Namespace

DEPLOY_CONF = REPOSITORY / "deploy" / "nginx.conf"
UWSGI_PARAMS = Path("/etc/nginx/uwsgi_params")
SERVER_NAMES = (SERVER_ADDRESS, SERVER_ADDRESS_6, "127.0.0.1", "vpn.example", "localhost")
USERS = {"alice": "wonderland", "bob": "builder"}
HTTPS_PORT = 443

_START_S = 10.0

# /run and nginx's log directory become ours in this mount namespace alone; the machine's own
# are neither seen nor touched.
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


class NginxError(Exception):
    """nginx did not start; the text has what it said."""


class Nginx:
    """nginx on port 443 of a namespace for as long as the `with` block lasts.

    `ca` signs the server's certificate, `clients_ca` stations' certificates; they are two, so
    that a certificate of the one is no credential for the other. uWSGI belongs on `socket_path`,
    which nginx sees as /run/vpnws/vpnws.sock.
    """

    def __init__(
        self,
        namespace: Namespace,
        *,
        users: Mapping[str, str] | None = None,
        server_names: Sequence[str] = SERVER_NAMES,
        worker_processes: int = 1,
        user: str = "root",
        config: Path = DEPLOY_CONF,
    ) -> None:
        """Plan a web server.

        `users` maps names to passwords (default `USERS`); `server_names` are in the server's
        certificate; `user` is whom the worker processes run as.
        """
        self._namespace = namespace
        self._users = users or USERS
        self._server_names = server_names
        self._settings = {"user": user, "worker_processes": worker_processes, "include": config}
        self._process: subprocess.Popen[str] | None = None
        self._prefix = Path("/nonexistent")

    def __enter__(self) -> Self:
        self._temporary = tempfile.TemporaryDirectory(prefix="vpnws-nginx-")
        self._prefix = Path(self._temporary.name)
        try:
            self._lay_out()
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        log = self.error_log() if error is not None else ""
        self._end()
        if log:
            print(f"--- nginx's error log:\n{log}")

    @property
    def socket_path(self) -> Path:
        """Where uWSGI must listen, as the rest of the machine names it."""
        return self._prefix / "run" / "vpnws.sock"

    def start(self) -> None:
        """Start nginx and wait until it listens. Raises `NginxError` with its reason."""
        with (self._prefix / "output").open("w") as sink:
            process = self._namespace.popen(self._command(), stdout=sink, stderr=sink)
        self._process = process
        wait_for(
            lambda: process.poll() is not None or is_listening(process.pid, HTTPS_PORT),
            _START_S,
            "nginx to listen",
        )
        if process.poll() is not None:
            raise NginxError(f"nginx: {self._read('output')}{self.error_log()}")

    def stop(self) -> None:
        """Stop nginx at once, with all its connections; `start` may follow."""
        if self._process:
            processes.stop(self._process)

    def check(self) -> str:
        """Return what `nginx -t` says of the configuration. Raises `CommandError` if it is bad."""
        return self._namespace.run([*self._command(), "-t"]).stderr

    def error_log(self) -> str:
        """Return nginx's error log so far."""
        return self._read("error.log")

    def access_log(self) -> str:
        """Return the access log that deploy/nginx.conf writes."""
        return self._read("log/vpnws.access.log")

    def _read(self, name: str) -> str:
        path = self._prefix / name
        return path.read_text(errors="replace") if path.exists() else ""

    def _lay_out(self) -> None:
        # A temporary directory is root's alone, but nginx's workers must get to the socket.
        self._prefix.chmod(0o755)
        for name in ("run", "log", "vpnws", "ca", "clients-ca"):
            (self._prefix / name).mkdir()
        self.ca = CertificateAuthority(self._prefix / "ca")
        self.clients_ca = CertificateAuthority(self._prefix / "clients-ca", "vpnws clients' CA")
        server = self.ca.server(*self._server_names)
        conf = self._prefix / "vpnws"
        shutil.copy(server.crt, conf / "server.crt")
        shutil.copy(server.key, conf / "server.key")
        shutil.copy(self.clients_ca.crt, conf / "clients-ca.crt")
        lines = [password_line(*user) for user in self._users.items()]
        (conf / "htpasswd").write_text("".join(lines))
        shutil.copy(UWSGI_PARAMS, self._prefix)
        main_conf = _MAIN_CONF.format(prefix=self._prefix, **self._settings)
        (self._prefix / "nginx.conf").write_text(main_conf)

    def _command(self) -> list[str]:
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh"]
        binds = [str(self._prefix / "run"), str(self._prefix / "log")]
        files = ["-c", str(self._prefix / "nginx.conf"), "-e", str(self._prefix / "error.log")]
        nginx = tool_path("nginx") or "nginx"
        return [*enter, *binds, nginx, "-p", f"{self._prefix}/", *files]

    def _end(self) -> None:
        try:
            self.stop()
        finally:
            self._temporary.cleanup()

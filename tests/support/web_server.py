"""What nginx and the other proxies share: port 443 of a namespace, certificates, a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .ca import CertificateAuthority
from .netns import SERVER_ADDRESS, SERVER_ADDRESS_6
from .service import Service
from .traffic import is_listening

if TYPE_CHECKING:
    from pathlib import Path

    from .ca import Certificate

SERVER_NAMES = (SERVER_ADDRESS, SERVER_ADDRESS_6, "127.0.0.1", "vpn.example.org", "localhost")
HTTPS_PORT = 443


class WebServer(Service):
    """A web server with TLS for as long as the `with` block lasts.

    `ca` signs the server's certificate, `clients_ca` stations' certificates; there are two, so that
    a certificate from one is no credential with the other.
    """

    @property
    def socket_path(self) -> Path:
        """The path, on this machine, of what it sees as /run/vpnws/vpnws.sock."""
        return self.directory / "run" / "vpnws.sock"

    def is_ready(self) -> bool:
        """Return whether it listens."""
        return is_listening(self.process.pid, HTTPS_PORT)

    def lay_out(self) -> None:
        """Make both authorities, and a directory for the socket."""
        # Only root may enter a temporary directory, but others must reach the socket.
        self.directory.chmod(0o755)
        for name in ("run", "log", "ca", "clients-ca"):
            (self.directory / name).mkdir()
        self.ca = CertificateAuthority(self.directory / "ca")
        self.clients_ca = CertificateAuthority(self.directory / "clients-ca", "vpnws clients' CA")

    def install(self, certificate: Certificate, crt: Path, key: Path, clients_ca: Path) -> None:
        """Copy the server's certificate and the stations' authority to where it reads them."""
        for source, target in (
            (certificate.crt, crt),
            (certificate.key, key),
            (self.clients_ca.crt, clients_ca),
        ):
            target.write_bytes(source.read_bytes())

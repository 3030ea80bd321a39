"""A throw-away certificate authority for servers and stations, made with the openssl command."""

from __future__ import annotations

import itertools
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import processes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_DAYS = "2"
# An empty section keeps the extensions of the system's openssl.cnf out of our certificates.
_CONFIG = "[req]\ndistinguished_name = dn\n[dn]\n"
_REGISTER = """
[ca]
default_ca = register
[register]
database = {directory}/register
new_certs_dir = {directory}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = policy
[policy]
commonName = supplied
[extensions]
subjectAltName = {alternative}
"""
"""What `openssl ca` wants to know; only it can choose the dates of a certificate."""
_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, as PEM files."""

    crt: Path
    key: Path


class CertificateAuthority:
    """Signs certificates with EC keys, valid for two days; its files lie in a given directory."""

    def __init__(self, directory: Path, name: str = "vpnws test CA") -> None:
        """Make the authority's own certificate; `directory` must exist."""
        self._directory = directory
        self._serial = itertools.count(1)
        self._config = directory / "openssl.cnf"
        self._config.write_text(_CONFIG)
        self.own = self._make(
            "ca",
            f"/CN={name}",
            ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"],
        )

    @property
    def crt(self) -> Path:
        """The authority's certificate: what a client gives as `--ca`."""
        return self.own.crt

    def server(self, *names: str) -> Certificate:
        """Return a new server certificate for these names: host names or IP addresses."""
        alternatives = ",".join(map(alternative_name, names))
        return self._leaf(names[0], "serverAuth", [f"subjectAltName={alternatives}"])

    def server_valid(self, name: str, begin: str, end: str) -> Certificate:
        """Return a new server certificate with these dates, such as 20260131235959Z."""
        made = self.server(name)
        request = made.crt.with_suffix(".csr")
        register = made.crt.with_suffix(".cnf")
        (self._directory / "register").touch()
        alternative = alternative_name(name)
        register.write_text(
            _CONFIG + _REGISTER.format(directory=self._directory, alternative=alternative)
        )
        new = ["openssl", "req", "-new", "-batch", "-config", str(self._config)]
        processes.run([*new, "-key", str(made.key), "-subj", f"/CN={name}", "-out", str(request)])
        processes.run(
            [
                *("openssl", "ca", "-batch", "-notext", "-config", str(register)),
                *("-cert", str(self.own.crt), "-keyfile", str(self.own.key), "-in", str(request)),
                *("-startdate", begin, "-enddate", end, "-extensions", "extensions"),
                *("-out", str(made.crt)),
            ]
        )
        return made

    def client(self, common_name: str, organization: str = "vpnws tests") -> Certificate:
        """Return a new client certificate; its DN is `CN=<common_name>,O=<organization>`."""
        return self._leaf(common_name, "clientAuth", [], organization)

    def client_context(self, certificate: Certificate | None = None) -> ssl.SSLContext:
        """Return a TLS context that trusts this authority alone, and shows `certificate`."""
        context = ssl.create_default_context(cafile=str(self.crt))
        if certificate:
            context.load_cert_chain(certificate.crt, certificate.key)
        return context

    def server_context(self, *names: str) -> ssl.SSLContext:
        """Return a server's TLS context with a new certificate for these names."""
        certificate = self.server(*names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.crt, certificate.key)
        return context

    def _leaf(
        self, common_name: str, usage: str, extensions: Sequence[str], organization: str = "vpnws"
    ) -> Certificate:
        return self._make(
            f"{usage}-{next(self._serial)}",
            f"/O={organization}/CN={common_name}",
            [
                "basicConstraints=critical,CA:FALSE",
                "keyUsage=critical,digitalSignature",
                f"extendedKeyUsage={usage}",
                *extensions,
            ],
            signer=self.own,
        )

    def _make(
        self,
        file_name: str,
        subject: str,
        extensions: Sequence[str],
        signer: Certificate | None = None,
    ) -> Certificate:
        made = Certificate(
            self._directory / f"{file_name}.crt", self._directory / f"{file_name}.key"
        )
        signing = ["-CA", str(signer.crt), "-CAkey", str(signer.key)] if signer else []
        processes.run(
            # -batch: ask nothing; req -x509: certificate and key in one go.
            ["openssl", "req", "-x509", "-batch", "-config", str(self._config), *_NEW_KEY]
            + ["-subj", subject, "-days", _DAYS, "-out", str(made.crt), "-keyout", str(made.key)]
            + [word for extension in extensions for word in ("-addext", extension)]
            + signing
        )
        return made


def alternative_name(name: str) -> str:
    """Return a subjectAltName entry for a host name or an IP address."""
    is_address = ":" in name or name.replace(".", "").isdigit()
    return f"{'IP' if is_address else 'DNS'}:{name}"


def password_line(user: str, password: str) -> str:
    """Return a line for a web server's password file (Apache's MD5 form, which nginx knows)."""
    command = ["openssl", "passwd", "-apr1", "-stdin"]
    return f"{user}:{processes.run(command, input_text=password).stdout.strip()}\n"

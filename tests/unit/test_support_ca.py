"""The throw-away CA: what it signs is believed, and nothing else is."""

import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support import processes
from tests.support.ca import Certificate, CertificateAuthority, alternative_name, password_line
from tests.support.prerequisites import require


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    require("openssl")
    return CertificateAuthority(tmp_path_factory.mktemp("ca"))


def peer_seen_by_server(
    server: Certificate, trusted: Path, client: ssl.SSLContext, name: str
) -> dict[str, Any] | None:
    """Shake hands over a socket pair; return the client certificate that the server saw."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.crt, server.key)
    context.load_verify_locations(trusted)
    context.verify_mode = ssl.CERT_OPTIONAL
    ours, theirs = socket.socketpair()

    def shake_hands() -> None:
        with theirs, client.wrap_socket(theirs, server_hostname=name) as secured:
            secured.recv(1)

    failure: list[BaseException] = []

    def remember() -> None:
        try:
            shake_hands()
        except (ssl.SSLError, OSError) as error:
            failure.append(error)

    thread = threading.Thread(target=remember)
    thread.start()
    try:
        with ours, context.wrap_socket(ours, server_side=True) as secured:
            seen = secured.getpeercert()
            secured.send(b".")
    except ssl.SSLError:
        thread.join(5)
        if failure:
            raise failure[0] from None
        raise
    thread.join(5)
    return seen


def test_server_names_are_checked(ca: CertificateAuthority) -> None:
    server = ca.server("vpn.example", "10.99.0.1", "fd99::1")
    for name in ("vpn.example", "10.99.0.1", "fd99::1"):
        assert not peer_seen_by_server(server, ca.crt, ca.client_context(), name)
    with pytest.raises(ssl.SSLCertVerificationError):
        peer_seen_by_server(server, ca.crt, ca.client_context(), "other.example")


def test_the_client_certificate_arrives(ca: CertificateAuthority) -> None:
    context = ca.client_context(ca.client("laptop", "team"))
    seen = peer_seen_by_server(ca.server("vpn.example"), ca.crt, context, "vpn.example")
    assert seen
    assert seen["subject"] == ((("organizationName", "team"),), (("commonName", "laptop"),))


def test_another_authority_is_not_believed(ca: CertificateAuthority, tmp_path: Path) -> None:
    other = CertificateAuthority(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        peer_seen_by_server(ca.server("vpn.example"), ca.crt, other.client_context(), "vpn.example")
    context = ca.client_context(other.client("laptop"))
    with pytest.raises(ssl.SSLError):
        peer_seen_by_server(ca.server("vpn.example"), ca.crt, context, "vpn.example")


def test_certificates_hold_to_rfc_5280(ca: CertificateAuthority) -> None:
    checked = ["openssl", "verify", "-x509_strict", "-CAfile", str(ca.crt), "-purpose"]
    assert processes.run([*checked, "sslserver", str(ca.server("a.example").crt)])
    assert processes.run([*checked, "sslclient", str(ca.client("a").crt)])
    with pytest.raises(processes.CommandError, match="purpose"):
        processes.run([*checked, "sslserver", str(ca.client("a").crt)])


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("vpn.example", "DNS:vpn.example"),
        ("10.99.0.1", "IP:10.99.0.1"),
        ("fd99::1", "IP:fd99::1"),
        ("1and1.example", "DNS:1and1.example"),
    ],
)
def test_alternative_names(name: str, entry: str) -> None:
    assert alternative_name(name) == entry


def test_a_password_line_verifies_with_its_own_salt() -> None:
    require("openssl")
    user, _, hashed = password_line("alice", "wonderland").strip().partition(":")
    salt = hashed.split("$")[2]
    again = processes.run(
        ["openssl", "passwd", "-apr1", "-salt", salt, "-stdin"], input_text="wonderland"
    )
    assert (user, hashed) == ("alice", again.stdout.strip())

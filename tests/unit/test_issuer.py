"""Who issued a certificate: read from DER that a stranger has sent."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ca import CertificateAuthority
from tests.support.prerequisites import require
from vpnws.https.issuer import MAX_ISSUER_CHARACTERS, issuer_of

if TYPE_CHECKING:
    from pathlib import Path


def der_of(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def element(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2)
    return bytes([tag]) + length + content


def issued_by(*attributes: tuple[str, int, bytes], version: bytes = b"") -> bytes:
    """Return the beginning of a certificate, with these (OID in hex, tag, value) of its issuer."""
    name = [
        element(0x31, element(0x30, element(6, bytes.fromhex(oid)), element(tag, value)))
        for oid, tag, value in attributes
    ]
    signed = element(0x30, version, element(2, b"\1"), element(0x30), element(0x30, *name))
    return element(0x30, signed)


CN, ORGANIZATION = "550403", "55040a"
VERSION_3 = element(0xA0, element(2, b"\2"))


@pytest.mark.parametrize("name", ["Corp Firewall CA", "x" * 64])
def test_the_issuer_of_a_real_certificate(tmp_path: Path, name: str) -> None:
    require("openssl")
    authority = CertificateAuthority(tmp_path, name)
    assert issuer_of(der_of(authority.server("h.example").crt)) == f'"CN={name}"'


@pytest.mark.parametrize(
    ("certificate", "shown"),
    [
        (
            issued_by((ORGANIZATION, 12, b"Corp"), (CN, 12, b"CA"), version=VERSION_3),
            '"CN=CA, O=Corp"',
        ),
        (issued_by((CN, 12, b"CA")), '"CN=CA"'),
        (issued_by((CN, 30, "Ä".encode("utf-16-be"))), '"CN=Ä"'),
        (issued_by((CN, 12, b"\xff")), '"CN=\ufffd"'),
        (issued_by((CN, 12, b"a\n\x1b[31m\r")), '"CN=a??[31m?"'),
        (issued_by(("550404", 12, b"surname")), ""),
        (issued_by(), ""),
        (b"", ""),
        (b"\x30", ""),
        (b"\x30\x84\xff", ""),
        (b"\x30\x05abc", ""),
        (element(0x30, element(0x31)), ""),
    ],
)
def test_what_is_shown_of_it(certificate: bytes, shown: str) -> None:
    assert issuer_of(certificate) == shown


def test_a_long_name_is_cut_off() -> None:
    assert len(issuer_of(issued_by((CN, 12, b"x" * 5000)))) < MAX_ISSUER_CHARACTERS + 10


@given(st.binary(max_size=80))
def test_any_bytes_become_one_safe_line(data: bytes) -> None:
    assert issuer_of(data).isprintable()


@given(st.integers(0, 60), st.integers(0, 255))
def test_a_wrong_byte_does_no_harm(at: int, byte: int) -> None:
    data = bytearray(issued_by((ORGANIZATION, 12, b"Corp"), (CN, 12, b"CA"), version=VERSION_3))
    data[at % len(data)] = byte
    assert issuer_of(bytes(data)).isprintable()

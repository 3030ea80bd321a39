"""TLS to a web server (verified, 1.2 or newer), and its failures in plain words."""

from __future__ import annotations

import re
import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vpnws.errors import ConfigError, TlsError
from vpnws.https.login import ask_password, read_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CHECK_CERTIFICATE: Final = (
    "has it expired (openssl x509 -noout -dates -in FILE, with the file of --crt), and has an"
    " authority signed it that the server trusts?"
)
"""What to look at when a server refuses our own certificate."""
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL."""
_UNTRUSTED: Final = re.compile("issuer|self.signed")
"""In OpenSSL's words for a chain that ends at no authority that is trusted."""
_IGNORE_DATES: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python does not name."""
_PEM_CERTIFICATE: Final = b"CERTIFICATE-----"
_PEM_KEY: Final = b"PRIVATE KEY-----"
"""How the first line of a certificate and that of a key end in PEM form (RFC 7468)."""
_MISMATCH: Final = "KEY_VALUES_MISMATCH"
"""OpenSSL's reason for a key that belongs to another certificate."""
_UNITS: Final = ((365.25 * 86400, "years"), (86400.0, "days"), (3600.0, "hours"), (60.0, "minutes"))


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How to verify the server, and which certificate to show it."""

    verify: bool = True
    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    key_password: Path | None = None
    """The file with the password of the key; without it, a person is asked."""
    server_name: str = ""
    """The name to ask the server for (SNI, RFC 6066 section 3), and to find in its certificate;
    empty for the host that is connected to."""


def make_context(settings: TlsSettings, option: str = "--ca") -> ssl.SSLContext:
    """Return the context for every connection of this run.

    `option` names the authority. May ask for the password of the key at the terminal. Raises
    ConfigError when a file cannot be read or has the wrong content.
    """
    context = _context_that_trusts(settings.authority, option)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.certificate is not None:
        _load_certificate(context, settings.certificate, settings.key, settings.key_password)
    return context


def _context_that_trusts(authority: Path | None, option: str) -> ssl.SSLContext:
    if authority is not None:
        _check_readable(option, authority)
    try:
        return ssl.create_default_context(cafile=authority)
    except ssl.SSLError as error:
        raise ConfigError(f"{option} {authority}: no certificates in PEM form in it") from error


def make_trusting_context() -> ssl.SSLContext:
    """Return a context that verifies nothing: to look at a certificate, never to send a secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def explain(
    error: ssl.SSLError,
    host: str,
    authority: Path | None,
    issuer: str = "",
    option: str = "--ca",
) -> TlsError:
    """Return what to raise when the TLS handshake with `host` failed with `error`.

    `authority` is the file of `option`, None without that option. `issuer` is who has signed the
    server's certificate, as far as it is known.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message.rstrip(".")
        hint = _hint_on_trust(why, authority, issuer, option)
        return TlsError(f"the certificate of {host} is not accepted: {why}; {hint}")
    reason = (error.reason or "unknown reason").replace("_", " ").lower()
    return TlsError(f"TLS with {host} failed: {reason}; {_hint(reason)}")


def _hint_on_trust(why: str, authority: Path | None, issuer: str, option: str) -> str:
    if "mismatch" in why:
        return "use a name that is in the certificate"
    private = f"use {option} FILE for a private authority"
    if authority is not None and _UNTRUSTED.search(why):
        private = (
            f"no authority in {authority} ({option}) has signed it: ask whoever runs the server for"
            " the right file"
        )
    if not issuer:
        return private
    return (
        f"its issuer is {issuer}; {private}; if that issuer has nothing to do with the server,"
        " something on the way opens TLS (a firewall that inspects it, a login page): ask whoever"
        " runs this network"
    )


def is_about_trust(error: ssl.SSLError) -> bool:
    """Return whether a certificate was refused because no authority that is trusted signed it."""
    return isinstance(error, ssl.SSLCertVerificationError) and bool(
        _UNTRUSTED.search(error.verify_message)
    )


def is_about_dates(error: ssl.SSLError) -> bool:
    """Return whether a certificate was refused because it has expired or is not valid yet."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in (
        _NOT_YET_VALID,
        _EXPIRED,
    )


@contextmanager
def ignoring_dates(context: ssl.SSLContext) -> Iterator[None]:
    """Have `context` check everything but dates meanwhile, to find out what they are."""
    flags = context.verify_flags
    context.verify_flags = flags | ssl.VerifyFlags(_IGNORE_DATES)
    try:
        yield
    finally:
        context.verify_flags = flags


def explain_dates(host: str, certificate: Mapping[str, Any], now_s: float) -> TlsError:
    """Return what to raise for a `certificate` of `host` that is too old or too new.

    `certificate` is as ssl.SSLSocket.getpeercert returns it, empty if it is not known; `now_s` is
    what this machine's clock says, in seconds since the epoch.
    """
    clock = f"this machine's clock says {_moment(now_s)}"
    begin_s, end_s = (
        ssl.cert_time_to_seconds(certificate[key]) if key in certificate else now_s
        for key in ("notBefore", "notAfter")
    )
    if now_s < begin_s:
        return TlsError(
            f"the certificate of {host} is valid from {_moment(begin_s)} on, and {clock}:"
            f" most likely that clock is wrong, by {_duration(begin_s - now_s)} or more; set it"
        )
    if now_s > end_s:
        return TlsError(
            f"the certificate of {host} is valid from {_moment(begin_s)} to {_moment(end_s)}, and"
            f" {clock}, {_duration(now_s - end_s)} later: either it was not renewed in time, which"
            " whoever runs the server must do, or that clock is ahead; if so, set it"
        )
    return TlsError(
        f"a certificate in the chain of {host} has expired or is not valid yet, as {clock}:"
        " have it renewed, or set the clock if it is wrong"
    )


def _moment(time_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(time_s))


def _duration(duration_s: float) -> str:
    """Return a duration in the longest unit of which it has two, rounded down."""
    for unit_s, name in _UNITS:
        if duration_s >= 2 * unit_s:
            return f"{duration_s // unit_s:.0f} {name}"
    return "a minute"


def _hint(reason: str) -> str:
    if "alert" in reason and "certificate required" in reason:
        return "the server wants a certificate from us: see --crt and --key"
    if "alert" in reason and ("certificate" in reason or "unknown ca" in reason):
        return f"the server did not accept our certificate: {CHECK_CERTIFICATE}"
    if "wrong version number" in reason or "record layer" in reason:
        return "the port does not seem to speak TLS: check the port, or use ws:// (http://)"
    return "the server may want another TLS version, or a certificate (--crt, --key)"


def _load_certificate(
    context: ssl.SSLContext, certificate: Path, key: Path | None, password_file: Path | None
) -> None:
    for option, file in (("--crt", certificate), ("--key", key)):
        if file is not None:
            _check_readable(option, file)
    password = _KeyPassword(key or certificate, password_file)
    try:
        context.load_cert_chain(certificate, key, password=password.get)
    except ssl.SSLError as error:
        if password.was_wanted and error.reason != _MISMATCH:
            raise ConfigError(password.wrong) from error
        raise ConfigError(_why_not_loaded(certificate, key, error)) from error
    except ValueError as error:
        # Longer than OpenSSL allows.
        raise ConfigError(password.wrong) from error


class _KeyPassword:
    """The password of a key: from a file, or from a person."""

    def __init__(self, key: Path, file: Path | None) -> None:
        self._key = key
        self._file = file
        self.was_wanted = False
        """Whether the key turned out to be encrypted."""

    def get(self) -> str:
        """Return the password. Raises ConfigError if there is none."""
        self.was_wanted = True
        if self._file is not None:
            return read_secret("--key-password-file", self._file)
        return ask_password(f"the key {self._key}", "--key-password-file")

    @property
    def wrong(self) -> str:
        """What to say when it does not fit."""
        where = f"in --key-password-file {self._file}" if self._file else "that was given"
        return f"the password {where} does not open the key {self._key}"


def _why_not_loaded(certificate: Path, key: Path | None, error: ssl.SSLError) -> str:
    """Return what is wrong with our own files, which OpenSSL has read and refused."""
    if _PEM_CERTIFICATE not in certificate.read_bytes():
        return f"--crt {certificate}: no certificate in PEM form in it"
    if key is None and _PEM_KEY not in certificate.read_bytes():
        return f"--crt {certificate}: no key in it: name the key's file with --key"
    if key is not None and _PEM_KEY not in key.read_bytes():
        return f"--key {key}: no key in PEM form in it"
    if error.reason == _MISMATCH:
        return f"--crt {certificate}: the key in {key or 'it'} is not the key of that certificate"
    which = f"--crt {certificate}" if key is None else f"--crt {certificate} --key {key}"
    return f"{which}: not a certificate and its key in PEM form"


def _check_readable(option: str, file: Path) -> None:
    try:
        file.open("rb").close()
    except OSError as error:
        raise ConfigError(f"{option} {file} cannot be read: {error.strerror}") from error

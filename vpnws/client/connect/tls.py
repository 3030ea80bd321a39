"""How the client uses TLS (verified, 1.2 or newer), and its failures in plain words."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, NoReturn

from vpnws.errors import ConfigError, TlsError

if TYPE_CHECKING:
    from pathlib import Path

    from vpnws.client.settings import TlsSettings


def make_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return the context for every connection of this run.

    Raises ConfigError when a file cannot be read or has the wrong content.
    """
    context = _context_that_trusts(settings.authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.certificate is not None:
        _load_certificate(context, settings.certificate, settings.key)
    return context


def _context_that_trusts(authority: Path | None) -> ssl.SSLContext:
    if authority is not None:
        _check_readable("--ca", authority)
    try:
        return ssl.create_default_context(cafile=authority)
    except ssl.SSLError as error:
        raise ConfigError(f"--ca {authority}: no certificates in PEM form in it") from error


def explain(error: ssl.SSLError, host: str) -> TlsError:
    """Return what to raise when the TLS handshake with `host` failed with `error`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message.rstrip(".")
        hint = (
            "join by a name that is in the certificate"
            if "mismatch" in why
            else "use --ca FILE for a private authority (--no-verify accepts anyone)"
        )
        return TlsError(f"the certificate of {host} is not accepted: {why}; {hint}")
    reason = (error.reason or "unknown reason").replace("_", " ").lower()
    return TlsError(f"TLS with {host} failed: {reason}; {_hint(reason)}")


def _hint(reason: str) -> str:
    if "alert" in reason and ("certificate" in reason or "unknown ca" in reason):
        return "the server did not accept this station's certificate: see --crt and --key"
    if "wrong version number" in reason or "record layer" in reason:
        return "the port does not seem to speak TLS: check the port, or use ws://"
    return "the server may want another TLS version, or a certificate (--crt, --key)"


def _load_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    for option, file in (("--crt", certificate), ("--key", key)):
        if file is not None:
            _check_readable(option, file)
    try:
        context.load_cert_chain(certificate, key, password=_refuse_encrypted)
    except ssl.SSLError as error:
        which = f"--crt {certificate}" if key is None else f"--crt {certificate} --key {key}"
        raise ConfigError(f"{which}: not a certificate and its key in PEM form") from error


def _refuse_encrypted() -> NoReturn:
    raise ConfigError("the key of --crt or --key is encrypted: store it decrypted, mode 0600")


def _check_readable(option: str, file: Path) -> None:
    try:
        file.open("rb").close()
    except OSError as error:
        raise ConfigError(f"{option} {file} cannot be read: {error.strerror}") from error

"""The TLS of STARTTLS: what `tls_certificate` and `tls_key` name made into a context, or why it cannot be."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

#: TLS 1.2 with forward secrecy and authenticated encryption only; TLS 1.3 has nothing else (RFC 9325 section 4.2).
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
#: A certificate that ends sooner than this is worth a warning.
_SOON = timedelta(days=14)


class CertificateError(ValueError):
    """A certificate or key that cannot be used; `key` is the configuration key to look at."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


@dataclass(frozen=True, slots=True)
class Tls:
    """A context for servers, and until when and for which names its certificate is good."""

    context: ssl.SSLContext
    path: Path
    names: tuple[str, ...]
    begins: datetime
    ends: datetime

    def warning(self, now: datetime) -> str:
        """What the operator should know about the certificate's time, or empty. `now` is aware."""
        renew = "renew it, then reload"
        if now < self.begins:
            return f"{self.path} is not valid before {self.begins:%Y-%m-%d %H:%M} UTC: is the clock right?"
        if now >= self.ends:
            return f"{self.path} expired on {self.ends:%Y-%m-%d}, and careful clients refuse it: {renew}"
        if self.ends - now < _SOON:
            return f"{self.path} expires on {self.ends:%Y-%m-%d}: {renew}"
        return ""


def load(certificate: Path, key: Path) -> Tls:
    """The TLS of these PEM files: the certificate with its chain, and its private key. `CertificateError` says why not.

    TLS 1.2 and 1.3 (RFC 9325). The files are read now: to take over new ones, load again.
    """
    try:
        leaf = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    except OSError as error:
        raise CertificateError("tls_certificate", f"{certificate} cannot be read: {error.strerror}") from error
    except ValueError as error:
        text = f"{certificate} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"
        raise CertificateError("tls_certificate", text) from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_ciphers(_CIPHERS)
    _load_key(context, certificate, key)
    return Tls(context, certificate, _names(leaf), leaf.not_valid_before_utc, leaf.not_valid_after_utc)


def _load_key(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    def ask() -> str:  # without it, OpenSSL would ask on the terminal
        raise CertificateError("tls_key", f"{key} is protected by a passphrase: write it without one, readable by us")

    try:
        key.read_bytes()
    except OSError as error:
        raise CertificateError("tls_key", f"{key} cannot be read: {error.strerror}") from error
    try:
        context.load_cert_chain(certificate, key, password=ask)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"{key} is not the key of {certificate}: name the private key that it was made for"
        elif error.reason in (None, "NO_START_LINE", "PEM_LIB"):
            text = f"{key} holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)"
        else:
            text = f"{key} and {certificate} cannot be used: {error.reason.lower().replace('_', ' ')}"
        raise CertificateError("tls_key", text) from error


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    """The DNS names a client may know this server by."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(found.value.get_values_for_type(x509.DNSName))

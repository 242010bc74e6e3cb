"""Certificates and keys are taken, or refused in plain words; the context speaks nothing old."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon import tls

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[str, str]:
    """The version and the cipher two contexts agree on, without a network; `ssl.SSLError` where they do not."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = server.wrap_bio(there, back, server_side=True)
    theirs = client.wrap_bio(back, there, server_hostname="localhost")
    for _ in range(10):
        for one in (theirs, ours):
            try:
                one.do_handshake()
            except ssl.SSLWantReadError:
                continue
    cipher = theirs.cipher()
    assert cipher is not None
    return theirs.version() or "", cipher[0]


def client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_a_certificate_and_its_key_make_a_context(make_certificate) -> None:
    found = tls.load(*make_certificate())
    assert found.names == ("localhost",)
    assert found.ends == NOW + timedelta(days=90)
    assert found.warning(NOW) == ""
    assert handshake(found.context, client())[0] == "TLSv1.3"


def test_tls_1_2_has_only_ciphers_with_forward_secrecy(make_certificate) -> None:
    found = tls.load(*make_certificate())
    old = client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    version, cipher = handshake(found.context, old)
    assert version == "TLSv1.2"
    assert cipher.startswith("ECDHE-")
    for one in found.context.get_ciphers():
        assert one["name"].startswith(("TLS_", "ECDHE-")), one["name"]
        assert "GCM" in one["name"] or "POLY1305" in one["name"], one["name"]


def test_tls_1_1_is_not_spoken(make_certificate) -> None:
    assert tls.load(*make_certificate()).context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_new_certificate_is_taken_by_loading_again(make_certificate) -> None:
    paths = make_certificate(ends=1)
    before = tls.load(*paths)
    make_certificate(ends=80)
    assert tls.load(*paths).ends - before.ends == timedelta(days=79)


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [
        (-90, -1, "expired on 2026-03-01"),
        (-90, 3, "expires on 2026-03-05"),
        (1, 90, "not valid before 2026-03-03"),
    ],
)
def test_a_certificate_out_of_its_time_is_used_with_a_warning(
    make_certificate, begins: int, ends: int, words: str
) -> None:
    assert words in tls.load(*make_certificate(begins=begins, ends=ends)).warning(NOW)


def test_a_key_of_another_certificate_is_named(make_certificate) -> None:
    certificate, _ = make_certificate("one")
    _, key = make_certificate("two")
    with pytest.raises(tls.CertificateError, match=r"two\.key is not the key of .*one\.pem") as caught:
        tls.load(certificate, key)
    assert caught.value.key == "tls_key"


@pytest.mark.timeout(10)
def test_a_key_with_a_passphrase_is_refused_and_asks_nobody(make_certificate) -> None:
    with pytest.raises(tls.CertificateError, match="protected by a passphrase") as caught:
        tls.load(*make_certificate(passphrase=b"secret"))
    assert caught.value.key == "tls_key"


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "in PEM form"),
        (b"\x30\x82garbage", "in PEM form"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "in PEM form"),
    ],
)
def test_what_is_no_certificate_or_no_key_is_named(
    make_certificate, which: int, content: bytes | None, words: str
) -> None:
    paths: list[Path] = list(make_certificate())
    if content is None:
        paths[which].unlink()
    else:
        paths[which].write_bytes(content)
    with pytest.raises(tls.CertificateError, match=words) as caught:
        tls.load(*paths)
    assert caught.value.key == ("tls_certificate", "tls_key")[which]
    assert str(paths[which]) in str(caught.value)

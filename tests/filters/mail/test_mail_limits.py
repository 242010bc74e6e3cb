"""What a hostile mail may cost: bounded time, bounded memory, and a view at the end of it.

The limits are several times what an idle machine of today needs, and a small part of what the obvious way would cost.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import time
import tracemalloc
from collections.abc import Callable

import pytest

from filters import guard
from filters.excerpt import excerpt
from filters.mail import Mail

#: Seconds, and octets beside those of the mail itself.
PATIENCE, ROOM = 5.0, 24 * 2**20

MEGABYTE = 2**20


def _nested(levels: int, inner: bytes = b"Content-Type: text/plain\n\nhello\n") -> bytes:
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(levels))
    return opened + inner + b"".join(b"--b%d--\n" % n for n in reversed(range(levels)))


def _text(text: bytes, kind: bytes = b"text/plain; charset=utf-8") -> bytes:
    return b"Content-Type: " + kind + b"\n\n" + text


def _parts(*parts: bytes) -> bytes:
    inside = b"".join(b"--b\n" + part + b"\n" for part in parts)
    return b"Content-Type: multipart/mixed; boundary=b\n\n" + inside + b"--b--\n"


_UNENDED = b'Content-Type: text/plain; a="' + b';\\"' * 700 + b'\nContent-Disposition: inline; a="' + b';\\"' * 700

HOSTILE: dict[str, Callable[[], bytes]] = {
    "a million parts": lambda: _parts(*[b"\nx"] * 1_000_000),
    "lines that nearly are boundaries": lambda: (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + b"--\n" * 3_000_000
    ),
    "quotation marks in a parameter": lambda: b'Content-Type: text/plain; a="' + b';\\"' * 500_000 + b"\n\nwords",
    "quotation marks in every part": lambda: _parts(*[_UNENDED] * 500),
    "encoded words without end": lambda: b"Subject: " + b"=?a?q?" * 1_000_000 + b"\n\nwords",
    "a million commas": lambda: b"To: " + b"a," * 1_000_000 + b"\n\nwords",
    "bad base64": lambda: b"Content-Transfer-Encoding: base64\n\n" + b"A=B=" * 2_000_000,
    "soft line breaks": lambda: b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=\n" * 5_000_000,
    "a page of quotation marks that hide ends": lambda: _text(b'<a ">" ' * 1_000_000, b"text/html"),
    "nothing but telephones' lines": lambda: _text(b"Sent from my phone\n" * 500_000),
    "nothing but quoted lines": lambda: _text(b"> a\n" * 2_000_000),
    "2,000 nested parts": lambda: _nested(2000),
    "2,000 nested mails": lambda: b"Content-Type: message/rfc822\n\n" * 2000 + b"\nhello",
    "2,000 parts of one boundary": lambda: b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 2000,
    "200,000 boundary lines": lambda: b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n" * 200_000,
    "a boundary of nothing but dashes": lambda: b'Content-Type: multipart/mixed; boundary="-"\n\n' + b"---\n" * 500_000,
    "a header line of 10 MB": lambda: b"Subject: " + b"a" * (10 * MEGABYTE) + b"\n\nhello",
    "a header line of 10 MB, folded": lambda: b"Subject: a" + b"\n a" * (3 * MEGABYTE) + b"\n\nhello",
    "a header line of 10 MB of encoded words": lambda: b"Subject: " + b"=?utf-8?Q?a?= " * 700_000 + b"\n\nhello",
    "a header of 10 MB of unknown charsets": lambda: (
        b"Subject: " + b"".join(b"=?x%d?Q?a?= " % n for n in range(600_000)) + b"\n\nhello"
    ),
    "a header that does not end": lambda: b"a" * (10 * MEGABYTE),
    "a million header fields": lambda: b"X: y\n" * 1_000_000 + b"\nhello",
    "a header of 5,000 recipients": lambda: (
        b"To: " + b",\n ".join(b'"Name %d" <name%d@example.org>' % (n, n) for n in range(5000)) + b"\n\nhello"
    ),
    "5,000 To fields": lambda: b"".join(b"To: name%d@example.org\n" % n for n in range(5000)) + b"\nhello",
    "an address of nothing but brackets": lambda: b"From: " + b"<" * MEGABYTE + b"\n\nhello",
    "an address of nothing but comments": lambda: b"From: " + b"(" * MEGABYTE + b"\n\nhello",
    "an address of nothing but quotes": lambda: b"From: " + b'"\\' * MEGABYTE + b"\n\nhello",
    "a thousand Received fields": lambda: b"Received: from (((((((((( by b; x\n" * 1000 + b"\nhello",
    "a Content-Type of a megabyte": lambda: b"Content-Type: text/plain" + b"; a=b" * 200_000 + b"\n\nhello",
    "a name of a thousand parts": lambda: (
        b"Content-Type: text/plain" + b"".join(b"; name*%d=a" % n for n in range(1000)) + b"\n\nhello"
    ),
    "a compressed bomb": lambda: (
        b"Content-Type: application/gzip\nContent-Encoding: gzip\n"
        b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(gzip.compress(bytes(50 * MEGABYTE)))
    ),
    "a compressed bomb as text": lambda: (
        b"Content-Type: text/plain; charset=bz2_codec\nContent-Transfer-Encoding: base64"
        b"\n\n" + base64.encodebytes(bz2.compress(bytes(50 * MEGABYTE)))
    ),
    "base64 of 50 MB": lambda: (
        b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
        + base64.encodebytes(b"hello, " * (5 * MEGABYTE))
    ),
    "quoted-printable of 50 MB": lambda: (
        b"Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n" + b"=41=\n" * (10 * MEGABYTE)
    ),
    "an attachment of 50 MB": lambda: (
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nhello\n--b\nContent-Type: image/png"
        b"\nContent-Transfer-Encoding: base64\n\n" + b"A" * 76 * 700_000 + b"\n--b--\n"
    ),
    "utf-7 of a megabyte": lambda: _text(b"+AAAA" * 200_000, b"text/plain; charset=utf-7"),
    "iso-2022-jp of nothing but escapes": lambda: _text(b"\x1b$B\x1b(B" * 150_000, b"text/plain; charset=iso-2022-jp"),
    "hz of a megabyte": lambda: _text(b"~{" * 500_000, b"text/plain; charset=hz-gb-2312"),
    "punycode of a megabyte": lambda: _text(b"a-" * 500_000, b"text/plain; charset=punycode"),
    "idna of a megabyte": lambda: _text(b"xn--a." * 150_000, b"text/plain; charset=idna"),
    "a letter with a million marks": lambda: _text(b"a" + "\u0301\u0323".encode() * 250_000),
    "a million joiners": lambda: _text("\u200d".encode() * 350_000),
    "a page of open tags": lambda: _text(b"<div>" * 200_000, b"text/html"),
    "a page of open quotations": lambda: _text(b"<blockquote>a" * 80_000, b"text/html"),
    "a page of half tags": lambda: _text(b"<a " * 300_000, b"text/html"),
    "a page of half attributes": lambda: _text(b'<a b="' * 150_000, b"text/html"),
    "a page of comments": lambda: _text(b"<!--" * 250_000, b"text/html"),
    "a page of scripts": lambda: _text(b"<script>" * 120_000, b"text/html"),
    "a page of references": lambda: _text(b"&#" + b"9" * MEGABYTE, b"text/html"),
    "a page of ampersands": lambda: _text(b"&" * MEGABYTE, b"text/html"),
    "a page of style rules": lambda: _text(
        b"<style>" + b".a{color:red}" * 80_000 + b"</style><p class=a>", b"text/html"
    ),
    "a page of open style rules": lambda: _text(b"<style>" + b"@media{a{" * 100_000, b"text/html"),
    "a page of classes": lambda: _text(
        b"<style>.a{color:red}</style>" + b"<p class='" + b"a " * 2000 + b"'>x" * 1 + b"<b class='" + b"a " * 400_000,
        b"text/html",
    ),
    "a calendar of folds": lambda: _text(b"BEGIN:VEVENT\nSUMMARY:a" + b"\n a" * 300_000, b"text/calendar"),
    "a calendar of components": lambda: _text(b"BEGIN:VEVENT\n" * 70_000, b"text/calendar"),
    "a report of recipients": lambda: (
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n"
        b"Content-Type: message/delivery-status\n\n" + b"\nFinal-Recipient: rfc822; a@b\nAction: failed\n" * 20_000
    ),
    "nothing but line breaks": lambda: _text(b"\n" * MEGABYTE),
    "nothing but marks of quotation": lambda: _text(b">" * MEGABYTE),
    "nothing but introductions": lambda: _text(b"On 1/1/2026 10:00 a <a@b.c> wrote:\n" * 30_000),
    "nothing but fields": lambda: _text(b"From: a@b.c\nDate: x\n" * 50_000),
    "nothing but delimiters": lambda: _text(b"--\n" * 300_000),
    "nothing but disclaimers": lambda: _text(b"If you are not the intended recipient notify and delete\n\n" * 18_000),
    "uuencoding that does not end": lambda: _text(b"begin 644 a\n" * 80_000),
    "OpenPGP that does not end": lambda: _text(b"-----BEGIN PGP SIGNED MESSAGE-----\n" + b"A: b\n" * 200_000),
}


@pytest.fixture(scope="module", autouse=True)
def warmed_up() -> None:
    """The first mail read makes tables that stay; they are no mail's cost."""
    excerpt(
        Mail.read(b"From: a@b.c\nSubject: =?utf-8?Q?=C3=A9?=\nContent-Type: text/html\n\n<p style='color:red'>a</p>")
    )


@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_mail_costs_little(attack: str) -> None:
    octets = HOSTILE[attack]()
    began = time.process_time()
    mail = Mail.read(octets)
    said = excerpt(mail)
    took = time.process_time() - began
    assert took < PATIENCE, f"{took:.1f} s for {len(octets):,} octets"
    assert mail.size == len(octets)
    assert len(mail.text) <= guard.TEXTS + 1000
    said.text.encode()


@pytest.mark.parametrize(
    "attack", ["2,000 nested parts", "a header line of 10 MB", "an attachment of 50 MB", "base64 of 50 MB"]
)
def test_a_large_mail_needs_little_room_beside_itself(attack: str) -> None:
    octets = HOSTILE[attack]()
    tracemalloc.start()
    try:
        mail = Mail.read(octets)
        excerpt(mail)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < ROOM, f"{peak / MEGABYTE:.1f} MB"


def test_what_was_left_out_is_told() -> None:
    assert Mail.read(HOSTILE["2,000 nested parts"]()).cut
    assert Mail.read(HOSTILE["a header line of 10 MB"]()).cut
    assert not Mail.read(b"Subject: x\n\nhello").cut


def test_the_words_before_a_bomb_are_read() -> None:
    assert Mail.read(HOSTILE["an attachment of 50 MB"]()).text == "hello"

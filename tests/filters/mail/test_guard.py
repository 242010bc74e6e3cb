"""Whatever is sent, reading it is bounded in time and memory, and what can be read is."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from filters import guard
from filters.excerpt import excerpt
from filters.mail import Mail

#: Seconds; each of these took minutes, or all memory, in some parser. On a quiet machine they take a tenth of it.
BOUND = 4.0


def multipart(*parts: bytes, boundary: bytes = b"b") -> bytes:
    inside = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return b"Content-Type: multipart/mixed; boundary=" + boundary + b"\r\n\r\n" + inside + b"--" + boundary + b"--\r\n"


def nested(depth: int) -> bytes:
    head = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(depth))
    return head + b"Content-Type: text/plain\r\n\r\ndeep"


HOSTILE = {
    "2,000 nested parts": nested(2000),
    "100,000 nested mails": b"Content-Type: message/rfc822\r\n\r\n" * 100_000,
    "a million parts": multipart(*[b"\r\nx"] * 1_000_000),
    "a header line of 10 MB": b"X: " + b"a" * 10_000_000 + b"\r\nSubject: s\r\n\r\nwords",
    "a million header fields": b"X: y\r\n" * 1_000_000 + b"\r\nwords",
    "encoded words without end": b"Subject: " + b"=?a?q?" * 1_000_000 + b"\r\n\r\nwords",
    "5,000 recipients": b"To: "
    + b", ".join(b'"P %d" <p%d@x.example>' % (n, n) for n in range(5000))
    + b"\r\n\r\nwords",
    "a million commas": b"To: " + b"a," * 1_000_000 + b"\r\nFrom: " + b"<" * 1_000_000 + b"\r\n\r\nwords",
    "quotation marks in a parameter": b'Content-Type: text/plain; a="' + b';\\"' * 500_000 + b"\r\n\r\nwords",
    "quotation marks in every part": multipart(
        *[b'Content-Type: text/plain; a="' + b';\\"' * 700 + b'\r\nContent-Disposition: inline; a="' + b';\\"' * 700]
        * 500
    ),
    "lines that nearly are boundaries": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
    + b"--\n" * 3_000_000,
    "heaps of combining marks": "Subject: ṩ\r\n\r\n".encode() + ("a" + "\u0301\u0316" * 500_000).encode(),
    "punycode": b"Content-Type: text/plain; charset=punycode\r\n\r\n" + ("é" * 300_000).encode("punycode"),
    "an HTML tag without end": b"Content-Type: text/html\r\n\r\n" + b"<a " * 1_000_000,
    "HTML quotation marks that hide ends": b"Content-Type: text/html\r\n\r\n" + b'<a ">" ' * 1_000_000,
    "comments without end": b"Content-Type: text/html\r\n\r\n" + b"<!-- <!" * 1_000_000,
    "nested HTML": b"Content-Type: text/html\r\n\r\n" + b"<b><blockquote>x" * 500_000,
    "numeric references": b"Content-Type: text/html\r\n\r\n&#" + b"9" * 1_000_000 + b";",
    "quoted lines": b"\r\n\r\n" + b"> a\n" * 2_000_000,
    "attributions": b"\r\n\r\n" + b"On 1 July, x wrote:\n" * 500_000,
    "mobile signatures": b"\r\n\r\n" + b"Sent from my phone\n" * 500_000,
    "headers in the text": b"\r\n\r\n" + b"From: a\n" * 1_000_000,
    "bad base64": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"A=B=" * 2_000_000,
    "soft line breaks": b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=\n" * 5_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_reading_is_bounded(name: str) -> None:
    octets = HOSTILE[name]
    begun = time.process_time()
    read = Mail.read(octets)
    excerpt(read)
    assert time.process_time() - begun < BOUND
    assert len(read.text) <= guard.TEXTS + 1000


@pytest.mark.parametrize(
    "name", ["2,000 nested parts", "a million parts", "a header line of 10 MB", "5,000 recipients"]
)
def test_memory_is_bounded_and_the_cut_is_said(name: str) -> None:
    octets = HOSTILE[name]
    tracemalloc.start()
    try:
        read = Mail.read(octets)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read.cut
    assert peak < 12 * 1024 * 1024


def test_what_is_cut_leaves_the_rest_readable() -> None:
    assert Mail.read(HOSTILE["a header line of 10 MB"]).text == "words"
    recipients = Mail.read(HOSTILE["5,000 recipients"]).to
    assert recipients[0] == ("P 0", "p0@x.example")
    assert len(recipients) > 2000
    assert Mail.read(nested(guard.DEPTH)).text == "deep"
    assert Mail.read(nested(guard.DEPTH + 1)).cut


def test_an_attachment_of_any_size_is_left_out_of_the_copy() -> None:
    octets = multipart(
        b"Content-Type: text/plain\r\n\r\nhello",
        b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"AAAA" * 500_000,
        b"Content-Type: text/plain\r\n\r\nand goodbye",
    )
    thin = guard.thin(octets)
    assert len(thin.octets) < 500
    assert not thin.cut
    assert [body.strip() for body in thin.bodies] == [b"hello", b"and goodbye"]
    read = Mail.read(octets)
    assert read.text.split() == ["hello", "and", "goodbye"]
    assert [attachment.name for attachment in read.attachments] == ["a.pdf"]


def test_inner_boundaries_end_with_the_outer_ones() -> None:
    octets = multipart(
        b"Content-Type: multipart/alternative; boundary=inner\r\n\r\n--inner\r\n\r\nfirst",
        b"Content-Type: text/plain\r\n\r\nsecond --b\r\n --b\r\n--bb",
        boundary=b"b",
    )
    assert Mail.read(octets).text.split() == ["first", "second", "--b", "--b", "--bb"]


@pytest.mark.parametrize("boundary", [b"a+b(c)?[d]", b"====", b"x y", b"--"])
def test_a_boundary_is_taken_literally(boundary: bytes) -> None:
    quoted = b'"' + boundary + b'"'
    octets = multipart(b"\r\nhello", boundary=boundary).replace(b"boundary=" + boundary, b"boundary=" + quoted)
    assert Mail.read(octets).text.strip() == "hello"


def test_unknown_charsets_are_not_remembered_by_python() -> None:
    import encodings

    before = len(encodings._cache)  # type: ignore[attr-defined]
    for number in range(50):
        label = f"no-such-charset-{number}"
        Mail.read(
            f"Subject: =?{label}?q?x?=\r\nFrom: =?{label}?q?x?= <a@b.example>\r\n"
            f"Content-Type: text/plain; charset={label}; name*={label}'en'x\r\n\r\nx\xe9".encode("latin-1")
        )
    assert len(encodings._cache) <= before + 2  # type: ignore[attr-defined]

"""The thin copy holds what is worth parsing, and parts begin and end where they do."""

from __future__ import annotations

import pytest

from filters import guard
from filters.mail import Mail


def multipart(*parts: bytes, boundary: bytes = b"b") -> bytes:
    inside = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return b"Content-Type: multipart/mixed; boundary=" + boundary + b"\r\n\r\n" + inside + b"--" + boundary + b"--\r\n"


def nested(depth: int) -> bytes:
    head = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(depth))
    return head + b"Content-Type: text/plain\r\n\r\ndeep"


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


def test_parts_are_read_down_to_a_depth_and_what_lies_below_is_told() -> None:
    assert Mail.read(nested(guard.DEPTH)).text == "deep"
    assert Mail.read(nested(guard.DEPTH + 1)).cut

"""Bodies of mails (RFC 2045, RFC 2046): a text any server carries, and what goes along with it."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from email import quoprimime

#: What stands between the parts. Neither quoted-printable nor base64 can hold these two characters in a row
#: (RFC 2046 section 5.1.1), and nothing else is ever put between them.
_BOUNDARY = b"=_tocsin_part_"
#: Above this share of octets that must be written as three, base64 is shorter.
_COSTLY = 1 / 4
_FROM = re.compile(r"(?m)^From ")


def text(said: str) -> bytes:
    """The part of a plain text, with its head: UTF-8, in quoted-printable where a person could still read it.

    The text comes out as it went in, its lines as long as they were, with the white space at their ends. Without a
    break at its end it gets one, as a mail must end with.
    """
    lines = said.replace("\r\n", "\n").replace("\r", "\n")
    octets = (lines if lines.endswith("\n") else f"{lines}\n").encode("utf-8", "replace")
    head = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
    if sum(one > 126 or one == 61 for one in octets) > len(octets) * _COSTLY:
        # The canonical form of text has CRLF (RFC 2045 section 6.8).
        encoded = base64.encodebytes(octets.replace(b"\n", b"\r\n")).replace(b"\n", b"\r\n")
        return head + b"base64\r\n\r\n" + encoded
    readable = quoprimime.body_encode(octets.decode("latin-1"))
    # Mailbox files mark the beginning of a mail with "From ": servers that keep them would write ">From ".
    readable = _FROM.sub("=46rom ", readable)
    return head + b"quoted-printable\r\n\r\n" + readable.replace("\n", "\r\n").encode("ascii")


def body(first: bytes, others: Sequence[bytes]) -> bytes:
    """A mail's body with the fields that describe it: `first` alone, or several parts (RFC 2046 section 5.1.3).

    All of them end with a line break.
    """
    if not others:
        return first
    head = b'Content-Type: multipart/mixed; boundary="' + _BOUNDARY + b'"\r\n\r\n'
    # Each part ends with a line break, which counts as the boundary's (RFC 2046 section 5.1.1).
    line = b"--" + _BOUNDARY
    return b"".join((head, *(piece for part in (first, *others) for piece in (line, b"\r\n", part)), line, b"--\r\n"))

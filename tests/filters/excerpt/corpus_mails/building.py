"""From texts to the octets of a mail, encoded the ways programs do."""

from __future__ import annotations

import base64
import html as escaping
import quopri
import textwrap
from dataclasses import dataclass, field
from email.header import Header

from corpus_mails.words import Words


@dataclass
class Draft:
    """A mail that is to be built: its texts, and how its program writes them."""

    program: str
    plain: str = ""
    html: str = ""
    charset: str = "utf-8"
    encoding: str = "quoted-printable"
    parameters: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    answer: bool = True


def octets(draft: Draft, words: Words, number: int) -> bytes:
    """The mail as it comes in, lines ending with CRLF."""
    subject = f"Re: {words['subject']}" if draft.answer else words["subject"]
    fields = {
        "Return-Path": f"<{words.my_address}>",
        "Received": "from mail.example.net (mail.example.net [192.0.2.7])\r\n\tby mx.example.org with ESMTPS id"
        " {number:08x}"
        "\r\n\tfor <32475123456@sms.example.org>; Tue, 14 Jul 2026 12:31:07 +0200 (CEST)",
        "Date": "Tue, 14 Jul 2026 12:31:05 +0200",
        "From": f"{_words(words.me)} <{words.my_address}>",
        "To": "32475123456@sms.example.org",
        "Subject": _words(subject),
        "Message-ID": f"<{number:08x}.{draft.program}@example.net>",
        **({"In-Reply-To": f"<q{number:07x}@example.org>"} if draft.answer else {}),
        **draft.fields,
        "MIME-Version": "1.0",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()
    parts = [_part("plain", draft.plain, draft)] if draft.plain else []
    if draft.html:
        parts.append(_part("html", draft.html, draft))
    if len(parts) == 1:
        return head + parts[0]
    boundary = f"=_{draft.program}_{number:06d}".encode()
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    kind = b'Content-Type: multipart/alternative; boundary="' + boundary + b'"\r\n\r\n'
    return head + kind + body + b"--" + boundary + b"--\r\n"


def _part(subtype: str, text: str, draft: Draft) -> bytes:
    raw = text.encode(draft.charset)
    if draft.encoding == "base64":
        body = base64.encodebytes(raw.replace(b"\n", b"\r\n"))
    elif draft.encoding == "quoted-printable":
        body = quopri.encodestring(raw)
    else:
        body = raw
    parameters = draft.parameters if subtype == "plain" else ""
    return (
        f"Content-Type: text/{subtype}; charset={draft.charset}{parameters}\r\n"
        f"Content-Transfer-Encoding: {draft.encoding}\r\n\r\n"
    ).encode() + body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _words(text: str) -> str:
    return text if text.isascii() else Header(text, "utf-8", maxlinelen=70).encode(linesep="\r\n")


def marked(text: str, mark: str = "> ") -> str:
    """The text as a quotation."""
    return "\n".join((mark + line).rstrip() for line in text.split("\n"))


def wrapped(line: str, width: int = 76) -> str:
    """A line broken the way programs do that keep lines short."""
    return "\n".join(textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False))


def divs(text: str) -> str:
    """The text as web mailers write it: a `div` a line."""
    return "".join(f"<div>{escaping.escape(line) or '<br>'}</div>" for line in text.split("\n"))


def breaks(text: str) -> str:
    """The text with a `br` after each line."""
    return "<br>\n".join(escaping.escape(line) for line in text.split("\n"))


def paragraphs(text: str) -> str:
    """The text as Word writes it."""
    return "".join(
        f'<p class="MsoNormal"><span lang="EN-US">{escaping.escape(line) or "&nbsp;"}<o:p></o:p></span></p>'
        for line in text.split("\n")
    )


def flowed(text: str, width: int = 66) -> str:
    """The text as format=flowed (RFC 3676): long lines broken after a space."""
    lines = []
    for line in text.split("\n"):
        pieces = textwrap.wrap(line, width, break_long_words=False) or [""]
        lines += [f"{piece} " for piece in pieces[:-1]] + [pieces[-1]]
    return "\n".join(f" {line}" if line.startswith((">", " ", "From ")) else line for line in lines)

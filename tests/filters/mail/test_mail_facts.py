"""Every known trap of mails, a row each: what comes in, and what is read."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from filters.excerpt import Excerpt
from filters.mail import Mail

Read = Callable[[bytes | str], Mail]
Said = Callable[[bytes | str], Excerpt]


@dataclass(frozen=True)
class Row:
    """A mail, and what some of its view's fields must be."""

    trap: str
    octets: bytes
    expected: dict[str, Any]

    def __str__(self) -> str:
        return self.trap


def _parts(kind: str, *parts: bytes) -> bytes:
    body = b"".join(b"--b\n" + part + b"\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="b"\n\n'.encode() + body + b"--b--\n"


_PLAIN = b"Content-Type: text/plain; charset=utf-8\n\n"
_HTML = b"Content-Type: text/html; charset=utf-8\n\n"
_EVENT = (
    b"Content-Type: text/calendar; charset=utf-8; method=REQUEST\n\nBEGIN:VCALENDAR\nMETHOD:REQUEST\nBEGIN:VTIMEZONE\n"
    b"TZID:Europe/Brussels\nBEGIN:STANDARD\nDTSTART:19701025T030000\nEND:STANDARD\nEND:VTIMEZONE\nBEGIN:VEVENT\n"
    b"DTSTART;TZID=Europe/Brussels:20260714T100000\nSUMMARY:Budget\\, second reading\nLOCATION:Room 4\nBEGIN:VALARM\n"
    b"DESCRIPTION:Reminder\nEND:VALARM\nEND:VEVENT\nEND:VCALENDAR\n"
)

ADDRESSES = (
    Row("an address that does not end", b"From: a@[\nMessage-ID: <\n\nhi", {"text": "hi", "message_id": ""}),
    Row(
        "a Message-ID that does not end", b"From: a@b.c\nMessage-ID: <\n\nhi", {"from_": (("", "a@b.c"),), "text": "hi"}
    ),
    Row("no From at all", b"Subject: s\n\nhi", {"from_": (), "subject": "s"}),
    Row("an address as the name", b'From: "boss@corp.com" <evil@x.y>\n\n', {"from_": (("boss@corp.com", "evil@x.y"),)}),
    Row("two mailboxes in From", b"From: a@x.y, b@x.y\n\n", {"from_": (("", "a@x.y"), ("", "b@x.y"))}),
    Row("two From fields", b"From: a@x.y\nFrom: b@x.y\n\n", {"from_": (("", "a@x.y"), ("", "b@x.y"))}),
    Row("only a name", b"From: Cron Daemon\n\n", {"from_": (("Cron Daemon", ""),)}),
    Row("a group", b"To: friends: a@x.y, b@x.y;\n\n", {"to": (("", "a@x.y"), ("", "b@x.y"))}),
    Row("a name in latin-1, unencoded", b"From: J\xfcrgen <j@x.y>\n\n", {"from_": (("Jürgen", "j@x.y"),)}),
    Row("a name in UTF-8 (RFC 6532)", "From: Jürgen <jü@x.y>\n\n".encode(), {"from_": (("Jürgen", "jü@x.y"),)}),
    Row(
        "an encoded name with an address in it",
        b"From: =?utf-8?Q?boss=40corp=2Ecom_=3Cboss=40corp=2Ecom=3E?= <evil@x.y>\n\n",
        {"from_": (("boss@corp.com <boss@corp.com>", "evil@x.y"),)},
    ),
)

HEADERS = (
    Row("an encoded line break", b"Subject: =?utf-8?Q?a=0D=0ABcc:_x@y?=\n\n", {"subject": "a Bcc: x@y"}),
    Row("an encoded line separator", b"Subject: =?utf-8?Q?a=E2=80=A8Bcc:_x@y?=\n\n", {"subject": "a Bcc: x@y"}),
    Row("a bare carriage return", b"Subject: a\rBcc: x@y\n\nhi", {"subject": "a Bcc: x@y"}),
    Row("a NUL", b"Subject: a\0b\n\nhi", {"subject": "a b"}),
    Row(
        "a word split inside a character",
        b"Subject: =?utf-8?B?w6k=?= =?utf-8?B?w6nD?=\n =?utf-8?B?qQ==?=\n\n",
        {"subject": "ééé"},
    ),
    Row("adjacent words", b"Subject: =?utf-8?Q?caf?= =?utf-8?Q?=C3=A9?= x\n\n", {"subject": "café x"}),
    Row("words of different charsets", b"Subject: =?utf-8?Q?=C3=A9?= =?iso-8859-1?Q?=E9?=\n\n", {"subject": "éé"}),
    Row("a word of an unknown charset", b"Subject: =?x-none?Q?caf=C3=A9?=\n\n", {"subject": "café"}),
    Row("a word with broken base64", b"Subject: =?utf-8?B?Y2Fmw6k?=\n\n", {"subject": "café"}),
    Row("a word that does not end", b"Subject: =?utf-8?Q?caf\n\n", {"subject": "=?utf-8?Q?caf"}),
    Row("cp1252 as latin-1 in a word", b"Subject: =?iso-8859-1?Q?=93x=94_=80?=\n\n", {"subject": "“x” €"}),
    Row("a folded subject", b"Subject: one\n two\n\tthree\n\n", {"subject": "one two three"}),
    Row("invisible characters", "Subject: a\u200bb\u202ec\ufeff\n\n".encode(), {"subject": "abc"}),
    Row("ISO-2022-JP", b"Subject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=\n\n", {"subject": "日本"}),
    Row("no colon in the second line", b"Subject: s\nhello there\nmore", {"subject": "s", "text": "hello there\nmore"}),
    Row("a line of mbox first", b"From x@y Tue Jul 14 10:00:00 2026\nSubject: s\n\nhi", {"subject": "s", "text": "hi"}),
    Row("an impossible date", b"Date: Fri, 31 Feb 2026 25:61:00 +9999\n\nhi", {"date": None, "text": "hi"}),
    Row("a date", b"Date: Tue, 14 Jul 2026 12:00:00 +0200\n\n", {"date": datetime(2026, 7, 14, 10, 0, tzinfo=UTC)}),
    Row("an id without brackets", b"Message-ID: a.b@c\n\n", {"message_id": "<a.b@c>"}),
)

CHARSETS = (
    Row("unknown charset", b"Content-Type: text/plain; charset=x-none\n\ncaf\xc3\xa9", {"text": "café"}),
    Row("utf-8 declared, latin-1 sent", b"Content-Type: text/plain; charset=utf-8\n\ncaf\xe9 \x80", {"text": "café €"}),
    Row("nothing declared, utf-8 sent", b"\ncaf\xc3\xa9", {"text": "café"}),
    Row("ascii declared, utf-8 sent", b"Content-Type: text/plain; charset=us-ascii\n\ncaf\xc3\xa9", {"text": "café"}),
    Row("nothing declared, latin-1 sent", b"\ncaf\xe9", {"text": "café"}),
    Row("latin-1 with cp1252 octets", b"Content-Type: text/plain; charset=iso-8859-1\n\n\x93x\x94", {"text": "“x”"}),
    Row(
        "utf-8 with a wound",
        "Content-Type: text/plain; charset=utf-8\n\nà la carte é è ".encode() + b"\xff",
        {"text": "à la carte é è �"},
    ),
    Row("a charset Python must not use", b"Content-Type: text/plain; charset=zlib_codec\n\nhi", {"text": "hi"}),
    Row("a charset with a line break", b'Content-Type: text/plain; charset="utf-8\n x"\n\nhi', {"text": "hi"}),
    Row("utf-16 with a byte order mark", b"Content-Type: text/plain\n\n" + "hé".encode("utf-16"), {"text": "hé"}),
    Row("utf-7", b"Content-Type: text/plain; charset=utf-7\n\ncaf+AOk-", {"text": "café"}),
    Row("unknown transfer encoding", b"Content-Transfer-Encoding: x-none\n\nhi", {"text": "hi"}),
    Row(
        "base64 with rubbish in it",
        b"Content-Transfer-Encoding: base64\n\naGVs*bG8g\n!d29ybGQ",
        {"text": "hello world"},
    ),
    Row("broken quoted-printable", b"Content-Transfer-Encoding: quoted-printable\n\na=ZZ=4", {"text": "a=ZZ=4"}),
)

PARTS = (
    Row(
        "a blank text/plain",
        _parts("alternative", _PLAIN + b" \n\xc2\xa0\n", _HTML + b"<p>hello</p>"),
        {"text": "hello"},
    ),
    Row(
        "a text/plain that sends to the HTML",
        _parts(
            "alternative",
            _PLAIN + b"Please use a client that can show HTML to view this mail.",
            _HTML + b"<p>hello</p>",
        ),
        {"text": "hello"},
    ),
    Row(
        "only a forwarded mail",
        b"Content-Type: message/rfc822\n\nSubject: inner\n\nits text",
        {"text": "inner\nits text"},
    ),
    Row(
        "only an invitation",
        _EVENT,
        {"invitation": "Budget, second reading, Tuesday 14 July 2026 10:00 Brussels time, Room 4"},
    ),
    Row(
        "an attached text first",
        _parts(
            "mixed",
            b"Content-Type: text/plain\nContent-Disposition: attachment; filename=a.txt\n\nlog",
            _PLAIN + b"words",
        ),
        {"text": "words"},
    ),
    Row("a text with a file's name alone", b'Content-Type: text/plain; name="body.txt"\n\nwords', {"text": "words"}),
    Row(
        "a picture between two texts",
        _parts("mixed", _PLAIN + b"one", b"Content-Type: image/png\n\nx", _PLAIN + b"two"),
        {"text": "one\ntwo"},
    ),
    Row("the same text twice", _parts("mixed", _PLAIN + b"one", _HTML + b"<p>one</p>"), {"text": "one"}),
    Row(
        "only a picture",
        b"Content-Type: image/jpeg\nContent-Transfer-Encoding: base64\n\n/9j/4AAQ",
        {"text": "", "stand_in": "(image)"},
    ),
    Row(
        "encrypted, OpenPGP",
        _parts(
            "encrypted",
            b"Content-Type: application/pgp-encrypted\n\nVersion: 1",
            b"Content-Type: application/octet-stream\n\n-----BEGIN PGP MESSAGE-----",
        ),
        {"stand_in": "(encrypted)"},
    ),
    Row(
        "encrypted, OpenPGP in the text",
        b"\n-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n",
        {"stand_in": "(encrypted)", "text": ""},
    ),
    Row(
        "encrypted, S/MIME",
        b'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"\n\nMII',
        {"stand_in": "(encrypted)"},
    ),
    Row(
        "signed, S/MIME",
        b'Content-Type: application/pkcs7-mime; smime-type=signed-data; name="smime.p7m"\n\nMII',
        {"stand_in": "(signed)"},
    ),
    Row(
        "signed, OpenPGP in the text",
        b"\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nwords\n- -- \n-----BEGIN PGP"
        b" SIGNATURE-----\n\niQ\n-----END PGP SIGNATURE-----\n",
        {"text": "words\n-- "},
    ),
    Row("winmail.dat", b'Content-Type: application/ms-tnef; name="winmail.dat"\n\nx', {"stand_in": "(winmail.dat)"}),
    Row(
        "a named file",
        b'Content-Type: application/pdf; name="=?utf-8?Q?r=C3=A9sum=C3=A9=2Epdf?="\n\n%PDF',
        {"stand_in": "(attachment: résumé.pdf)"},
    ),
    Row(
        "a file and a picture",
        _parts(
            "mixed",
            b'Content-Type: image/png; name="logo.png"\n\nx',
            b'Content-Type: application/pdf; name="a.pdf"\n\nx',
        ),
        {"stand_in": "(attachment: a.pdf)"},
    ),
    Row(
        "a name of several parts (RFC 2231)",
        b"Content-Type: application/pdf; name*0*=utf-8''r%C3%A9; name*1=sum.pdf\n\nx",
        {"stand_in": "(attachment: résum.pdf)"},
    ),
    Row("uuencoded", b"\nwords\n\nbegin 644 a.txt\n#0V%T\n`\nend\nmore", {"text": "words\n\n(attachment)\nmore"}),
    Row(
        "format=flowed",
        b"Content-Type: text/plain; format=flowed\n\nOne \nline.\n> q \n> r\n -- \n",
        {"text": "One line.\n> q r\n-- \n"},
    ),
    Row("delsp=yes", b"Content-Type: text/plain; format=flowed; delsp=yes\n\nfor \never\n", {"text": "forever\n"}),
    Row("a boundary that never comes", b"Content-Type: multipart/mixed; boundary=none\n\nwords", {"text": "words"}),
    Row("a multipart without a boundary", b"Content-Type: multipart/mixed\n\nwords", {"text": "words"}),
    Row(
        "a multipart that does not end", b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nwords", {"text": "words"}
    ),
    Row(
        "a multipart cut inside a header",
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Ty",
        {"text": "Content-Ty"},
    ),
    Row("nothing", b"", {"text": "", "subject": "", "from_": ()}),
    Row("one line break", b"\n", {"text": "", "subject": ""}),
)


@pytest.mark.parametrize("row", [*ADDRESSES, *HEADERS, *CHARSETS, *PARTS], ids=str)
def test_a_trap_is_read_as_meant(row: Row, read: Read) -> None:
    mail = read(row.octets)
    assert {name: getattr(mail, name) for name in row.expected} == row.expected


@pytest.mark.parametrize(
    ("subject", "body", "expected"),
    [
        ("photo", b"Content-Type: image/png\n\nx", "(image)"),
        ("secret", b"Content-Type: application/pkcs7-mime\n\nx", "(encrypted)"),
        ("sound", b"Content-Type: audio/amr\n\nx", "(audio)"),
        ("old", b"Content-Type: application/ms-tnef\n\nx", "(winmail.dat)"),
    ],
)
def test_what_has_no_words_is_named_beside_sender_and_subject(
    subject: str, body: bytes, expected: str, said: Said
) -> None:
    found = said(f"From: Ann <ann@x.y>\nSubject: {subject}\n".encode() + body)
    assert (found.sender, found.subject, found.text, found.said) == ("Ann", subject, "", expected)


def test_a_signature_is_no_file(read: Read) -> None:
    mail = read(_parts("signed", _PLAIN + b"words", b'Content-Type: application/pgp-signature; name="s.asc"\n\nx'))
    assert mail.text == "words"
    assert mail.attachments == ()


def test_an_interleaved_answer_is_kept_whole(said: Said) -> None:
    assert said("\n> q\na\n> q\na\n").text == "> q\na\n> q\na"


def test_a_mail_that_is_only_quotation_says_its_text(said: Said) -> None:
    assert said("\nOn 14/07/2026 10:05, Ann Lee wrote:\n> all of it\n").text == "all of it"


def test_a_base64_text_with_a_byte_order_mark_has_none(read: Read) -> None:
    text = base64.b64encode("\ufeffhallo\u200b du".encode()).decode()
    assert (
        read(f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n{text}").text == "hallo du"
    )


def test_the_header_of_the_view_has_every_field_topmost_first(read: Read) -> None:
    mail = read("X-A: one\nx-a: two\nX-A: =?utf-8?Q?t=0Ahree?=\n\n")
    assert mail.header("X-A") == ["one", "two", "t hree"]

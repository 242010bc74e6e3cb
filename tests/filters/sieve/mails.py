"""Mails that scripts are tried on: by hand, each with something a test may trip over, and made by chance."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

from hypothesis import strategies as st

SIMPLE = b"""\
From: Jean Dupont <jean+news@Example.org>
To: me+sieve@example.org, "Doe, Jane" <jane@example.com>
Cc: list@lists.example.net
Subject: Urgent: the Report of March 2026
Message-ID: <one@example.org>
Date: Sun, 29 Mar 2026 01:59:58 +0100
X-Priority: 1 (Highest)
X-Number: 0042abc
X-Score: 4.5
X-Empty:
Received: from a.example by b.example; Sun, 29 Mar 2026 03:00:01 +0200
Received: from c.example by a.example;
 Sat, 28 Mar 2026 18:00:00 -0700
List-Id: News <news.example.net>

The report is ready.
Call me at 10:30, please.
"""

ENCODED = (
    b"From: =?utf-8?Q?Ren=C3=A9e_M=C3=BCller?= <renee@example.org>\r\n"
    b"To: Grp: a@example.org, B <b@Example.ORG>;, c@example.com\r\n"
    b"Subject: =?utf-8?Q?H=C3=A9llo?= =?iso-8859-1?Q?_w=F6rld?=   two  spaces\r\n"
    b"\tand a fold\r\n"
    b"Date: Tue, 1 Dec 2026 23:30:00 -0800\r\n"
    b"X-A: a1\r\nX-B: b1\r\nX-A: a2\r\nX-B: b2\r\n"
    b"Content-Type: text/plain; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n"
    b"\r\n"
    b"Sch=F6ne Gr=FC=DFe\r\naus K=F6ln\r\n"
)

MIXED = b"""\
From: "Jean \\"J\\" O" <Jean+Det@X.org>, D <d@e.example>
To: me@example.org
Subject: files
Date: Thu, 31 Dec 2026 23:59:59 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

prologue here
--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Plain w=C3=B6rds
--inner
Content-Type: text/html; charset=us-ascii

<html><body><p>Rich <b>words</b></p></body></html>
--inner--
--outer
Content-Type: application/pdf; name="invoice 7.pdf"
Content-Disposition: attachment; filename="invoice 7.pdf"
Content-Transfer-Encoding: base64
X-Part: third

SGVsbG8gcGRm
--outer
Content-Type: message/rfc822

From: inner@x.example
Subject: inner subject
Content-Type: text/plain

inner body
--outer--
epilogue here
"""

BROKEN = b"""\
From: MAILER-DAEMON
To: undisclosed-recipients:;
Subject:
Date: yesterday or so
Content-Type: multipart/mixed; boundary="never"

no part ever begins
"""

ODD = b"""\
Return-Path: <bounce@example.org>
From: <a.b@c.example>
From: second@c.example (with a comment)
Sender: (comment) sender@example.org
Reply-To: "quo ted"@X.org, plain@x.org
Subject: *stars* and ?marks? and \\back\\slashes [brackets] {braces} (a+b)
Subject: second subject
Date: 1 Jan 70 00:00:00 +0530
X-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab
X-Digits: 7

text/plain without saying so
"""

HANDMADE = {"simple": SIMPLE, "encoded": ENCODED, "mixed": MIXED, "broken": BROKEN, "odd": ODD}


_TEXTS = st.text(alphabet="aAbzZ019 .,:;*?\\\\[](){}+-_'\"<>@=\t", max_size=40)
_ADDRESS = st.sampled_from(
    [
        "a@example.org",
        "A.B+c+d@Example.ORG",
        "Jean <jean+news@example.org>",
        '"Doe, J" <j@x.org>',
        '"q q"@x.org',
        "x@y.example (a comment)",
        "Grp: a@b.example, c@d.example;",
        "<only@angle.example>",
        "nobody",
        "",
    ]
)
_ADDRESSES = st.lists(_ADDRESS, min_size=1, max_size=3).map(", ".join).filter(lambda text: text.strip(" ,") != "")
_DATES = st.builds(
    lambda moment, zone: format_datetime(moment.replace(tzinfo=timezone(timedelta(minutes=zone)))),
    st.datetimes(datetime(1971, 1, 1), datetime(2037, 12, 31)),
    st.sampled_from([0, 60, -210, 330, 765, -720]),
)
_FIELD = st.one_of(
    st.tuples(st.sampled_from(["Subject", "X-A", "X-B", "X-Number", "X-Priority"]), _TEXTS),
    st.tuples(st.sampled_from(["From", "To", "Cc", "Sender", "Reply-To"]), _ADDRESSES),
    st.tuples(st.just("Date"), _DATES),
    st.tuples(st.just("Received"), _DATES.map(lambda date: f"from a by b; {date}")),
    st.tuples(st.just("X-Number"), st.integers(0, 10**9).map(str)),
)
_BODIES = st.sampled_from(["", "The report is ready.\n", "Hello\n\n--\ninner words\n"])


def _mail(fields: list[tuple[str, str]], body: str) -> bytes:
    return "".join(f"{name}: {value}\n" for name, value in fields).encode() + b"\n" + body.encode()


#: Mails with any fields in any order, some more than once; all ASCII.
MADE = st.builds(_mail, st.lists(_FIELD, min_size=1, max_size=12), _BODIES)

"""One mail with nearly everything in it, and the shortest ways to ask filters about mails."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from filters import criteria
from filters.context import Context
from filters.evaluation import evaluate
from filters.mail import Mail
from filters.verdict import Verdict

NOW = datetime(2026, 7, 14, 10, 30, tzinfo=ZoneInfo("Europe/Brussels"))  # a Tuesday

MAIL = """\
Return-Path: <bounce+x@mta.corp.example>
Authentication-Results: mx.example.org; dmarc=pass header.from=corp.example; spf=fail smtp.mailfrom=x@corp.example;
 dkim=pass header.d=corp.example; x-spam=4.5
Authentication-Results: mx.example.org; dmarc=fail header.from=corp.example
Received: from a.example by b.example
Received: from c.example by d.example
From: =?utf-8?q?Andr=C3=A9?= Boss <Boss+sales@EU.Corp.example>
Sender: assistant@corp.example
Reply-To: "Office, The" <office@corp.example>
To: Ann <ann@example.org>, bob@example.net
Cc: carl@example.com
Subject: Re: [dev] AW: =?utf-8?q?Caf=C3=A9_=C2=AB_URGENT_=C2=BB?=  of   today
Date: Tue, 14 Jul 2026 08:05:00 +0000
Message-ID: <1@corp.example>
In-Reply-To: <0@example.org>
Importance: High
List-Id: The developers <dev.lists.corp.example>
X-Empty:
X-Tag: one
X-Tag: two
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8

The new words: the server is down.
Rücksprache nötig, l’équipe sait.

On 13 July 2026 at 10:00, Ann wrote:
> the quoted question

--b
Content-Type: application/pdf; name="Invoice 2026.pdf"
Content-Disposition: attachment; filename="Invoice 2026.pdf"

x
--b
Content-Type: image/png; name=logo.png
Content-Disposition: attachment; filename=logo.png

x
--b--
"""

BOOKS = {
    "book:private": frozenset({"boss+sales@eu.corp.example"}),
    "list:oncall": frozenset({"other@example.org"}),
    "any": frozenset({"boss+sales@eu.corp.example", "other@example.org"}),
}
CONTEXT = Context(
    now=NOW,
    envelope_from="bounce+x@mta.corp.example",
    envelope_to=("ann+lists@example.org",),
    me=frozenset({"ann@example.org"}),
    books=BOOKS,
    authserv_id="mx.example.org",
    flags=frozenset({"\\Flagged", "$Work"}),
    credit_left=12,
    sent_today=3,
)


def octets(text: str) -> bytes:
    """A mail as it travels."""
    return text.replace("\n", "\r\n").encode()


def document(when: Any, **more: Any) -> dict[str, Any]:
    """A filter's document with these criteria."""
    return {"name": "tried", "when": when, "actions": [{"sms": ["me"]}], **more}


def judged(when: Any, mail: Mail, context: Context = CONTEXT, **more: Any) -> Verdict:
    """How a filter with these criteria judges a mail."""
    return evaluate([criteria.parse(document(when, **more))], mail, context)[0]


def short_mail(*lines: str, body: str = "hello") -> Mail:
    """A mail with these header lines."""
    return Mail.read(octets("\n".join((*lines, "", body, ""))))

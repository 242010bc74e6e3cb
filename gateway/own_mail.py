"""Mails of ours in the queue: reports and verdicts, free of charge, which nothing answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime

from sqlalchemy import Connection, insert, select

from filters.mail import OUR_MARK
from gateway import claims, routing
from gateway.message import Channel, Origin, State
from gateway.store import schema
from gateway.store.identifiers import Identifiers

#: How long such a mail is tried.
VALIDITY = timedelta(days=5)


@dataclass(frozen=True, slots=True)
class OwnMail:
    """A mail to an address of an account: what `message show` says of it, and its SMTP payload."""

    account: int
    origin: Origin
    to: str
    subject: str
    text: str
    payload: bytes


def compose(
    domain: str,
    sender: str,
    to: str,
    subject: str,
    words: str,
    now: datetime,
    *,
    name: str,
    mark: str = "report",
    submitted: str = "auto-generated",
    about: str = "",
) -> bytes:
    """Such a mail in plain words as an SMTP payload (`gateway.transports.smtp`), which nothing answers (RFC 3834).

    `name` is the left side of its Message-ID, `about` the Message-ID of the mail it answers, if it answers one.
    """
    mail = EmailMessage()
    mail["From"] = sender or f"postmaster@{domain}"
    mail["To"] = to
    mail["Subject"] = subject
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{name}@{domain}>"
    if about:
        mail["In-Reply-To"] = mail["References"] = about
    mail["Auto-Submitted"] = submitted
    mail[OUR_MARK] = mark
    mail.set_content(words)
    return b"Return-Path: <>\r\n" + mail.as_bytes(policy=mail.policy.clone(linesep="\r\n", max_line_length=900))


def queue(connection: Connection, identifiers: Identifiers, mail: OwnMail, route: routing.Route, now: datetime) -> int:
    """Queue it as a message of its own, in the account's name; the message's id."""
    message, delivery, segment = identifiers.take(connection, 3)
    common = {"message_id": message, "channel": Channel.EMAIL.value, "address": mail.to}
    connection.execute(
        insert(schema.message),
        {
            "id": message,
            "account_id": mail.account,
            "origin": mail.origin.value,
            "created": now,
            "subject": mail.subject,
            "text": mail.text,
            "expires": now + VALIDITY,
            "automatic": True,
            "recipients": 1,
        },
    )
    connection.execute(insert(schema.delivery), {"id": delivery, **common, "name": ""})
    connection.execute(
        insert(schema.segment),
        {
            "id": segment,
            "delivery_id": delivery,
            **common,
            "account_id": mail.account,
            "n": 1,
            "parts": 1,
            "route": route.name,
            "state": State.QUEUED.value,
            "rank": None,
            "due": now,
            "expires": now + VALIDITY,
            "payload": mail.payload,
            "units": 0,
            "allotment": 0,
        },
    )
    table = schema.segment
    wanted = select(table.c.id, table.c.route, table.c.account_id, table.c.urgent).where(table.c.id == segment)
    claims.give_turns(connection, connection.execute(wanted).all())
    return message

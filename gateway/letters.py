"""E-mails of messages, made when they leave: a list of a hundred thousand recipients keeps one text, not as many mails.

A segment on its way over an `smtp` route that has no payload yet gets one here, in the transaction that claims it. What
is made of the same rows is the same, Message-ID included, so a mail that has to be sent again is known as the same one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from email import charset
from email.header import Header
from email.mime.text import MIMEText
from email.utils import format_datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from filters.mail import OUR_MARK
from gateway.message import Channel, Claimed, Origin
from gateway.routing import Route
from gateway.store import schema

log = logging.getLogger(__name__)

#: Text that any server carries and a person can read in the raw (RFC 2045 section 6.7).
_READABLE = charset.Charset("utf-8")
_READABLE.body_encoding = charset.QP
#: What somebody wrote himself; the rest is made by machine (RFC 3834 section 5).
_BY_HAND = frozenset({Origin.MAIL, Origin.CONSOLE, Origin.API, Origin.CLI})
#: The longest subject, in characters.
_LONGEST = 500

_message, _delivery, _address = schema.message, schema.delivery, schema.address
_MESSAGES = (
    select(_message, _address.c.address.label("reply_to"))
    .join(_address, (_address.c.account_id == _message.c.account_id) & (_address.c.place == 0), isouter=True)
    .where(_message.c.id.in_(bindparam("messages", expanding=True)))
)
_DELIVERIES = select(_delivery.c.message_id, _delivery.c.address, _delivery.c.id, _delivery.c.name).where(
    _delivery.c.message_id.in_(bindparam("messages", expanding=True)),
    _delivery.c.channel == Channel.EMAIL.value,
    _delivery.c.address.in_(bindparam("addresses", expanding=True)),
)


@dataclass(frozen=True, slots=True)
class Message:
    """What a letter says, from the message's row; `reply_to` is the account's first address, None where it has none."""

    id: int
    origin: Origin
    sent: datetime
    subject: str
    text: str
    automatic: bool
    reply_to: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """To whom: the addr-spec, and what he is called, empty where that is not known."""

    id: int
    address: str
    name: str


def fill(connection: Connection, claimed: list[Claimed], route: Route | None) -> list[Claimed]:
    """The same segments, each with its octets; `route` is None where they are no letters.

    A letter that cannot be made stays empty, which its transport refuses for good: it must not stop the others.
    """
    blank = [one for one in claimed if not one.payload] if route is not None else []
    if route is None or not blank:
        return claimed
    wanted = {"messages": sorted({one.message for one in blank}), "addresses": sorted({one.to for one in blank})}
    messages = {row.id: _read(row) for row in connection.execute(_MESSAGES, {"messages": wanted["messages"]})}
    deliveries = {
        (row.message_id, row.address): Delivery(row.id, row.address, row.name)
        for row in connection.execute(_DELIVERIES, wanted)
    }
    filled = []
    for one in claimed:
        message, delivery = messages.get(one.message), deliveries.get((one.message, one.to))
        if one.payload or message is None or delivery is None:
            filled.append(one)
            continue
        try:
            filled.append(replace(one, payload=letter(message, delivery, route)))
        except Exception:
            log.exception("a letter could not be made", extra={"action": "letter_failed", "segment": one.id})
            filled.append(one)
    return filled


def _read(row: Any) -> Message:
    return Message(
        row.id, Origin(row.origin), row.at or row.created, row.subject, row.text, row.automatic, row.reply_to
    )


def letter(message: Message, delivery: Delivery, route: Route) -> bytes:
    """The payload of an e-mail segment (`gateway.transports.smtp`): a Return-Path line, then the mail (RFC 5322)."""
    mail = MIMEText(message.text.replace("\r\n", "\n").replace("\r", "\n"), "plain", _READABLE)  # type: ignore[arg-type]
    mail["From"] = _line(route.sender)
    mail["To"] = _mailbox(delivery)
    if message.reply_to is not None:
        mail["Reply-To"] = _line(message.reply_to)
    mail["Subject"] = _words(_line(message.subject) or _line(message.text.strip().partition("\n")[0]))
    mail["Date"] = format_datetime(message.sent)
    domain = route.sender.rpartition("@")[2] or "localhost"
    mail["Message-ID"] = f"<{message.id}.{delivery.id}@{_line(domain)}>"
    if message.automatic or message.origin not in _BY_HAND:
        mail["Auto-Submitted"] = "auto-generated"
        mail[OUR_MARK] = message.origin.value
    octets = mail.as_bytes(policy=mail.policy.clone(linesep="\r\n", max_line_length=900))
    return f"Return-Path: <{_line(route.sender)}>\r\n".encode() + octets


def _mailbox(delivery: Delivery) -> str:
    """The recipient as To shows him; what he is called only where that is not the address itself."""
    name, address = _line(delivery.name), _line(delivery.address)
    if not name or "@" in name:
        return address
    shown = _words(name) if not name.isascii() or "=?" in name else _quoted(name)
    return f"{shown} <{address}>"


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _words(text: str) -> str:
    """A text in a header: as it is, or in encoded words (RFC 2047)."""
    if text.isascii() and "=?" not in text:
        return text
    return Header(text, "utf-8").encode()


def _line(text: str) -> str:
    """A text in one line: nothing in it can end a header and begin another."""
    words = " ".join(text.encode("utf-8", "replace").decode().split())[:_LONGEST]
    return "".join(one if one.isprintable() else "?" for one in words)

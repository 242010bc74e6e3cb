"""E-mails of messages, made when they leave: a list of a hundred thousand recipients keeps one text, not as many mails.

A segment on its way over an `smtp` route that has no payload yet gets one here, in the transaction that claims it. What
is made of the same rows is the same, Message-ID included, so a mail that has to be sent again is known as the same one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from filters.mail import OUR_MARK
from gateway import attachments, header, mime, postmark
from gateway.lines import one_line
from gateway.message import Channel, Claimed, Origin
from gateway.routing import Route
from gateway.store import schema

log = logging.getLogger(__name__)

#: What somebody wrote himself; the rest is made by machine (RFC 3834 section 5).
_BY_HAND = frozenset({Origin.MAIL, Origin.CONSOLE, Origin.API, Origin.CLI})
#: The longest subject and the longest name, in characters.
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
    """What a letter says, from the message's row; `reply_to` is the account's first address, None where it has none.

    `parts` are its attachments, as `gateway.attachments` made them.
    """

    id: int
    origin: Origin
    sent: datetime
    subject: str
    text: str
    automatic: bool
    reply_to: str | None
    parts: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """To whom: the addr-spec, and what he is called, empty where that is not known; `mark` is `gateway.postmark`'s."""

    id: int
    address: str
    name: str
    mark: str = ""


def fill(connection: Connection, claimed: list[Claimed], route: Route | None) -> list[Claimed]:
    """The same segments, each with its octets; `route` is None where they are no letters.

    A letter that cannot be made stays empty, which its transport refuses for good: it must not stop the others.
    """
    blank = [one for one in claimed if not one.payload] if route is not None else []
    if route is None or not blank:
        return claimed
    wanted = {"messages": sorted({one.message for one in blank}), "addresses": sorted({one.to for one in blank})}
    messages = _messages(connection, wanted)
    key = postmark.key(connection)
    deliveries = {
        (row.message_id, row.address): Delivery(
            row.id, row.address, row.name, postmark.mark(key, row.message_id, row.id)
        )
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


def _messages(connection: Connection, wanted: Mapping[str, Any]) -> dict[int, Message]:
    found = {row.id: _read(row) for row in connection.execute(_MESSAGES, {"messages": wanted["messages"]})}
    for message, parts in attachments.parts(connection, found).items():
        found[message] = replace(found[message], parts=parts)
    return found


def _read(row: Any) -> Message:
    return Message(
        row.id, Origin(row.origin), row.at or row.created, row.subject, row.text, row.automatic, row.reply_to
    )


def letter(message: Message, delivery: Delivery, route: Route) -> bytes:
    """The payload of an e-mail segment (`gateway.transports.smtp`): a Return-Path line, then the mail (RFC 5322).

    It is of ASCII, but for a recipient whose address is not: then its header is that of RFC 6532.
    """
    sender = one_line(route.sender, _LONGEST)
    subject = one_line(message.subject, _LONGEST) or one_line(message.text.strip().partition("\n")[0], _LONGEST)
    mark = delivery.mark or f"{message.id}.{delivery.id}"
    # An address beyond ASCII may stand only where the recipient's does, too: no server would carry it else.
    answers = message.reply_to or ""
    if not answers.isascii() and delivery.address.isascii():
        answers = ""
    fields = [
        ("From", sender),
        ("To", header.mailbox(one_line(delivery.name, _LONGEST), one_line(delivery.address, _LONGEST))),
        *([("Reply-To", one_line(answers, _LONGEST))] if answers else []),
        ("Subject", header.words("Subject", subject)),
        ("Date", format_datetime(message.sent)),
        ("Message-ID", f"<{mark}@{sender.rpartition('@')[2] or 'localhost'}>"),
    ]
    if message.automatic or message.origin not in _BY_HAND:
        fields += [("Auto-Submitted", "auto-generated"), (OUR_MARK, message.origin.value)]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    body = mime.body(mime.text(message.text), message.parts)
    return f"Return-Path: <{sender}>\r\n{head}MIME-Version: 1.0\r\n".encode() + body

"""Composing a message: from what somebody wrote to one draft, with every delivery, its price, and who is refused.

One way for the command line, the API, the console and special addresses. Used in this order, in one snapshot:

    found = compose.repeated(connection, account, said)          # a key that was used before: the message's id
    quote = compose.quote(connection, account, wanted, said, routes=…, region=…, now=…)
    error = quote.objection(left)                                 # raise it, or print the quote (a dry run)
    intake.submit_many(connection, [quote.draft], …)              # in a transaction; or Store.do(verbs.SUBMIT, draft)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from gateway import addressing, credit, names, numbers
from gateway import quote as quoting
from gateway.accounts import Account
from gateway.addressing import Wanted
from gateway.attachments import Attachment
from gateway.draft import Request
from gateway.dsn import Asked
from gateway.intake import KeyUsedError
from gateway.message import Origin
from gateway.quote import Quote
from gateway.routing import Route
from gateway.store import schema
from gateway.value import value


@value
class Said:
    """What is to be said, and how. Where there is no text, the subject is the text; the signature comes behind it.

    `key` is what an idempotency key is known by within the account (SHA-256; each origin prefixes its own), `content`
    what it stands for (`content_of`). The rest is as in `gateway.draft.Request`.
    """

    text: str
    subject: str = ""
    at: datetime | None = None
    validity: timedelta | None = None
    urgent: bool = False
    flash: bool = False
    key: bytes | None = None
    content: bytes | None = None
    origin: Origin = Origin.API
    automatic: bool = False
    report_to: str | None = None
    dsn: Asked | None = None
    attachments: tuple[Attachment, ...] = ()


def quote(
    connection: Connection,
    account: Account,
    wanted: Wanted,
    said: Said,
    *,
    routes: Sequence[Route],
    region: str | None,
    now: datetime,
) -> Quote:
    """What this would become: every recipient is judged, opt-outs are respected; nothing is stored."""
    resolved = addressing.resolve(connection, account, wanted, region=region)
    request = Request(
        account=account.id,
        origin=said.origin,
        recipients=resolved.recipients,
        text=signed(said.text or said.subject, account.signature),
        subject=said.subject,
        key=said.key,
        content=said.content,
        at=said.at,
        validity=said.validity,
        urgent=said.urgent,
        flash=said.flash,
        left_out=resolved.left_out,
        automatic=said.automatic,
        report_to=said.report_to,
        dsn=said.dsn,
        attachments=said.attachments,
    )
    found = quoting.quote(
        request, routes=routes, now=now, max_parts=account.max_parts, transliterate=account.transliterate
    )
    if not resolved.refused:
        return found
    return replace(found, refused=(*resolved.refused, *found.refused), why=found.why if found.draft else None)


def signed(text: str, signature: str) -> str:
    """The text with its sender's signature; no text stays none."""
    return f"{text}\n{signature}" if text and signature else text


def left(connection: Connection, account: Account, now: datetime, due: datetime | None = None) -> int:
    """The units an account has for what leaves at `due`."""
    return credit.load(connection, [account.id], now, lock=False)[account.id].left(due or now)


# Keys -----------------------------------------------------------------------------------------------------------------


def content_of(account: Account, wanted: Wanted, said: Said, *, region: str | None, more: Sequence[str] = ()) -> bytes:
    """What a key stands for: whom and what was asked, and how; the same key with any of it changed is refused.

    Lists count by their names, not by who is on them. `more` is what else makes two requests differ, such as digests of
    attachments.
    """
    where = account.region or region
    to = sorted({(channel.value, _same(written, where)) for channel, written in wanted})
    lists = sorted({names.fold(name) for name in wanted.lists})
    at = said.at.isoformat() if said.at is not None else None
    how = [at, said.validity.total_seconds() if said.validity is not None else None, said.urgent, said.flash]
    return hashlib.sha256(json.dumps([to, lists, said.text, said.subject, how, *more]).encode()).digest()


def _same(written: str, region: str | None) -> str:
    """A recipient as it counts for a key, however it was written."""
    clean = written.strip()
    if names.is_number(clean):
        return numbers.read(clean, region).e164 or clean
    return clean.lower() if "@" in clean else names.fold(clean)


def repeated(connection: Connection, account: Account, said: Said) -> int | None:
    """The message this key was used for before; `KeyUsedError` (409) where that was another. None: the key is new.

    Asked before anything is judged: who repeats a request is told what became of it, even if a contact or the credit
    has gone meanwhile.
    """
    if said.key is None:
        return None
    seen = schema.seen
    statement = select(seen.c.message_id, seen.c.content).where(seen.c.account_id == account.id, seen.c.key == said.key)
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    if row.content != said.content:
        raise KeyUsedError("this key was used before, for another message", http=409)
    number: int = row.message_id
    return number

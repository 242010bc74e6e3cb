"""Verdicts: an account that asks is told by mail how its mail was judged, five times an hour at most."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from gateway import own_mail
from gateway.message import Origin
from gateway.reports import Office
from gateway.store import schema
from gateway.store.identifiers import Identifiers

_SUBJECT = "How your mail was judged"
_WINDOW = timedelta(hours=1)
#: One key for each of the verdicts an account gets in an hour; its row says when it was used last.
_KEYS = tuple(hashlib.sha256(f"verdict\0{n}".encode()).digest() for n in range(5))


def tell(
    connection: Connection,
    identifiers: Identifiers,
    office: Office,
    *,
    account: int,
    address: str,
    words: str,
    about: str,
    now: datetime,
) -> tuple[int, str] | None:
    """Queue a verdict to an address of an account: the message's id and its route.

    None where it had five in the last hour already, or where no route carries e-mail. `about` is the Message-ID of the
    mail that asked, empty where it had none.
    """
    route = office.mail_route(address)
    if route is None:
        return None
    whose = select(schema.account.c.id).where(schema.account.c.id == account)
    connection.execute(whose.with_for_update())  # two that ask at once come one after the other
    used = schema.seen
    mine = (used.c.account_id == account) & used.c.key.in_(_KEYS)
    times = {row.key: row.created for row in connection.execute(select(used.c.key, used.c.created).where(mine))}
    key = next((key for key in _KEYS if key not in times or times[key] <= now - _WINDOW), None)
    if key is None:
        return None
    payload = compose(office.domain, route.sender, address, words, about, now)
    mail = own_mail.OwnMail(account, Origin.VERDICT, address, _SUBJECT, words, payload)
    message = own_mail.queue(connection, identifiers, mail, route, now)
    if key in times:
        same = (used.c.account_id == account) & (used.c.key == key)
        connection.execute(update(used).where(same).values(message_id=message, created=now))
    else:
        connection.execute(
            insert(used), {"account_id": account, "key": key, "message_id": message, "content": None, "created": now}
        )
    return message, route.name


def compose(domain: str, sender: str, address: str, words: str, about: str, now: datetime) -> bytes:
    """The verdict as an SMTP payload (`gateway.transports.smtp`); an answer as RFC 3834 section 3 has it."""
    tag = hashlib.sha256(f"{about}\0{address}\0{now.isoformat()}".encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return own_mail.compose(
        domain,
        sender,
        address,
        _SUBJECT,
        f"You asked {domain} how your mail is judged.\n\n{words}\n",
        now,
        name=f"verdict.{tag}",
        mark="verdict",
        submitted="auto-replied",
        about=about if about.isascii() and about.isprintable() and len(about) < 900 else "",
    )

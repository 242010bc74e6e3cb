"""The mail that tells an account, once, that one of its mailboxes does not let us in any more."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from gateway import own_mail
from gateway.mailboxes import Mailbox
from gateway.message import Origin
from gateway.reports import Office
from gateway.store import schema
from gateway.store.identifiers import Identifiers


def tell(
    connection: Connection, identifiers: Identifiers, office: Office, mailbox: Mailbox, why: str, now: datetime
) -> str | None:
    """Queue it to the account's first address; the route it takes, None where there is no address or no route."""
    address = schema.address
    own = select(address.c.address).where(address.c.account_id == mailbox.account).order_by(address.c.place).limit(1)
    to = connection.execute(own).scalar()
    route = office.mail_route(to) if to is not None else None
    if to is None or route is None:
        return None
    subject = f"Mailbox {mailbox.name} cannot be watched"
    words = (
        f"The mail server {mailbox.host} does not let us into your mailbox {mailbox.name} (user {mailbox.user}):\n"
        f"{why}.\n\n"
        "Until this is mended you are not told of new mail in it. If your password has changed, give the new one\n"
        "where you entered the mailbox. We knock again ever more seldom, and do not write about it again.\n"
    )
    name = f"lockout.{mailbox.id}.{now:%Y%m%d%H%M%S}"
    payload = own_mail.compose(office.domain, route.sender, to, subject, words, now, name=name)
    own_mail.queue(
        connection,
        identifiers,
        own_mail.OwnMail(mailbox.account, Origin.REPORT, to, subject, words, payload),
        route,
        now,
    )
    return route.name

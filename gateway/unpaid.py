"""No credit: the account is told once, by mail, that its notices wait for it."""

from __future__ import annotations

import hashlib
from datetime import datetime

from sqlalchemy import Connection

from gateway import own_mail
from gateway.message import Origin
from gateway.standing import Desk
from gateway.store.identifiers import Identifiers
from gateway.telling import House, Telling

_SUBJECT = "Your notices wait for credit"


def note(
    connection: Connection, desk: Desk, say: Telling, identifiers: Identifiers, house: House, now: datetime
) -> None:
    """Note whether credit was missing for this; the first time it was, the account is told.

    Once something is paid again, what has waited is looked at.
    """
    if say.messages:
        if desk.broke is not None:
            desk.broke = None
            desk.look_at(now)
        return
    if not say.unpaid or desk.broke is not None:
        return
    desk.broke = now
    address = next(iter(desk.account.addresses), "")
    route = house.office.mail_route(address) if address else None
    if route is None:
        return
    words = (
        f"A notice could not be sent to you: {say.unpaid}.\n\n"
        "Your filters go on. What they find is tried again every hour, for a day, and told in one summary as soon as "
        "there is credit. You will not be told of this again before that."
    )
    tag = hashlib.sha256(f"unpaid\0{address}\0{now.isoformat()}".encode()).hexdigest()[:32]
    payload = own_mail.compose(
        house.office.domain, route.sender, address, _SUBJECT, f"{words}\n", now, name=f"unpaid.{tag}"
    )
    mail = own_mail.OwnMail(desk.account.id, Origin.REPORT, address, _SUBJECT, words, payload)
    own_mail.queue(connection, identifiers, mail, route, now)
    say.told.add(route.name)

"""Reports on e-mails of ours that come back (RFC 3464): what was accepted turns out to be delivered, or not.

Anybody can send us a report. Only what carries the mark of a delivery (`gateway.postmark`) counts, which nobody can
make up who has not got that very mail; and it moves that one delivery, from `accepted` or `unknown`, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from filters.delivery_status import Recipient
from filters.returned import Returned
from gateway import history, postmark, reports
from gateway.failure import RefusedError
from gateway.message import Channel, State, may_become
from gateway.settlement import COLUMNS, Book
from gateway.store import schema

#: What a report's action makes of an accepted e-mail; of several recipients the first in this order counts, for an
#: address may stand for many. `relayed`: to a server that tells no more; `expanded`: to a list.
_MEANS = {
    "failed": State.UNDELIVERED,
    "delivered": State.DELIVERED,
    "expanded": State.ACCEPTED,
    "relayed": State.ACCEPTED,
    "delayed": State.ACCEPTED,
}
_WORDS = {
    "failed": "a mail server could not deliver it",
    "delivered": "a mail server delivered it to the mailbox",
    "expanded": "a mail server passed it on to a list",
    "relayed": "a mail server passed it on to one that tells no more",
    "delayed": "a mail server has not got rid of it yet and goes on trying",
}


#: What is looked at beside what `Book` must know of a segment.
_MORE = (schema.segment.c.address, schema.segment.c.channel, schema.segment.c.peer_id)


@dataclass(frozen=True, slots=True)
class Told:
    """What a report did: the message and delivery it speaks of, and the delivery's new state; None where it stays."""

    message: int
    delivery: int
    action: str
    state: State | None


def settle(connection: Connection, returned: Returned, now: datetime) -> Told | None:
    """Note what became of an e-mail; None where the report speaks of none of ours.

    `RefusedError` (451 4.3.0) where it came before the answer it belongs to: it is to come again.
    """
    key = postmark.known_key(connection)
    found = None if key is None else next(filter(None, (postmark.read(key, one) for one in returned.names)), None)
    if found is None:
        return None
    message, delivery = found
    row, is_past = _row(connection, message, delivery)
    said = _gravest(returned.recipients, row.address) if row is not None else None
    if row is None or said is None or row.channel != Channel.EMAIL:
        return None
    before = State(row.state)
    if before is State.SUBMITTING:
        raise RefusedError("This report came too early: please bring it again in a moment", smtp="451 4.3.0")
    after = _MEANS[said.action]
    if before is after and not _noted(connection, row.id, said):
        _write(connection, row, said, None, now)
    if before not in (State.ACCEPTED, State.UNKNOWN) or not may_become(before, after):
        return Told(message, delivery, said.action, None)
    if is_past:
        history.bring_back(connection, [row.id])
        row, _ = _row(connection, message, delivery)
    _write(connection, row, said, after, now)
    if after is State.UNDELIVERED:
        reports.owe(connection, [message], now)
    return Told(message, delivery, said.action, after)


def _row(connection: Connection, message: int, delivery: int) -> tuple[Any, bool]:
    """The segment of a delivery, locked, and whether it is of the past.

    A mail that failed over another route has a segment for each: the last is the one that left.
    """
    for table in (schema.segment, schema.past):
        columns = [table.c[one.name] for one in (*COLUMNS, *_MORE)]
        ours = (table.c.message_id == message) & (table.c.delivery_id == delivery)
        statement = select(*columns).where(ours).order_by(table.c.id.desc()).limit(1).with_for_update()
        row = connection.execute(statement).one_or_none()
        if row is not None:
            return row, table is schema.past
    return None, False


def _gravest(recipients: Sequence[Recipient], address: str) -> Recipient | None:
    """What is said of our recipient; each mail has one, whom we named as ASCII or not at all."""
    ours = [one for one in recipients if not one.original or one.original.lower() == address.lower()]
    if not address.isascii():
        ours = list(recipients)
    return min(ours, key=lambda one: list(_MEANS).index(one.action), default=None)


def _noted(connection: Connection, segment: int, said: Recipient) -> bool:
    """Whether the same was told before: once is enough, however often somebody sends it."""
    event = schema.event
    same = (event.c.segment_id == segment) & event.c.detail.startswith(_WORDS[said.action])
    ours = select(schema.ever.c.message_id).where(schema.ever.c.id == segment)
    return connection.execute(select(event.c.id).where(event.c.message_id.in_(ours), same)).first() is not None


def _write(connection: Connection, row: Any, said: Recipient, after: State | None, now: datetime) -> None:
    book = Book(now)
    why = " ".join(part for part in (said.status, said.why) if part)
    if after is not None:
        book.move(row, after, peer_id=row.peer_id)
    book.event(row, (after or State.ACCEPTED).value, _WORDS[said.action] + (f": {why}" if why else ""))
    book.write(connection)

"""Erasing what is older than the store keeps (`[store] keep`): messages with all that tells of them, in small steps.

The ledger stays: it adds up to what is left, and holds no text and no number.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select

from gateway.message import OPEN
from gateway.store import schema

_message, _segment, _chunk = schema.message, schema.segment, schema.chunk

#: The most messages one step looks at.
STEP = 200


@dataclass(frozen=True, slots=True)
class Erased:
    """What one step did: how many messages it erased, and where the next begins; None when nothing older is left."""

    messages: int
    next: int | None


def erase(connection: Connection, before: datetime, after: int = 0) -> Erased:
    """Erase messages that were made before this instant and of which nothing is open any more; one step.

    Identifiers rise with time, so the oldest are looked at first, and the step that meets none that is old is the last.
    """
    oldest = select(_message.c.id, _message.c.created).where(_message.c.id > after).order_by(_message.c.id).limit(STEP)
    rows = connection.execute(oldest).all()
    old = [row.id for row in rows if row.created < before]
    if not old:
        return Erased(0, None)
    still_open = select(_segment.c.message_id).where(
        _segment.c.message_id.in_(old), _segment.c.state.in_([state.value for state in OPEN])
    )
    waiting = set(connection.execute(still_open).scalars())
    waiting |= set(connection.execute(select(_chunk.c.message_id).where(_chunk.c.message_id.in_(old))).scalars())
    _erase(connection, [number for number in old if number not in waiting])
    return Erased(len(old) - len(waiting), rows[-1].id if len(rows) == STEP else None)


def _erase(connection: Connection, messages: list[int]) -> None:
    if not messages:
        return
    segments = select(schema.ever.c.id).where(schema.ever.c.message_id.in_(messages))
    for table, column in ((schema.attempt, schema.attempt.c.segment_id), (schema.receipt, schema.receipt.c.segment_id)):
        connection.execute(delete(table).where(column.in_(segments)))
    for owned in (schema.event, schema.owed, schema.attachment, schema.delivery, schema.segment, schema.past):
        connection.execute(delete(owned).where(owned.c.message_id.in_(messages)))
    connection.execute(delete(_message).where(_message.c.id.in_(messages)))


def erase_strays(connection: Connection, before: datetime) -> None:
    """Erase what belongs to no message: receipts that nothing was found for, and what handsets sent."""
    receipt, incoming = schema.receipt, schema.incoming
    connection.execute(delete(receipt).where(receipt.c.segment_id.is_(None), receipt.c.at < before))
    connection.execute(delete(incoming).where(incoming.c.at < before))

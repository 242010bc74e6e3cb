"""Which accepted segments to ask the operator about: those whose receipt never came, on routes that say `query`.

The time of the next question stands in the segment's `due`. The first is asked ten minutes after the answer, and each
following one when the segment is twice as old, until three days after its validity.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, literal_column, select, update

from gateway.routing import Route
from gateway.store import schema
from gateway.transports.base import Question

FIRST = timedelta(minutes=10)
#: How long after its validity a segment is asked about; the operator forgets, too.
LAST = timedelta(days=3)

_segment = schema.segment
_ACCEPTED = _segment.c.state == literal_column("'accepted'")
_DUE = (
    select(_segment.c.id, _segment.c.peer_id, _segment.c.address, _segment.c.finished, _segment.c.expires)
    .where(_ACCEPTED, _segment.c.due.is_not(None), _segment.c.due <= bindparam("now_is"))
    .where(_segment.c.route == bindparam("on_route"))
    .order_by(_segment.c.due, _segment.c.id)
    .limit(bindparam("at_most"))
    .with_for_update(skip_locked=True)
)
_LATER = update(_segment).where(_segment.c.id == bindparam("segment")).values(due=bindparam("to_due"))


def first(routes: Sequence[Route], name: str, peer_id: str, now: datetime) -> datetime | None:
    """When a segment that was just accepted on this route is first asked about; None: never."""
    for route in routes:
        if route.name == name and route.query and route.receipts and peer_id:
            return now + FIRST
    return None


def following(finished: datetime, expires: datetime, now: datetime) -> datetime | None:
    """When it is asked about again; None: not any more."""
    at = now + max(FIRST, now - finished)
    return at if at < expires + LAST else None


def due(connection: Connection, route: str, limit: int, now: datetime) -> list[Question]:
    """What is to be asked on this route now, at most `limit`; each has its next time by then."""
    rows = connection.execute(_DUE, {"now_is": now, "on_route": route, "at_most": limit}).all()
    if rows:
        connection.execute(
            _LATER,
            [{"segment": row.id, "to_due": following(row.finished or now, row.expires, now)} for row in rows],
        )
    return [Question(row.id, row.peer_id, row.address) for row in rows if row.peer_id]

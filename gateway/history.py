"""What is over leaves the queue: finished segments move to the table `past`, in small steps, and stay found there.

The queue's table so holds what waits, what is in flight, and what a receipt is still expected for. A segment moves
when all parts of its delivery are over: delivered, undelivered, failed, expired and cancelled ones after `REST`;
`accepted` ones three days after their validity, or after `REST` where the route has no receipts. Who tells of messages
reads both tables (`schema.ever`). A receipt that comes later is matched in the past, too, and brings the segment back.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, insert, literal_column, or_, select

from gateway.queries import LAST
from gateway.store import hot, schema

_segment, _past = schema.segment, schema.past

#: How long what is over stays in the queue's table: most of what still comes for a segment comes within minutes.
REST = timedelta(minutes=10)
#: How many rows of the queue's table one look reads, and how many segments one step moves.
LOOK, STEP = 5000, 500

_NAMES = [column.name for column in _segment.c]
_OVER = _segment.c.state.in_(
    [literal_column(f"'{state}'") for state in ("delivered", "undelivered", "failed", "expired", "cancelled")]
)
_ACCEPTED = _segment.c.state == literal_column("'accepted'")


@dataclass(frozen=True, slots=True)
class Found:
    """Segments that may move, and after which to look on; None where that was the end of the table."""

    segments: Sequence[int]
    next: int | None


def find(connection: Connection, now: datetime, *, after: int, silent: Collection[str]) -> Found:
    """Look at the next `LOOK` rows; `silent` are the routes that send no receipts. It only reads."""
    rows = select(_segment.c.id).where(_segment.c.id > after).order_by(_segment.c.id).limit(LOOK).subquery()
    last, count = connection.execute(select(func.max(rows.c.id), func.count())).one()
    if last is None:
        return Found((), None)
    wanted = (
        select(_segment.c.id)
        .where(_segment.c.id > after, _segment.c.id <= last, _is_over(now, silent))
        .order_by(_segment.c.id)
    )
    return Found(connection.execute(wanted).scalars().all(), last if count == LOOK else None)


def _is_over(now: datetime, silent: Collection[str]) -> ColumnElement[bool]:
    quiet = or_(_segment.c.route.in_(sorted(silent)), _segment.c.expires <= now - LAST)
    return and_(_segment.c.finished <= now - REST, or_(_OVER, and_(_ACCEPTED, quiet)))


_PARTS = (
    select(_segment.c.id, _segment.c.delivery_id, _segment.c.parts)
    .where(_segment.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(_segment.c.id)
    .with_for_update()
)
_THESE = _segment.c.id.in_(bindparam("ids", expanding=True))
_MOVE = insert(_past).from_select(_NAMES, select(_segment).where(_THESE))
_TAKE = delete(_segment).where(_THESE)


def retire(connection: Connection, ids: Sequence[int], now: datetime, *, silent: Collection[str]) -> int:
    """Move those of these segments that are still over, with all parts of their deliveries; how many."""
    rows = connection.execute(_PARTS.where(_is_over(now, silent)), {"ids": list(ids)}).all()
    several = [row.delivery_id for row in rows if row.parts > 1]
    waiting = _unfinished(connection, [row.id for row in rows if row.parts > 1], several, now, silent)
    moving = [row.id for row in rows if row.delivery_id not in waiting]
    if moving:
        connection.execute(_MOVE, {"ids": moving})
        connection.execute(_TAKE, {"ids": moving})
    return len(moving)


def _unfinished(
    connection: Connection, ids: Sequence[int], deliveries: Sequence[int], now: datetime, silent: Collection[str]
) -> set[int]:
    """Those of these deliveries of which a part is not over."""
    if not deliveries:
        return set()
    messages = select(_segment.c.message_id).where(_segment.c.id.in_(ids))
    parts = select(_segment.c.delivery_id, _segment.c.id).where(
        _segment.c.message_id.in_(messages), _segment.c.delivery_id.in_(deliveries), ~_is_over(now, silent)
    )
    return {row.delivery_id for row in connection.execute(parts)}


# Back -----------------------------------------------------------------------------------------------------------------

_FOUND = hot.Statement(
    select(_past.c.id, _past.c.route, _past.c.state, _past.c.address, _past.c.peer_id, _past.c.peer_key)
    .where(_past.c.peer_key.is_not(None), _past.c.peer_key.in_(bindparam("keys", expanding=True)))
    .order_by(_past.c.id)
)
_GONE = _past.c.id.in_(bindparam("ids", expanding=True))
_RETURN = insert(_segment).from_select(_NAMES, select(_past).where(_GONE))
_DROP = delete(_past).where(_GONE)


def by_peer_key(connection: Connection, keys: Sequence[str]) -> Sequence[Any]:
    """Segments of the past whose folded id at the SMS centre is one of these."""
    return _FOUND.all(connection, {"keys": sorted(keys)})


def bring_back(connection: Connection, ids: Collection[int]) -> None:
    """Put segments back into the queue's table, as they were: something is about to change them."""
    wanted = {"ids": sorted(ids)}
    connection.execute(_RETURN, wanted)
    connection.execute(_DROP, wanted)

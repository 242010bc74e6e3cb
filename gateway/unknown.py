"""Segments whose answer was lost: how they become unknown, and what ends it.

Nobody knows whether the SMS centre has such a segment. It waits for a receipt to tell (`gateway.receipts`); after that
the route's rule decides, `resend` or `park`, and what is parked waits for the operator's word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from gateway.claims import MOST, SUBMITTING, UNKNOWN, give_turns
from gateway.message import State
from gateway.settlement import BY_ID, COLUMNS, Book, cancel_siblings
from gateway.store import schema

_segment = schema.segment


def strand(connection: Connection, now: datetime, waits: Mapping[str, datetime], *, alive: Iterable[int]) -> int:
    """Make `unknown` what nodes that are gone were submitting; how many segments that were, 500 at most.

    `waits` tells for each route until when a receipt may tell; `alive` are the nodes that still work.
    """
    living = sorted(alive)
    statement = (
        select(*COLUMNS)
        .where(SUBMITTING, _segment.c.node.not_in(living) if living else SUBMITTING)
        .order_by(_segment.c.node)  # the partial index's order: by any other SQLite reads the whole table
        .limit(MOST)
        .with_for_update(skip_locked=True)
    )
    book = Book(now)
    for row in connection.execute(statement):
        n = book.attempt(row, "unknown", detail="the daemon stopped before the answer was recorded")
        book.move(row, State.UNKNOWN, due=waits.get(row.route, now), attempts=n)
    book.write(connection)
    return len(book.changes)


def resend(connection: Connection, now: datetime, routes: Iterable[str]) -> tuple[int, frozenset[str], datetime | None]:
    """What has waited long enough for a receipt: queued again and marked on `routes`, parked on all others.

    How many were looked at, which routes have work now, and when to look again (None: nothing waits).
    """
    again = frozenset(routes)
    statement = (
        select(*COLUMNS, _segment.c.urgent)
        .where(UNKNOWN, _segment.c.due <= now)
        .order_by(_segment.c.due)
        .limit(MOST)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(statement).all()
    # Never past its validity: what is too late to say again stays unknown, for the operator.
    sent = {row.id: row for row in rows if row.route in again and row.expires > now}
    parked = [row.id for row in rows if row.id not in sent]
    if parked:
        connection.execute(update(_segment).where(_segment.c.id.in_(parked)).values(due=None))
    book = Book(now)
    for row in sent.values():
        detail = "the answer was lost and no receipt told; it may arrive twice, it is charged once"
        book.event(row, "resent", detail)
        book.move(row, State.QUEUED, resent=True)
    cancel_siblings(connection, book)
    book.write(connection)
    queued = [row for key, row in sent.items() if book.changes[key].state == State.QUEUED]
    give_turns(connection, queued)
    earliest = connection.execute(select(func.min(_segment.c.due)).where(UNKNOWN)).scalar()
    return len(rows), frozenset(row.route for row in queued), earliest


def resolve(connection: Connection, ids: Iterable[int], to: str, now: datetime) -> int:
    """The operator's word on unknown segments: `accepted`, `failed` or `resend`; how many it was."""
    book = Book(now)
    unknown = [row for row in BY_ID.all(connection, {"ids": sorted(ids)}) if row.state == State.UNKNOWN]
    for row in unknown:
        if to == "accepted":
            book.move(row, State.ACCEPTED)
            book.event(row, "accepted", "resolved by the operator")
        elif to == "failed":
            book.give_back(row, State.FAILED, "resolved by the operator as not sent")
            book.broken[row.delivery_id] = row.message_id
        else:
            book.move(row, State.QUEUED, due=now, resent=True)
            book.event(row, "resent", "resolved by the operator: sent again, perhaps twice, charged once")
    cancel_siblings(connection, book)
    book.write(connection)
    return len(unknown)

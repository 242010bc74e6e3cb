"""What waits: the open segments, as `tocsin queue show` lists them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, and_, func, literal_column, select

from gateway import claims
from gateway.instants import write, write_or_none
from gateway.message import OPEN, State
from gateway.store import schema

#: How many segments one page has.
PAGE = 1000

_segment, _attempt, _chunk = schema.segment, schema.attempt, schema.chunk


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which open segments: on a route, of an account, in a state. None of them: all."""

    route: str | None = None
    account: int | None = None
    state: State | None = None


def page(connection: Connection, wanted: Wanted, *, after: int = 0, limit: int = PAGE) -> tuple[list[Any], int | None]:
    """A page of open segments by id, ready for JSON, and after which to go on (None: that was all).

    `why` is what the last attempt said, where there was one.
    """
    states = [wanted.state] if wanted.state is not None else sorted(OPEN)
    statement = (
        select(_segment, schema.account.c.name.label("account"), _attempt.c.code, _attempt.c.detail)
        .join(schema.account, schema.account.c.id == _segment.c.account_id, isouter=True)
        .join(_attempt, and_(_attempt.c.segment_id == _segment.c.id, _attempt.c.n == _segment.c.attempts), isouter=True)
        .where(_segment.c.id > after, _segment.c.state.in_([literal_column(f"'{state.value}'") for state in states]))
        .order_by(_segment.c.id)
        .limit(limit)
    )
    if wanted.route is not None:
        statement = statement.where(_segment.c.route == wanted.route)
    if wanted.account is not None:
        statement = statement.where(_segment.c.account_id == wanted.account)
    rows = connection.execute(statement).all()
    return [_document(row) for row in rows], rows[-1].id if len(rows) == limit else None


def _document(row: Any) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "message": str(row.message_id),
        "account": row.account,
        "to": row.address,
        "channel": row.channel,
        "n": row.n,
        "of": row.parts,
        "state": row.state,
        "route": row.route,
        "due": write_or_none(row.due),
        "expires": write(row.expires),
        "attempts": row.attempts,
        "why": " ".join(part for part in (row.code, row.detail) if part),
    }


def unexpanded(connection: Connection, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Recipients that are not in the queue yet, a line for each of their messages."""
    if wanted.state not in (None, State.QUEUED):
        return
    statement = (
        select(_chunk.c.message_id, _chunk.c.recipients, schema.account.c.name.label("account"))
        .join(schema.account, schema.account.c.id == _chunk.c.account_id, isouter=True)
        .order_by(_chunk.c.message_id, _chunk.c.n)
    )
    if wanted.account is not None:
        statement = statement.where(_chunk.c.account_id == wanted.account)
    counted: dict[tuple[int, str], int] = {}
    for row in connection.execute(statement):
        legs = json.loads(row.recipients)["legs"]
        number = sum(1 for leg in legs if wanted.route in (None, leg[3]))
        counted[row.message_id, row.account] = counted.get((row.message_id, row.account), 0) + number
    for (message, account), number in counted.items():
        if number:
            yield {"message": str(message), "account": account, "recipients": number}


# By route and state ---------------------------------------------------------------------------------------------------

_EPOCH = datetime.fromtimestamp(0, UTC)
_QUEUED = _segment.c.state == literal_column("'queued'")
#: Each with what is always true of its partial index's first column: without it SQLite reads the whole table.
_COUNTED = (
    (State.QUEUED, and_(_QUEUED, _segment.c.rank.is_not(None))),
    (State.QUEUED, and_(_QUEUED, _segment.c.rank.is_(None), _segment.c.due > _EPOCH)),
    (State.HELD, and_(claims.EXPIRING, _segment.c.state == literal_column("'held'"), _segment.c.expires > _EPOCH)),
    (State.SUBMITTING, and_(claims.SUBMITTING, _segment.c.node > 0)),
    (State.UNKNOWN, and_(_segment.c.state == literal_column("'unknown'"), _segment.c.due > _EPOCH)),
)


def counts(connection: Connection) -> Counter[tuple[str, str]]:
    """How many open segments there are, by route and state."""
    found: Counter[tuple[str, str]] = Counter()
    for state, which in _COUNTED:
        statement = select(_segment.c.route, func.count().label("n")).where(which).group_by(_segment.c.route)
        for row in connection.execute(statement):
            found[row.route, state.value] += row.n
    return found

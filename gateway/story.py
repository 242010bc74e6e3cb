"""The story of a message, told from its rows: what `tocsin message` and the console show.

Nothing here is stored for telling: each line of a timeline is a row that was written for its own sake. Documents are
plain values ready for JSON: identifiers as texts, instants in RFC 3339.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, exists, or_, select

from gateway import attachments, outline, timeline
from gateway.failure import RefusedError
from gateway.instants import write, write_or_none
from gateway.message import PRECEDENCE, State, delivery_state
from gateway.store import schema

_message, _delivery, _segment, _chunk = schema.message, schema.delivery, schema.ever, schema.chunk

#: The most messages one page looks at, and the most recipients it has, but for a message that has more by itself.
PAGE = 200
PAGE_RECIPIENTS = 20_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages: of an account, with a delivery in this state, created since. None of them: all."""

    account: int | None = None
    state: State | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some documents, newest first; `before` continues with the next page, None ends."""

    documents: Sequence[Mapping[str, Any]]
    before: int | None


def page(
    connection: Connection,
    wanted: Wanted,
    *,
    before: int | None = None,
    limit: int = PAGE,
    inline: int | None = None,
    recipients: int | None = None,
) -> Page:
    """A page of messages, newest first, each with its deliveries; above `inline` recipients with none of them.

    It has `limit` messages and `recipients` recipients at most (None: `PAGE_RECIPIENTS`), but for a message that has
    more by itself.
    """
    statement = (
        select(_message, schema.account.c.name.label("account"))
        .join(schema.account, schema.account.c.id == _message.c.account_id, isouter=True)
        .order_by(_message.c.id.desc())
        .limit(limit)
    )
    for condition in _conditions(wanted, before):
        statement = statement.where(condition)
    found = connection.execute(statement).all()
    rows = list(_within(found, inline, recipients or PAGE_RECIPIENTS))
    more = len(rows) < len(found) or len(found) == limit
    return Page(_documents(connection, rows, inline), rows[-1].id if more and rows else None)


def _conditions(wanted: Wanted, before: int | None) -> Iterator[ColumnElement[bool]]:
    if before is not None:
        yield _message.c.id < before
    if wanted.account is not None:
        yield _message.c.account_id == wanted.account
    if wanted.since is not None:
        yield _message.c.created >= wanted.since
    if wanted.state is not None:
        yield _has_delivery_in(wanted.state)


def _has_delivery_in(state: State) -> ColumnElement[bool]:
    """A delivery is in a state when a segment of it is, and none is in one that comes first.

    Each table by itself: SQLite finds no index through a view of both inside a condition inside a condition.
    """
    has = or_(*(_has_segment_in(table, state) for table in (schema.segment, schema.past)))
    if state is State.QUEUED:
        return or_(has, exists().where(_chunk.c.message_id == _message.c.id))
    return has


def _has_segment_in(table: Table, state: State) -> ColumnElement[bool]:
    first = [one.value for one in PRECEDENCE[: PRECEDENCE.index(state)]]
    overruled = [
        exists()
        .where(
            other.c.message_id == table.c.message_id,
            other.c.delivery_id == table.c.delivery_id,
            other.c.state.in_(first),
        )
        .correlate(table)
        for other in (schema.segment.alias("other_segment"), schema.past.alias("other_past"))
    ]
    return exists().where(table.c.message_id == _message.c.id, table.c.state == state.value, ~or_(*overruled))


def _within(rows: Iterable[Any], inline: int | None, most: int) -> Iterator[Any]:
    """The first rows that together have no more recipients than a page may."""
    count = 0
    for row in rows:
        shown = 0 if inline is not None and row.recipients > inline else row.recipients
        if count and count + shown > most:
            return
        count += shown
        yield row


def _documents(connection: Connection, rows: Sequence[Any], inline: int | None) -> list[dict[str, Any]]:
    large = [row.id for row in rows if inline is not None and row.recipients > inline]
    ids = [row.id for row in rows if row.id not in large]
    states: dict[int, list[State]] = {}
    of_delivery = select(_segment.c.delivery_id, _segment.c.state).where(_segment.c.message_id.in_(ids)).distinct()
    for row in connection.execute(of_delivery):
        states.setdefault(row.delivery_id, []).append(State(row.state))
    deliveries: dict[int, list[dict[str, Any]]] = {}
    for row in connection.execute(select(_delivery).where(_delivery.c.message_id.in_(ids)).order_by(_delivery.c.id)):
        deliveries.setdefault(row.message_id, []).append(_delivery_document(row, states.get(row.id, ())))
    outlined = outline.states(connection, large)
    unexpanded = set(connection.execute(select(_chunk.c.message_id).where(_chunk.c.message_id.in_(ids))).scalars())
    return [
        _message_document(row, deliveries.get(row.id, []), row.id in unexpanded, outlined.get(row.id)) for row in rows
    ]


def _message_document(
    row: Any, deliveries: list[dict[str, Any]], unexpanded: bool, state: State | None = None
) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "account": row.account,
        "origin": row.origin,
        "state": (state or _message_state(deliveries, unexpanded)).value,
        "created": write(row.created),
        "recipients": row.recipients,
        "deliveries": deliveries,
    }


def _message_state(deliveries: Sequence[Mapping[str, Any]], unexpanded: bool) -> State:
    states = [State(delivery["state"]) for delivery in deliveries]
    if not states and not unexpanded:
        return State.CANCELLED  # before any of it was expanded
    return delivery_state([*states, State.QUEUED] if unexpanded else states)


def _delivery_document(row: Any, states: Iterable[State]) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "to": row.address,
        "channel": row.channel,
        "state": delivery_state(states).value,
        "name": row.name,
    }


# One message ----------------------------------------------------------------------------------------------------------


def show(
    connection: Connection, message: int, *, account: int | None = None, inline: int | None = None
) -> dict[str, Any]:
    """Everything about one message: deliveries, segments, attempts, timeline; `RefusedError` where there is none.

    One of another account than `account` is none. Above `inline` recipients there are no deliveries and no timeline.
    """
    statement = select(_message, schema.account.c.name.label("account")).join(
        schema.account, schema.account.c.id == _message.c.account_id, isouter=True
    )
    row = connection.execute(statement.where(_message.c.id == message)).one_or_none()
    if row is None or account not in (None, row.account_id):
        raise RefusedError(f"there is no message {message}: tocsin message list shows them", http=404)
    if inline is not None and row.recipients > inline:
        state = outline.states(connection, [message])[message]
        return {**_message_document(row, [], False, state), **_words(connection, row), "timeline": []}
    rows = timeline.load(connection, row)
    of_message = select(_delivery).where(_delivery.c.message_id == message).order_by(_delivery.c.id)
    deliveries = _with_segments(connection.execute(of_message).all(), rows)
    told = [{"at": write(moment.at), "what": moment.what, "detail": moment.detail} for moment in timeline.tell(rows)]
    return {**_message_document(row, deliveries, bool(rows.unexpanded)), **_words(connection, row), "timeline": told}


def _words(connection: Connection, row: Any) -> dict[str, Any]:
    return {
        "subject": row.subject,
        "text": row.text,
        "attachments": attachments.documents(connection, row.id),
        "at": write_or_none(row.at),
        "expires": write(row.expires),
        "urgent": row.urgent,
    }


def deliveries(
    connection: Connection, message: int, *, account: int | None = None, after: int = 0, limit: int = PAGE
) -> Page:
    """A page of a message's deliveries in the order of their ids, with segments and attempts; `before` is the last."""
    owner = connection.execute(select(_message.c.account_id).where(_message.c.id == message)).scalar()
    if owner is None or account not in (None, owner):
        raise RefusedError(f"there is no message {message}", http=404)
    some = select(_delivery).where(_delivery.c.message_id == message, _delivery.c.id > after)
    rows = connection.execute(some.order_by(_delivery.c.id).limit(limit)).all()
    tried = timeline.load_tried(connection, message, [row.id for row in rows])
    return Page(_with_segments(rows, tried), rows[-1].id if len(rows) == limit else None)


def _with_segments(of: Sequence[Any], rows: timeline.Tried) -> list[dict[str, Any]]:
    segments: dict[int, list[dict[str, Any]]] = {}
    states: dict[int, list[State]] = {}
    for segment in rows.segments:
        segments.setdefault(segment.delivery_id, []).append(_segment_document(segment, rows))
        states.setdefault(segment.delivery_id, []).append(State(segment.state))
    return [{**_delivery_document(one, states.get(one.id, ())), "segments": segments.get(one.id, [])} for one in of]


def _segment_document(segment: Any, rows: timeline.Tried) -> dict[str, Any]:
    return {
        "id": str(segment.id),
        "n": segment.n,
        "state": segment.state,
        "route": segment.route,
        "units": segment.units,
        "due": write_or_none(segment.due),
        "resent": segment.resent,
        "peer_id": segment.peer_id,
        "attempts": [
            {
                "at": write(attempt.at),
                "route": attempt.route,
                "result": attempt.result,
                "code": attempt.code,
                "detail": attempt.detail,
            }
            for attempt in rows.attempts.get(segment.id, ())
        ],
    }


# From handsets --------------------------------------------------------------------------------------------------------


def incoming(
    connection: Connection, *, since: datetime | None = None, before: int | None = None, limit: int = PAGE
) -> Page:
    """A page of messages from handsets, newest first."""
    table = schema.incoming
    statement = select(table).order_by(table.c.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(table.c.id < before)
    if since is not None:
        statement = statement.where(table.c.at >= since)
    rows = connection.execute(statement).all()
    documents = [
        {
            "id": str(row.id),
            "at": write(row.at),
            "route": row.route,
            "from": row.sender,
            "to": row.address,
            "text": row.text,
        }
        for row in rows
    ]
    return Page(documents, rows[-1].id if len(rows) == limit else None)

"""The operator's hand on the queue: hold, release, retry, cancel, resolve.

A `Selection` says what is meant. Each verb does one transaction's worth, at most `STEP` segments, and says where it
came to: call it again with `after` until `last` is None. A part of an SMS is never handled without its siblings.

A hold on a route or an account stands until it is lifted: what arrives meanwhile is held as well (`gateway.intake`). So
does one on a message whose recipients are not all expanded yet.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway import claims, credit, settlement, unknown
from gateway.expansion import draft_of
from gateway.failure import RefusedError
from gateway.message import State
from gateway.store import schema

#: The most segments one step handles.
STEP = 500
#: The most chunks of unexpanded recipients one step cancels.
CHUNKS = 20

_segment, _chunk, _hold = schema.segment, schema.chunk, schema.hold

_COLUMNS = (
    _segment.c.id,
    _segment.c.message_id,
    _segment.c.account_id,
    _segment.c.route,
    _segment.c.due,
    _segment.c.urgent,
)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which segments: those of these messages and (message, delivery) pairs, or of a route, or of an account."""

    messages: tuple[int, ...] = ()
    deliveries: tuple[tuple[int, int], ...] = ()
    route: str | None = None
    account: int | None = None

    @property
    def condition(self) -> ColumnElement[bool]:
        """What it means in the segment table."""
        if self.route is not None:
            return _segment.c.route == self.route
        if self.account is not None:
            return _segment.c.account_id == self.account
        return or_(
            _segment.c.message_id.in_(self.messages),
            tuple_(_segment.c.message_id, _segment.c.delivery_id).in_(self.deliveries),
        )

    @property
    def standing(self) -> bool:
        """Whether it means what arrives later, too."""
        return self.route is not None or self.account is not None


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction's worth: how many segments were changed, and after which to go on; None where that was all."""

    done: int
    last: int | None


def find(connection: Connection, ids: Iterable[int]) -> Selection:
    """What these ids of messages, deliveries and segments mean; `RefusedError` names one that means nothing."""
    messages: set[int] = set()
    deliveries: set[tuple[int, int]] = set()
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), STEP):
        some = wanted[start : start + STEP]
        found = set(connection.execute(select(schema.message.c.id).where(schema.message.c.id.in_(some))).scalars())
        messages |= found
        for table, own in ((schema.delivery, schema.delivery.c.id), (schema.ever, schema.ever.c.delivery_id)):
            rows = connection.execute(select(table.c.id, table.c.message_id, own).where(table.c.id.in_(some))).all()
            deliveries |= {(row[1], row[2]) for row in rows}
            found |= {row[0] for row in rows}
        missing = sorted(set(some) - found)
        if missing:
            raise RefusedError(f"there is no message or segment {missing[0]}: tocsin queue show lists what waits")
    return Selection(tuple(sorted(messages)), tuple(sorted(pair for pair in deliveries if pair[0] not in messages)))


# Standing holds -------------------------------------------------------------------------------------------------------


def stand(connection: Connection, kind: str, names: Sequence[str], now: datetime) -> None:
    """Hold what arrives on a `route`, for an `account` or of a `message` from now on."""
    if not names:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(_hold).on_conflict_do_nothing(index_elements=["kind", "name"])
    connection.execute(statement, [{"kind": kind, "name": name, "since": now} for name in sorted(names)])


def lift(connection: Connection, kind: str, names: Sequence[str]) -> int:
    """End standing holds; how many. What they held stays so until it is released."""
    lifted: int = connection.execute(delete(_hold).where(_hold.c.kind == kind, _hold.c.name.in_(list(names)))).rowcount
    return lifted


def standing(connection: Connection) -> list[tuple[str, str, datetime]]:
    """Every standing hold: kind, name, since when."""
    rows = connection.execute(select(_hold).order_by(_hold.c.kind, _hold.c.name))
    return [(row.kind, row.name, row.since) for row in rows]


def unexpanded(connection: Connection, selection: Selection) -> tuple[int, ...]:
    """The messages of a selection by ids whose recipients are not all expanded yet."""
    ours = select(_chunk.c.message_id).where(_chunk.c.message_id.in_(selection.messages)).distinct()
    return tuple(sorted(connection.execute(ours).scalars()))


# The verbs ------------------------------------------------------------------------------------------------------------


def hold(connection: Connection, selection: Selection, now: datetime, *, after: int = 0) -> Step:
    """Hold what is queued."""
    rows = _next(connection, selection, after, claims.QUEUED)
    if rows:
        changed = update(_segment).where(_segment.c.id == bindparam("segment")).values(state="held", rank=None)
        connection.execute(changed, [{"segment": row.id} for row in rows])
        _note(connection, rows, "held", "by the operator", now)
    return _step(rows)


def release(connection: Connection, selection: Selection, now: datetime, *, after: int = 0) -> Step:
    """Queue what is held again; what is due later goes on waiting, and what another standing hold covers stays held."""
    conditions = [claims.HELD]
    if selection.standing:
        conditions += _uncovered(connection)
    rows = _next(connection, selection, after, *conditions)
    if rows:
        changed = update(_segment).where(_segment.c.id == bindparam("segment")).values(state="queued")
        connection.execute(changed, [{"segment": row.id} for row in rows])
        claims.give_turns(connection, [row for row in rows if row.due is None or row.due <= now])
        _note(connection, rows, "queued", "released by the operator", now)
    return _step(rows)


def _uncovered(connection: Connection) -> list[ColumnElement[bool]]:
    held: dict[str, list[str]] = {"route": [], "account": [], "message": []}
    for kind, name, _ in standing(connection):
        held[kind].append(name)
    named = select(schema.account.c.id).where(schema.account.c.name.in_(held["account"]))
    messages = [int(name) for name in held["message"]]
    return [
        _segment.c.route.not_in(held["route"]),
        _segment.c.account_id.not_in(named),
        _segment.c.message_id.not_in(messages),
    ]


def retry(connection: Connection, selection: Selection, now: datetime, *, after: int = 0) -> Step:
    """Try again at once what waits for a later attempt; what was asked to leave later keeps its time."""
    rows = _next(connection, selection, after, claims.QUEUED, _segment.c.rank.is_(None), _segment.c.attempts > 0)
    if rows:
        claims.give_turns(connection, rows)
        _note(connection, rows, "retried", "at once, by the operator", now)
    return _step(rows)


def cancel(connection: Connection, selection: Selection, now: datetime, *, after: int = 0) -> Step:
    """Cancel what has not left yet; its units return."""
    rows = _next(connection, selection, after, claims.EXPIRING)
    settlement.cancel(connection, [row.id for row in rows], now, "cancelled by the operator")
    return _step(rows)


def resolve(to: str, connection: Connection, selection: Selection, now: datetime, *, after: int = 0) -> Step:
    """The operator's word on what is unknown: `accepted`, `failed` or `resend`."""
    rows = _next(connection, selection, after, claims.UNKNOWN)
    unknown.resolve(connection, [row.id for row in rows], to, now)
    return _step(rows)


def _next(connection: Connection, selection: Selection, after: int, *conditions: ColumnElement[bool]) -> Sequence[Any]:
    statement = (
        select(*_COLUMNS)
        .where(selection.condition, _segment.c.id > after, *conditions)
        .order_by(_segment.c.id)
        .limit(STEP)
        .with_for_update()
    )
    return connection.execute(statement).all()


def _step(rows: Sequence[Any]) -> Step:
    return Step(len(rows), rows[-1].id if len(rows) == STEP else None)


def _note(connection: Connection, rows: Sequence[Any], what: str, detail: str, now: datetime) -> None:
    """A line for each message, whatever number of segments it has."""
    counted = Counter(row.message_id for row in rows)
    events = [
        {
            "message_id": message,
            "segment_id": None,
            "at": now,
            "what": what,
            "detail": f"{count} segment{'s' if count != 1 else ''} {detail}",
        }
        for message, count in sorted(counted.items())
    ]
    connection.execute(insert(schema.event), events)


# Recipients that are not expanded yet ---------------------------------------------------------------------------------


def cancel_unexpanded(
    connection: Connection, selection: Selection, now: datetime, *, after: tuple[int, int] = (0, -1)
) -> tuple[int, tuple[int, int] | None]:
    """Cancel recipients of the selection that are not in the queue yet, a step at a time; how many, and where it came.

    Their units return to where they came from: where only some of a chunk go, the allotment's are kept for the rest.
    """
    statement = (
        select(_chunk)
        .where(tuple_(_chunk.c.message_id, _chunk.c.n) > after)
        .order_by(_chunk.c.message_id, _chunk.c.n)
        .limit(CHUNKS)
        .with_for_update()
    )
    if selection.account is not None:
        statement = statement.where(_chunk.c.account_id == selection.account)
    elif selection.route is None:
        statement = statement.where(_chunk.c.message_id.in_(selection.messages))
    chunks = connection.execute(statement).all()
    parts: list[tuple[Any, int, credit.Reserved]] = []
    for chunk in chunks:
        gone = _take_out(connection, chunk, selection.route)
        if gone is not None:
            parts.append((chunk, *gone))
    _return(connection, parts, now)
    last = (chunks[-1].message_id, chunks[-1].n) if len(chunks) == CHUNKS else None
    return sum(count for _, count, _ in parts), last


def _take_out(connection: Connection, chunk: Any, route: str | None) -> tuple[int, credit.Reserved] | None:
    """Take a chunk's recipients on `route` (None: all) out of it; how many, and what was reserved for them."""
    content = json.loads(chunk.recipients)
    this = (_chunk.c.message_id == chunk.message_id) & (_chunk.c.n == chunk.n)
    staying = [leg for leg in content["legs"] if route is not None and leg[3] != route]
    if not staying:
        connection.execute(delete(_chunk).where(this))
        return len(content["legs"]), credit.Reserved(chunk.units, chunk.allotment, chunk.period)
    if len(staying) == len(content["legs"]):
        return None
    draft = draft_of(connection, chunk.message_id, json.dumps({**content, "legs": staying}))
    units = draft.units(draft.legs)
    allotment = min(units, chunk.allotment)
    left = {name: way for name, way in content["ways"].items() if name != route}
    packed = json.dumps({"ways": left, "legs": staying}, separators=(",", ":"))
    connection.execute(update(_chunk).where(this).values(recipients=packed, units=units, allotment=allotment))
    gone = credit.Reserved(chunk.units - units, chunk.allotment - allotment, chunk.period)
    return len(content["legs"]) - len(staying), gone


def _return(connection: Connection, parts: Sequence[tuple[Any, int, credit.Reserved]], now: datetime) -> None:
    if not parts:
        return
    periods = [(chunk.account_id, chunk.period) for chunk, _, _ in parts if chunk.period is not None]
    purses = credit.load(connection, (chunk.account_id for chunk, _, _ in parts), now, periods=periods)
    events = []
    for chunk, count, reserved in parts:
        if reserved.units:
            reason = f"{count} recipients cancelled by the operator"
            purses[chunk.account_id].give_back(reserved, now=now, message=chunk.message_id, reason=reason)
        detail = f"{count} recipients, before they were in the queue, by the operator"
        event = {"message_id": chunk.message_id, "segment_id": None, "at": now, "what": State.CANCELLED.value}
        events.append({**event, "detail": detail})
    connection.execute(
        update(schema.message)
        .where(schema.message.c.id == bindparam("message"))
        .values(recipients=schema.message.c.recipients - bindparam("fewer")),
        [{"message": chunk.message_id, "fewer": count} for chunk, count, _ in parts],
    )
    connection.execute(insert(schema.event), events)
    credit.save(connection, purses.values())

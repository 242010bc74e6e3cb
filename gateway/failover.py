"""Another route for what one route refused too often.

A transient refusal says how often the same route is worth trying. After that the delivery goes over the next route
that takes its number and was not tried for it. As long as no part of it was accepted, or may have been, its text is
cut anew for that route; once one was, the other parts can only follow as they are, under the same sender, or the
handset would not put them together. It never costs more than was quoted: what it costs less is given back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from gateway import credit, held, routing, text
from gateway.failure import RefusedError
from gateway.message import PAID, RETURNED, Channel, State
from gateway.references import References
from gateway.routing import Route
from gateway.store import schema
from gateway.store.identifiers import Identifiers

if TYPE_CHECKING:
    from gateway.settlement import Book
    from gateway.transports.base import Outcome

_segment, _attempt = schema.segment, schema.attempt

_PARTS = (
    select(_segment)
    .where(
        _segment.c.message_id.in_(bindparam("messages", expanding=True)),
        _segment.c.delivery_id.in_(bindparam("deliveries", expanding=True)),
    )
    .order_by(_segment.c.id)
    .with_for_update()
)
_TRIES = (
    select(_attempt.c.segment_id, _attempt.c.route, _attempt.c.result, func.count().label("n"))
    .where(_attempt.c.segment_id.in_(bindparam("ids", expanding=True)))
    .group_by(_attempt.c.segment_id, _attempt.c.route, _attempt.c.result)
)
_TEXTS = (
    select(schema.message.c.id, schema.message.c.text, schema.account.c.transliterate)
    .join(schema.account, schema.account.c.id == schema.message.c.account_id)
    .where(schema.message.c.id.in_(bindparam("ids", expanding=True)))
)
_COLUMNS = (
    "route", "n", "parts", "payload", "data_coding", "udhi", "concat", "reference", "units", "allotment", "period"
)  # fmt: skip
_REWRITE = (
    update(_segment)
    .where(_segment.c.id == bindparam("segment"))
    .values({name: bindparam(f"to_{name}", type_=_segment.c[name].type) for name in _COLUMNS} | {"rank": None})
)
_RELEASE = update(_segment).where(_segment.c.id == bindparam("segment")).values(due=bindparam("to_due"))
_IN_DOUBT = frozenset({State.SUBMITTING, State.UNKNOWN})
_FLASH = 0x10


@dataclass(frozen=True, slots=True)
class Spent:
    """A segment whose last transient refusal may have been one too many. `again` queues it on its own route."""

    row: Any
    outcome: Outcome
    n: int
    routes: Sequence[Route]
    again: Callable[[], None]


def decide(connection: Connection, book: Book, spent: Mapping[int, Spent], identifiers: Identifiers | None) -> None:
    """Try each of these again, send it by another route, or give it up; written into the book and the rows."""
    if not spent:
        return
    wanted = {
        "messages": sorted({one.row.message_id for one in spent.values()}),
        "deliveries": sorted({one.row.delivery_id for one in spent.values()}),
    }
    deliveries: dict[int, list[Any]] = {}
    for row in connection.execute(_PARTS, wanted):
        deliveries.setdefault(row.delivery_id, []).append(row)
    history: dict[int, list[Any]] = {}
    for tried in connection.execute(_TRIES, {"ids": sorted(row.id for rows in deliveries.values() for row in rows)}):
        history.setdefault(tried.segment_id, []).append(tried)
    for rows in deliveries.values():
        ours = {row.id: spent[row.id] for row in rows if row.id in spent}
        _decide(connection, _Delivery(book, rows, ours, history), identifiers)


class _Delivery:
    """One delivery of which parts were refused too often."""

    def __init__(
        self, book: Book, rows: Sequence[Any], spent: Mapping[int, Spent], history: Mapping[int, Sequence[Any]]
    ) -> None:
        self.book = book
        self.rows = sorted(rows, key=lambda row: row.n)
        self.spent = spent
        self.history = history

    def over(self) -> list[Spent]:
        """Those of which the limit is reached; the others are queued again where they are."""
        over = []
        for key, one in self.spent.items():
            before = sum(
                tried.n
                for tried in self.history.get(key, ())
                if tried.route == one.row.route and tried.result == "transient"
            )
            if one.outcome.tries is not None and before + 1 >= one.outcome.tries:
                over.append(one)
            else:
                one.again()
        return over

    def state(self, row: Any) -> State | None:
        """The state of a part as it will be; None of one that is still to be decided."""
        if row.id in self.book.changes:
            return self.book.changes[row.id].state
        return None if row.id in self.spent else State(row.state)

    def tried(self) -> set[str]:
        """The routes any part was tried on, or is on."""
        told = {tried.route for row in self.rows for tried in self.history.get(row.id, ())}
        return told | {row.route for row in self.rows}


def _decide(connection: Connection, delivery: _Delivery, identifiers: Identifiers | None) -> None:
    over = delivery.over()
    for one in [one for one in over if not one.outcome.elsewhere]:
        _give_up(delivery.book, one, "")
    over = [one for one in over if one.outcome.elsewhere]
    if not over:
        return
    others = [delivery.state(row) for row in delivery.rows if row.id not in {one.row.id for one in over}]
    if any(state in _IN_DOUBT or state in RETURNED or state == State.HELD for state in others):
        # What the others become decides: a part in flight may be accepted, and a part that failed ends them all.
        for one in over:
            one.again()
        return
    first = over[0]
    row = first.row
    whole = not any(state in PAID for state in others) and not any(part.resent for part in delivery.rows)
    holds = held.current(connection, [row.account_id])
    part = next(one for one in delivery.rows if one.id == row.id)
    tried = delivery.tried()
    for route in routing.able(first.routes, Channel(part.channel), part.address):
        if route.name in tried or holds.why(route.name, row.account_id, row.message_id) is not None:
            continue
        if whole and _cut_anew(connection, delivery, route, over, identifiers):
            return
        if not whole and _pass_on(connection, delivery, route, over):
            return
    for one in over:
        _give_up(delivery.book, one, "; no other route takes it")


def _give_up(book: Book, one: Spent, more: str) -> None:
    said = (one.outcome.text or one.outcome.code).removesuffix(".")
    times = f"tried {one.n} times" if one.n > 1 else "tried once"
    book.give_back(one.row, State.FAILED, f"{said} ({times}{more})", attempts=one.n)
    book.broken[one.row.delivery_id] = one.row.message_id


def _requeue(book: Book, over: Iterable[Spent], route: Route) -> None:
    for one in over:
        book.move(one.row, State.QUEUED, due=book.now, attempts=one.n)
        said = (one.outcome.text or one.outcome.code).removesuffix(".")
        book.event(one.row, "retried", f"{said}: by route {route.name} now, instead of {one.row.route}")


def _pass_on(connection: Connection, delivery: _Delivery, route: Route, over: Sequence[Spent]) -> bool:
    """Send these parts by another route as they are; whether that can be."""
    rows = {row.id: row for row in delivery.rows}
    senders = {one.name: one.sender for one in over[0].routes}
    for one in over:
        row = rows[one.row.id]
        tied = row.parts > 1
        same_hand = row.concat in ("udh8", "udh16") and senders.get(row.route) == route.sender
        if (tied and not same_hand) or (row.concat == "payload" and route.concat != "payload"):
            return False
        if route.units(row.address) > row.units:
            return False
    moved = [{"segment": one.row.id, "to_route": route.name} for one in over]
    connection.execute(
        update(_segment).where(_segment.c.id == bindparam("segment")).values(route=bindparam("to_route")), moved
    )
    _requeue(delivery.book, over, route)
    return True


def _cut_anew(
    connection: Connection, delivery: _Delivery, route: Route, over: Sequence[Spent], identifiers: Identifiers | None
) -> bool:
    """Send the whole delivery by another route, its text cut for that one; whether it may be."""
    rows, book = delivery.rows, delivery.book
    said = connection.execute(_TEXTS, {"ids": [rows[0].message_id]}).one_or_none()
    if said is None or Channel(rows[0].channel) is not Channel.SMS:
        return False
    flash = bool(rows[0].data_coding & _FLASH)
    try:
        cut = text.cut(said.text, concat=route.cutting, transliterate=said.transliterate, flash=flash)
    except RefusedError:
        return False
    reserved = sum(row.units for row in rows)
    cost = route.units(rows[0].address) * len(cut.parts)
    reference = _reference(connection, rows, cut)
    payloads = cut.payloads(reference or 0)
    if cost > reserved or (len(payloads) > len(rows) and identifiers is None):
        return False
    left, period = sum(row.allotment for row in rows), next((row.period for row in rows if row.allotment), None)
    kept = min(left, cost)
    if reserved > cost:
        part = credit.Reserved(reserved - cost, left - kept, period)
        book.refunds.append((rows[0], part, f"route {route.name} costs less than was quoted"))
    price = cost // len(payloads)
    values = []
    for n, payload in enumerate(payloads):
        drawn = min(price, kept)
        kept -= drawn
        values.append(
            {
                "route": route.name, "n": n + 1, "parts": len(payloads), "payload": payload,
                "data_coding": cut.data_coding, "udhi": cut.udhi, "concat": cut.concat if cut.parts[1:] else "",
                "reference": reference, "units": price, "allotment": drawn, "period": period if drawn else None,
            }
        )  # fmt: skip
    _requeue(book, [one for one in over if one.row.id in {row.id for row in rows[: len(values)]}], route)
    _rewrite(connection, book, rows, values, identifiers)
    return True


def _reference(connection: Connection, rows: Sequence[Any], cut: text.Cut) -> int | None:
    """The reference of the parts: the same where it is of the same kind, else a new one; None where none is needed."""
    if len(cut.parts) == 1 or cut.concat == "payload":
        return None
    if rows[0].concat == cut.concat and rows[0].reference is not None:
        return int(rows[0].reference)
    references = References(connection, [rows[0].address])
    return references.take(rows[0].address, rows[0].delivery_id, bits=8 if cut.concat == "udh8" else 16)


def _rewrite(
    connection: Connection,
    book: Book,
    rows: Sequence[Any],
    values: Sequence[dict[str, Any]],
    identifiers: Identifiers | None,
) -> None:
    """Write the new parts over the old ones; what is too many goes, what is missing comes."""
    for row, value in zip(rows, values, strict=False):
        written: dict[str, Any] = {f"to_{name}": value[name] for name in _COLUMNS}
        connection.execute(_REWRITE, {"segment": row.id, **written})
        if row.id in book.changes:
            book.changes[row.id].rank, book.changes[row.id].due = None, book.now
        else:
            connection.execute(_RELEASE, {"segment": row.id, "to_due": book.now})
    for row in rows[len(values) :]:
        book.changes.pop(row.id, None)
        book.moved.pop(row.id, None)
        book.attempts[:] = [line for line in book.attempts if line[0] != row.id]
        for table, column in ((_attempt, _attempt.c.segment_id), (_segment, _segment.c.id)):
            connection.execute(delete(table).where(column == row.id))
    more = values[len(rows) :]
    if more:
        assert identifiers is not None
        same = rows[0]
        keys = ("delivery_id", "message_id", "account_id", "channel", "address", "expires", "urgent")
        like = {name: getattr(same, name) for name in keys}
        fresh = {"state": State.QUEUED.value, "rank": None, "due": book.now, "attempts": 0, "resent": False}
        ids = identifiers.take(connection, len(more))
        connection.execute(
            insert(_segment),
            [{"id": number, **like, **fresh, **value} for number, value in zip(ids, more, strict=True)],
        )

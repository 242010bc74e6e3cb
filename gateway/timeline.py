"""What happened to a message and when, in order, from the rows that say so.

Each kind of row tells its own moments: the message that it was received and queued, attempts that segments were
submitted and what was answered, events what else happened, receipts what became of them, the ledger what was paid.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from gateway.receipts import MEANS
from gateway.store import schema
from gateway.transports.base import ReceiptState

#: Every word a timeline uses, in the order in which moments of one instant are told.
WORDS = (
    "received",
    "queued",
    "held",
    "submitted",
    "throttled",
    "accepted",
    "charged",
    "retried",
    "unknown",
    "resent",
    "delivered",
    "undelivered",
    "failed",
    "expired",
    "cancelled",
    "returned",
    "reported",
)
_ORIGINS = {
    "mail": "by mail",
    "filter": "from a filter",
    "reminder": "as a reminder",
    "agenda": "as an agenda",
    "digest": "as a digest",
    "report": "as a report",
    "verdict": "as a verdict",
    "console": "from the console",
    "api": "over the API",
    "cli": "from the command line",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One line: `what` is a word of `WORDS`."""

    at: datetime
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Tried:
    """Segments in the order of their deliveries, and the attempts of each."""

    segments: Sequence[Any]
    attempts: Mapping[int, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Rows(Tried):
    """Every row a message's story is told from; attempts and receipts by segment, `unexpanded` recipients counted."""

    message: Any
    receipts: Mapping[int, Sequence[Any]]
    events: Sequence[Any]
    ledger: Sequence[Any]
    unexpanded: int


def load(connection: Connection, message: Any) -> Rows:
    """The rows around a message's own, in a fixed number of statements."""
    segment, receipt = schema.ever, schema.receipt
    event, ledger, chunk = schema.event, schema.ledger, schema.chunk
    ours = select(segment.c.id).where(segment.c.message_id == message.id)
    receipts: dict[int, list[Any]] = {}
    told = select(receipt).where(receipt.c.segment_id.is_not(None), receipt.c.segment_id.in_(ours))
    for row in connection.execute(told.order_by(receipt.c.id)):
        receipts.setdefault(row.segment_id, []).append(row)
    packed = connection.execute(select(chunk.c.recipients).where(chunk.c.message_id == message.id)).scalars()
    of_message = select(event).where(event.c.message_id == message.id).order_by(event.c.id)
    paid = select(ledger).where(ledger.c.message_id == message.id).order_by(ledger.c.id)
    tried = _tries(connection, segment.c.message_id == message.id)
    return Rows(
        tried.segments,
        tried.attempts,
        message,
        receipts,
        connection.execute(of_message).all(),
        connection.execute(paid).all(),
        sum(len(json.loads(one)["legs"]) for one in packed),
    )


def load_tried(connection: Connection, message: int, deliveries: Sequence[int]) -> Tried:
    """The segments of some deliveries of a message, and their attempts."""
    segment = schema.ever
    return _tries(connection, (segment.c.message_id == message) & segment.c.delivery_id.in_(deliveries))


def _tries(connection: Connection, which: ColumnElement[bool]) -> Tried:
    segment, attempt = schema.ever, schema.attempt
    attempts: dict[int, list[Any]] = {}
    ours = select(segment.c.id).where(which)
    tried = select(attempt).where(attempt.c.segment_id.in_(ours)).order_by(attempt.c.segment_id, attempt.c.n)
    for row in connection.execute(tried):
        attempts.setdefault(row.segment_id, []).append(row)
    in_order = select(segment).where(which).order_by(segment.c.delivery_id, segment.c.n)
    return Tried(connection.execute(in_order).all(), attempts)


def tell(rows: Rows) -> list[Moment]:
    """The moments of a message, in order."""
    moments = [*_beginning(rows), *_happened(rows), *_paid(rows)]
    failed = {event.segment_id for event in rows.events if event.what == "failed"}
    for segment in rows.segments:
        who = _who(rows, segment)
        moments += _tried(segment, rows.attempts.get(segment.id, ()), who, ended=segment.id in failed)
        moments += _told(rows.receipts.get(segment.id, ()), who)
    return sorted(moments, key=lambda moment: (moment.at, WORDS.index(moment.what)))


def _who(rows: Rows, segment: Any) -> str:
    """Which segment a line is about, where the message has several."""
    if len(rows.segments) == 1 and not rows.unexpanded:
        return ""
    part = f", part {segment.n} of {segment.parts}" if segment.parts > 1 else ""
    return f"{segment.address}{part}: "


def _beginning(rows: Rows) -> Iterator[Moment]:
    message = rows.message
    number = f"{message.recipients} recipient{'s' if message.recipients != 1 else ''}"
    yield Moment(message.created, "received", f"{_ORIGINS.get(message.origin, message.origin)}, for {number}")
    ahead = message.at is not None and message.at > message.created
    later = f", to leave at {message.at:%Y-%m-%d %H:%M} UTC" if ahead else ""
    for route, count in sorted(Counter(one.route for one in rows.segments).items()):
        yield Moment(message.created, "queued", f"{count} segment{'s' if count != 1 else ''} on {route}{later}")
    if rows.unexpanded:
        yield Moment(message.created, "queued", f"{rows.unexpanded} recipients not yet expanded{later}")


def _tried(segment: Any, attempts: Sequence[Any], who: str, *, ended: bool) -> Iterator[Moment]:
    """What was tried; `ended` says that an event tells the failure of the last one."""
    for attempt in attempts:
        yield Moment(attempt.at, "submitted", f"{who}over {attempt.route}")
        at = attempt.answered or attempt.at
        why = " ".join(part for part in (attempt.code, attempt.detail) if part)
        last = attempt is attempts[-1]
        if attempt.result == "accepted":
            told = f"its id there is {segment.peer_id}" if segment.peer_id else "without an id"
            yield Moment(at, "accepted", f"{who}{attempt.route} has it, {told}")
        elif attempt.result == "unknown":
            yield Moment(at, "unknown", f"{who}{why}")
        elif attempt.result == "transient" and not (last and ended):
            again = f", again at {segment.due:%H:%M:%S} UTC" if last and segment.due is not None else ""
            yield Moment(at, "retried", f"{who}{why}{again}")
        elif not ended:
            yield Moment(at, "failed", f"{who}{why}")


def _told(receipts: Sequence[Any], who: str) -> Iterator[Moment]:
    final = False
    for receipt in receipts:
        after = MEANS.get(ReceiptState(receipt.state))
        if after is None:
            continue  # it says that the message is under way, which is known
        error = f", error {receipt.error}" if receipt.error.strip("0") else ""
        late = ", after a final receipt: it changes nothing" if final else ""
        yield Moment(receipt.at, after.value, f"{who}the operator says {receipt.state}{error}{late}")
        final = True


def _happened(rows: Rows) -> Iterator[Moment]:
    by_id = {segment.id: segment for segment in rows.segments}
    for event in rows.events:
        if event.what in WORDS:
            segment = by_id.get(event.segment_id)
            who = _who(rows, segment) if segment is not None else ""
            yield Moment(event.at, event.what, f"{who}{event.detail}")


def _paid(rows: Rows) -> Iterator[Moment]:
    for entry in rows.ledger:
        if entry.kind == "charge":
            yield Moment(entry.at, "charged", f"{entry.reason} ({entry.pot})")
        elif entry.kind == "return":
            units = f"{entry.units} unit{'s' if entry.units != 1 else ''}"
            yield Moment(entry.at, "returned", f"{units} to the {entry.pot}: {entry.reason}")

"""What became of segments: outcomes, expiry and cancellation written down, credit settled, in one transaction.

`settle_many` takes what transports answered. A segment moves only as the table in `gateway.message` allows; an
outcome that comes for a segment which has moved on meanwhile is noted and changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, bindparam, null, select, update

from gateway import credit, failover, peer_ids, queries, reports, retry
from gateway.claims import EXPIRING, MOST
from gateway.message import PAID, RETURNED, State, may_become
from gateway.routing import Route
from gateway.store import hot, memory, schema
from gateway.store.identifiers import Identifiers
from gateway.store.schema.base import stamp
from gateway.transports.base import Outcome, Result
from gateway.value import value

log = logging.getLogger(__name__)

_segment = schema.segment


@value
class Settle:
    """Outcomes to record, of segments that `node` claimed.

    `waits` says for each route how long an unknown segment waits for a receipt to tell. `claimed` has for each outcome
    the instant of the claim it belongs to, None where that does not matter: an outcome whose recording was lost on its
    way, and had happened, comes a second time, and must not undo a later claim of the same segment.
    `routes` are where what one of them refused too often may go instead.
    """

    outcomes: Sequence[Outcome]
    now: datetime
    waits: Mapping[str, datetime]
    jitter: float
    node: int
    claimed: Sequence[datetime | None] = ()
    routes: Sequence[Route] = ()


@value
class Settled:
    """What the dispatcher should know afterwards: routes with ready work, and the earliest new due time."""

    ready: frozenset[str]
    due: datetime | None


#: What `Book` must know of a segment.
COLUMNS = (
    _segment.c.id,
    _segment.c.delivery_id,
    _segment.c.message_id,
    _segment.c.account_id,
    _segment.c.route,
    _segment.c.state,
    _segment.c.rank,
    _segment.c.attempts,
    _segment.c.units,
    _segment.c.allotment,
    _segment.c.period,
    _segment.c.expires,
    _segment.c.submitted,
    _segment.c.parts,
    _segment.c.node,
    _segment.c.resent,
    _segment.c.address,
)
#: Segments by their `ids`, locked.
BY_ID = hot.Statement(
    select(*COLUMNS)
    .where(_segment.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(_segment.c.id)
    .with_for_update()
)
_SIBLINGS = (
    select(*COLUMNS)
    .where(
        _segment.c.message_id.in_(bindparam("messages", expanding=True)),
        _segment.c.delivery_id.in_(bindparam("deliveries", expanding=True)),
    )
    .order_by(_segment.c.id)
    .with_for_update()
)
_SAVE = hot.Statement(
    update(_segment)
    .where(_segment.c.id == bindparam("segment"))
    .values(
        state=bindparam("to_state"),
        rank=bindparam("to_rank"),
        due=bindparam("to_due"),
        attempts=bindparam("to_attempts"),
        peer_id=bindparam("to_peer_id"),
        peer_key=bindparam("to_peer_key"),
        finished=bindparam("to_finished"),
        resent=bindparam("to_resent"),
        node=null(),
    ),
    order=(
        *("to_state", "to_rank", "to_due", "to_attempts", "to_resent", "to_peer_id", "to_peer_key", "to_finished"),
        "segment",
    ),
)
_ADD_ATTEMPTS = hot.insert_into(
    schema.attempt, "segment_id", "n", "at", "answered", "route", "result", "code", "detail"
)
_ADD_EVENTS = hot.insert_into(schema.event, "message_id", "segment_id", "at", "what", "detail")


@dataclass(slots=True)
class Change:
    """What a segment becomes."""

    state: State
    rank: int | None
    due: datetime | None
    attempts: int
    resent: bool
    peer_id: str | None
    peer_key: str | None
    finished: datetime | None


@dataclass(slots=True)
class Book:
    """The changes of one transaction, decided in plain code and written once."""

    now: datetime
    changes: dict[int, Change] = field(default_factory=dict)
    moved: dict[int, Any] = field(default_factory=dict)
    #: Rows of `attempt`, in the order of its columns.
    attempts: list[tuple[Any, ...]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    charged: list[Any] = field(default_factory=list)
    returned: list[tuple[Any, str]] = field(default_factory=list)
    #: Units that go back of segments that stay: what they cost less than was reserved.
    refunds: list[tuple[Any, credit.Reserved, str]] = field(default_factory=list)
    #: Segments that may have been refused too often.
    spent: dict[int, failover.Spent] = field(default_factory=dict)
    #: Deliveries of which a part failed: their queued siblings are to be cancelled.
    broken: dict[int, int] = field(default_factory=dict)
    #: Whether anything was put back into the queue.
    queues: bool = False

    def move(
        self,
        row: Any,
        to: State,
        *,
        rank: int | None = None,
        due: datetime | None = None,
        attempts: int | None = None,
        peer_id: str | None = None,
        resent: bool | None = None,
    ) -> None:
        """Move a segment, and its units with it."""
        self.moved[row.id] = row
        is_paid = to in PAID
        self.changes[row.id] = Change(
            to,
            rank,
            due,
            row.attempts if attempts is None else attempts,
            row.resent if resent is None else resent,
            peer_id,
            peer_ids.fold(peer_id) if peer_id else None,
            self.now if is_paid or to in RETURNED else None,
        )
        if is_paid:
            if row.state not in PAID:
                self.charged.append(row)
        elif to is State.QUEUED:
            self.queues = True

    def give_back(self, row: Any, to: State, reason: str, *, attempts: int | None = None) -> None:
        """End a segment that was not sent: its units return, the timeline says why."""
        self.move(row, to, attempts=attempts)
        self.returned.append((row, reason))
        self.event(row, to.value, reason)

    def attempt(
        self,
        row: Any,
        result: str,
        at: datetime | None = None,
        answered: datetime | None = None,
        code: str = "",
        detail: str = "",
    ) -> int:
        """One try to hand a segment over, for its timeline; its number."""
        n: int = row.attempts + 1
        began = stamp(at or row.submitted or self.now)
        ended = stamp(answered) if answered is not None else None
        self.attempts.append((row.id, n, began, ended, row.route, result, code, detail))
        return n

    def event(self, row: Any, what: str, detail: str) -> None:
        """A line of the message's timeline."""
        self.events.append(
            {"message_id": row.message_id, "segment_id": row.id, "at": self.now, "what": what, "detail": detail}
        )

    def write(self, connection: Connection) -> None:
        """Everything at once: segments, attempts, events, credit."""
        if self.changes:
            _SAVE.put(connection, self._changed())
        if self.queues:
            memory.of(connection, "empty").clear()
        if self.attempts:
            _ADD_ATTEMPTS.put(connection, self.attempts)
        if self.events:
            _ADD_EVENTS.write(connection, self.events)
        if self.returned:
            reports.owe(connection, {row.message_id for row, _ in self.returned}, self.now)
        if self.charged or self.returned or self.refunds:
            self._settle_credit(connection)

    def _changed(self) -> list[tuple[Any, ...]]:
        """The rows that `_SAVE` puts."""
        rows: list[tuple[Any, ...]] = []
        at, finished = None, None  # most are finished at one instant
        for segment, to in sorted(self.changes.items()):
            if to.finished is not at:
                at, finished = to.finished, stamp(to.finished) if to.finished is not None else None
            due = stamp(to.due) if to.due is not None else None
            rows.append(
                (to.state._value_, to.rank, due, to.attempts, to.resent, to.peer_id, to.peer_key, finished, segment)
            )
        return rows

    def _settle_credit(self, connection: Connection) -> None:
        """Charge, and give back, together what is of one message and from one period."""
        accounts: set[int] = set()
        periods: set[tuple[int, datetime]] = set()
        charges: dict[tuple[int, int, datetime | None], tuple[int, int, int]] = {}
        for row in self.charged:
            if row.units:
                account, period = row.account_id, row.period
                accounts.add(account)
                if period is not None:
                    periods.add((account, period))
                key = account, row.message_id, period
                parts, units, allotment = charges.get(key, (0, 0, 0))
                charges[key] = parts + 1, units + row.units, allotment + row.allotment
        for row in [row for row, _ in self.returned if row.units] + [row for row, _, _ in self.refunds]:
            accounts.add(row.account_id)
            if row.period is not None:
                periods.add((row.account_id, row.period))
        if not accounts:
            return
        purses = credit.load(connection, accounts, self.now, periods=periods)
        for (account, message, period), (parts, units, allotment) in charges.items():
            reason = "charged: the SMS centre has it" if parts == 1 else f"charged: {parts} parts accepted"
            part = credit.Reserved(units, allotment, period)
            purses[account].charge(part, now=self.now, message=message, reason=reason)
        for row, reason in self.returned:
            if row.units:
                part = credit.Reserved(row.units, row.allotment, row.period)
                purses[row.account_id].give_back(part, now=self.now, message=row.message_id, reason=reason)
        for row, part, reason in self.refunds:
            purses[row.account_id].give_back(part, now=self.now, message=row.message_id, reason=reason)
        credit.save(connection, purses.values())


def settle_many(
    connection: Connection, settles: Sequence[Settle], identifiers: Identifiers | None = None
) -> list[Settled]:
    """Record sets of outcomes, and answer each with what it means for the dispatcher."""
    book, answer = decide(connection, settles, identifiers)
    book.write(connection)
    return [answer] * len(settles)


def decide(connection: Connection, settles: Sequence[Settle], identifiers: Identifiers | None) -> tuple[Book, Settled]:
    """What sets of outcomes change, not written yet, and what it means for the dispatcher."""
    now = max(settle.now for settle in settles)
    ids = sorted({outcome.segment for settle in settles for outcome in settle.outcomes})
    rows = {row.id: row for row in BY_ID.all(connection, {"ids": ids})}
    book = Book(now)
    for settle in settles:
        for outcome, claimed in zip_longest(settle.outcomes, settle.claimed):
            row = rows.get(outcome.segment)
            if (
                row is None
                or outcome.segment in book.changes
                or outcome.segment in book.spent
                or not _still_open(row, outcome, claimed, settle.node)
            ):
                log.info(
                    "segment %d has moved on; what comes now changes nothing: %s",
                    outcome.segment,
                    outcome.result,
                    extra={"action": "outcome_late", "segment": outcome.segment, "result": outcome.result.value},
                )
                continue
            _DECIDE[outcome.result](book, row, outcome, settle)
    if book.spent:
        failover.decide(connection, book, book.spent, identifiers)
    if book.queues or book.broken:
        cancel_siblings(connection, book)
    if not book.queues:
        return book, _NOTHING_QUEUED
    queued = [(key, change) for key, change in book.changes.items() if change.state == State.QUEUED]
    ready = frozenset(rows[key].route for key, change in queued if change.rank is not None)
    return book, Settled(ready, min((change.due for _, change in queued if change.due is not None), default=None))


_NOTHING_QUEUED = Settled(frozenset(), None)


def _still_open(row: Any, outcome: Outcome, claimed: datetime | None, node: int) -> bool:
    """Whether the answer is to what was last done with the segment.

    A segment given up as unknown may still get it: that it was taken is true for good, that it was not only as long as
    nothing was sent again.
    """
    if row.state == State.SUBMITTING:
        return bool(row.node == node) and (
            claimed is None or claimed == row.submitted or outcome.result == Result.ACCEPTED
        )
    if row.state != State.UNKNOWN or outcome.result == Result.UNKNOWN:
        return False
    return outcome.result == Result.ACCEPTED or not row.resent


def _attempted(book: Book, row: Any, outcome: Outcome, result: str) -> int:
    if row.state != State.SUBMITTING:  # the try was noted when it was given up
        return int(row.attempts)
    detail = outcome.detail or outcome.text
    return book.attempt(row, result, outcome.written, outcome.answered, outcome.code, detail)


def _accepted(book: Book, row: Any, outcome: Outcome, settle: Settle) -> None:
    n = _attempted(book, row, outcome, "accepted")
    if row.state == State.UNKNOWN:
        book.event(row, "accepted", "its answer came late")
    due = queries.first(settle.routes, row.route, outcome.peer_id, book.now)
    book.move(row, State.ACCEPTED, attempts=n, peer_id=outcome.peer_id or None, due=due)


def _throttled(book: Book, row: Any, outcome: Outcome, _settle: Settle) -> None:
    # Not counted as an attempt: the operator asked for patience, the segment goes first again.
    book.event(row, "throttled", outcome.text or "the SMS centre asked to be slower")
    _first_again(book, row)


def _unsent(book: Book, row: Any, _outcome: Outcome, _settle: Settle) -> None:
    _first_again(book, row)


def _first_again(book: Book, row: Any) -> None:
    book.move(row, State.QUEUED, rank=row.rank, due=book.now if row.rank is None else None)


def _transient(book: Book, row: Any, outcome: Outcome, settle: Settle) -> None:
    n = _attempted(book, row, outcome, "transient")
    if outcome.tries is not None and n >= outcome.tries:
        again = partial(_again, book, row, outcome, settle, n)
        book.spent[row.id] = failover.Spent(row, outcome, n, settle.routes, again)
    else:
        _again(book, row, outcome, settle, n)


def _again(book: Book, row: Any, outcome: Outcome, settle: Settle, n: int) -> None:
    due = retry.next_attempt(book.now, max(n, 1), settle.jitter)
    if due >= row.expires:
        reason = f"{outcome.text or outcome.code}; its validity ends before another try"
        book.give_back(row, State.FAILED, reason, attempts=n)
        book.broken[row.delivery_id] = row.message_id
    else:
        book.move(row, State.QUEUED, due=due, attempts=n)


def _permanent(book: Book, row: Any, outcome: Outcome, _settle: Settle) -> None:
    n = _attempted(book, row, outcome, "failed")
    book.give_back(row, State.FAILED, outcome.text or f"the operator refused it ({outcome.code})", attempts=n)
    book.broken[row.delivery_id] = row.message_id


def _unknown(book: Book, row: Any, outcome: Outcome, settle: Settle) -> None:
    n = _attempted(book, row, outcome, "unknown")
    book.move(row, State.UNKNOWN, due=settle.waits.get(row.route, book.now), attempts=n)


_DECIDE: Mapping[Result, Callable[[Book, Any, Outcome, Settle], None]] = {
    Result.ACCEPTED: _accepted,
    Result.THROTTLED: _throttled,
    Result.UNSENT: _unsent,
    Result.TRANSIENT: _transient,
    Result.PERMANENT: _permanent,
    Result.UNKNOWN: _unknown,
}


_WHY = {State.FAILED: "failed", State.CANCELLED: "was cancelled", State.EXPIRED: "expired"}


def cancel_siblings(connection: Connection, book: Book) -> None:
    """Cancel the queued parts of what cannot be whole any more: half a message is not worth its price.

    That is so when a part fails, and when a part comes back to the queue after another has ended.
    """
    back = {
        row.delivery_id: row.message_id
        for key, row in book.moved.items()
        if row.parts > 1 and book.changes[key].state == State.QUEUED
    }
    wanted = back | book.broken
    if not wanted:
        return
    deliveries: dict[int, list[tuple[Any, State]]] = {}
    values = {"messages": sorted(set(wanted.values())), "deliveries": sorted(wanted)}
    for row in connection.execute(_SIBLINGS, values):
        change = book.changes.get(row.id)
        state = change.state if change is not None else State(row.state)
        deliveries.setdefault(row.delivery_id, []).append((row, state))
    for parts in deliveries.values():
        ended = next((state for state in _WHY if any(state == one for _, one in parts)), None)
        if ended is None:
            continue
        for row, state in parts:
            if may_become(state, State.CANCELLED):
                attempts = book.changes[row.id].attempts if row.id in book.changes else None
                reason = f"another part of this message {_WHY[ended]}"
                book.give_back(row, State.CANCELLED, reason, attempts=attempts)


# The end of validity, and the end by hand ----------------------------------------------------------------------------

_OVER = (
    select(*COLUMNS)
    .where(EXPIRING, _segment.c.expires <= bindparam("now_is"))
    .order_by(_segment.c.expires, _segment.c.id)
    .limit(MOST)
)
_OVER_LOCKED = _OVER.with_for_update(skip_locked=True)


def expire(connection: Connection, now: datetime) -> int:
    """End what waited past its validity; how many segments."""
    book = Book(now)
    rows = sorted(connection.execute(_OVER_LOCKED, {"now_is": now}).all(), key=lambda row: row.id)
    for row in rows:
        book.give_back(row, State.EXPIRED, "it could not be sent within its validity")
    book.write(connection)
    return len(rows)


def cancel(connection: Connection, ids: Iterable[int], now: datetime, reason: str) -> int:
    """Cancel what has not left yet; how many segments."""
    return end(connection, ids, State.CANCELLED, now, reason)


def end(connection: Connection, ids: Iterable[int], to: State, now: datetime, reason: str) -> int:
    """End those of these segments that may become `to` (cancelled or failed), units returned; how many."""
    book = Book(now)
    for row in BY_ID.all(connection, {"ids": sorted(ids)}):
        if may_become(State(row.state), to):
            book.give_back(row, to, reason)
    book.write(connection)
    return len(book.changes)

"""What the operator says later about the handset: receipts matched to what was accepted, orphans kept.

A receipt is matched by the id the SMS centre gave, in whatever form it comes back, and by its number. One that matches
no id may tell of a segment whose answer was lost. What matches nothing is kept as an orphan: it may have overtaken its
own submit_sm_resp, and is looked at again when that is recorded.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, literal_column, select, update

from gateway import history, settlement
from gateway.claims import SUBMITTING, UNKNOWN
from gateway.message import State, may_become
from gateway.peer_ids import Habit, folded_forms, habit, meant
from gateway.store import hot, memory, schema
from gateway.store.identifiers import Identifiers
from gateway.store.schema.base import stamp
from gateway.transports.base import Incoming, Outcome, Receipt, ReceiptState, Result
from gateway.value import value

_segment, _receipt = schema.segment, schema.receipt

#: How far a receipt's submit date may be from the write, in seconds; quarters of an hour are a matter of zone.
_SLACK, _QUARTER, _FARTHEST_ZONE = 120, 900, 14 * 3600

#: What a receipt's state makes of an accepted segment; the others are only noted.
MEANS: Mapping[ReceiptState, State] = {
    ReceiptState.DELIVERED: State.DELIVERED,
    ReceiptState.UNDELIVERED: State.UNDELIVERED,
    ReceiptState.EXPIRED: State.UNDELIVERED,
    ReceiptState.DELETED: State.UNDELIVERED,
    ReceiptState.REJECTED: State.UNDELIVERED,
}


@value
class Receive:
    """A receipt, and when it came."""

    receipt: Receipt
    now: datetime


_COLUMNS = (*settlement.COLUMNS, _segment.c.peer_id, _segment.c.peer_key)
_CANDIDATES = hot.Statement(
    select(*_COLUMNS)
    .where(_segment.c.peer_key.is_not(None), _segment.c.peer_key.in_(bindparam("keys", expanding=True)))
    .order_by(_segment.c.id)
    .with_for_update()
)
_BACK = hot.Statement(select(*_COLUMNS).where(_segment.c.id.in_(bindparam("ids", expanding=True))).with_for_update())
_UNKNOWN = hot.Statement(
    select(*_COLUMNS)
    .where(UNKNOWN, _segment.c.address.in_(bindparam("addresses", expanding=True)))
    .order_by(_segment.c.id)
    .with_for_update()
)
#: Segments in flight to these numbers: their own receipt may overtake their answer.
_IN_FLIGHT = hot.Statement(
    select(*_COLUMNS).where(SUBMITTING, _segment.c.address.in_(bindparam("addresses", expanding=True)))
)
#: The ids a route was lately answered, and those its receipts lately told: what they show of its habit.
_ANSWERED = (
    select(_segment.c.peer_id)
    .where(_segment.c.route == bindparam("on_route"), _segment.c.peer_key.is_not(None))
    .order_by(_segment.c.id.desc())
    .limit(50)
)
_TOLD = (
    select(_receipt.c.peer_id)
    .where(_receipt.c.route == bindparam("on_route"), _receipt.c.peer_id != "")
    .order_by(_receipt.c.id.desc())
    .limit(50)
)
_ANY_ORPHAN = hot.Statement(
    select(_receipt.c.peer_key)
    .where(_receipt.c.segment_id.is_(None))
    .order_by(_receipt.c.peer_key)  # the partial index's order
    .limit(literal_column("1"))
)
_ORPHANS = hot.Statement(
    select(_receipt)
    .where(_receipt.c.segment_id.is_(None), _receipt.c.peer_key.in_(bindparam("keys", expanding=True)))
    .order_by(_receipt.c.id)
    .with_for_update()
)
_ADD = hot.insert_into(
    _receipt,
    *("at", "route", "peer_id", "peer_key", "address", "sender", "state", "error", "submitted", "done", "segment_id"),
)
_ADOPT = update(_receipt).where(_receipt.c.id == bindparam("orphan")).values(segment_id=bindparam("segment"))


def receive_many(connection: Connection, receives: Sequence[Receive]) -> list[int | None]:
    """Record receipts; for each the segment it belongs to, or None for an orphan.

    A final state stays: a later receipt that says otherwise is kept with the segment and changes nothing.
    """
    book = settlement.Book(max(receive.now for receive in receives))
    found = _by_id(connection, receives, book)
    lost = _unknown(connection, [one.receipt for one, row in zip(receives, found, strict=True) if row is None])
    rows: list[tuple[Any, ...]] = []
    for n, receive in enumerate(receives):
        row = found[n] or _told(receive.receipt, lost, book)
        if row is not None:
            found[n] = row
            _move(row, receive.receipt, book)
        rows.append(_row(receive, None if row is None else row.id))
    _ADD.put(connection, rows)
    if None in found:
        memory.of(connection, "orphan").clear()
    book.write(connection)
    return [None if row is None else row.id for row in found]


def settle_and_receive(
    connection: Connection,
    settles: Sequence[settlement.Settle],
    receives: Sequence[Receive],
    identifiers: Identifiers | None = None,
) -> tuple[list[settlement.Settled], list[int | None]]:
    """Record outcomes, and receipts that came soon after: most belong to one of these, and make one change of two."""
    book, answer = settlement.decide(connection, settles, identifiers)
    orphans = _orphans(connection, (outcome for settle in settles for outcome in settle.outcomes))
    # What came before its answer was told first, and is heard first.
    own = [None] * len(receives) if orphans else _of_this_set(connection, book, receives)
    book.write(connection)
    if orphans:
        _adopt(connection, orphans, max(settle.now for settle in settles))
    _ADD.put(connection, [_row(receive, segment) for receive, segment in zip(receives, own, strict=True) if segment])
    others = [receive for receive, segment in zip(receives, own, strict=True) if segment is None]
    found = iter(receive_many(connection, others) if others else ())
    return [answer] * len(settles), [segment if segment is not None else next(found) for segment in own]


def _of_this_set(connection: Connection, book: settlement.Book, receives: Sequence[Receive]) -> list[int | None]:
    """The segments just accepted that receipts can only mean; what they say goes into the book.

    None for a receipt that means none of these, or may mean another as well.
    """
    accepted: dict[tuple[str, str], list[Any]] = {}
    for segment, change in book.changes.items():
        if change.state is State.ACCEPTED and change.peer_key:
            row = book.moved[segment]
            accepted.setdefault((row.route, change.peer_key), []).append(row)
    fitting: list[list[Any]] = []
    keys: set[str] = set()
    for receive in receives:
        receipt = receive.receipt
        rows = _fitting(accepted, receipt.route, receipt.id, receipt.to) if receipt.id else []
        fitting.append(rows)
        if len(rows) == 1:
            keys.update(folded_forms(receipt.id))
    before: dict[tuple[str, str], list[Any]] = {}
    for row in _CANDIDATES.all(connection, {"keys": sorted(keys)}):
        if row.id not in book.changes:
            before.setdefault((row.route, row.peer_key), []).append(row)
    now = max(receive.now for receive in receives)
    found: list[int | None] = []
    for receive, rows in zip(receives, fitting, strict=True):
        receipt = receive.receipt
        if len(rows) != 1 or (before and _fitting(before, receipt.route, receipt.id, receipt.to)):
            found.append(None)
            continue
        change = book.changes[rows[0].id]
        after = _after(change.state, receipt)
        if after is not None:
            change.state, change.due, change.finished = after, None, now
        found.append(rows[0].id)
    return found


def adopt_orphans(connection: Connection, outcomes: Iterable[Outcome], now: datetime) -> int:
    """Match receipts that came before the answers they belong to; how many. Called with what was just accepted."""
    return _adopt(connection, _orphans(connection, outcomes), now)


def _orphans(connection: Connection, outcomes: Iterable[Outcome]) -> list[Any]:
    """Receipts nobody knew what to do with that may belong to these."""
    kept = memory.of(connection, "orphan")
    if "any" not in kept:
        kept["any"] = bool(_ANY_ORPHAN.all(connection, {}))
    if not kept["any"]:
        return []
    accepted = {one.peer_id for one in outcomes if one.result == Result.ACCEPTED and one.peer_id}
    keys = sorted({form for written in accepted for form in folded_forms(written)})
    return _ORPHANS.all(connection, {"keys": keys})


def _adopt(connection: Connection, orphans: Sequence[Any], now: datetime) -> int:
    if not orphans:
        return 0
    known = _candidates(connection, ((orphan.route, orphan.peer_id) for orphan in orphans))
    book = settlement.Book(now)
    adopted = []
    for orphan in orphans:
        row = _match(known, orphan.route, orphan.peer_id, orphan.address, book.changes)
        if row is not None:
            receipt = Receipt(orphan.route, orphan.peer_id, orphan.address, orphan.sender, ReceiptState(orphan.state))
            _move(row, receipt, book)
            adopted.append({"orphan": orphan.id, "segment": row.id})
    if adopted:
        connection.execute(_ADOPT, adopted)
        memory.of(connection, "orphan").clear()
    book.write(connection)
    return len(adopted)


# By the id -----------------------------------------------------------------------------------------------------------


class _Known(dict[tuple[str, str], list[Any]]):
    """Segments by their route and the folded id they were accepted under; and the routes' habits, where those tell."""

    def __init__(self) -> None:
        super().__init__()
        self.habits: dict[str, Habit | None] = {}


def _by_id(connection: Connection, receives: Sequence[Receive], book: settlement.Book) -> list[Any | None]:
    """The segment each of these receipts means, from the queue's table; else from the past.

    One of the past that the receipt would change comes back for it, to change as all others do.
    """
    known = _candidates(connection, ((one.receipt.route, one.receipt.id) for one in receives))
    found: list[Any | None] = []
    told = set(book.changes)
    for one in receives:
        row = _match(known, one.receipt.route, one.receipt.id, one.receipt.to, told)
        if row is not None and _after(State(row.state), one.receipt) is not None:
            told.add(row.id)
        found.append(row)
    missing = [n for n, row in enumerate(found) if row is None and receives[n].receipt.id]
    if missing:
        keys = {form for n in missing for form in folded_forms(receives[n].receipt.id)}
        past: dict[tuple[str, str], list[Any]] = {}
        for row in history.by_peer_key(connection, sorted(keys)):
            past.setdefault((row.route, row.peer_key), []).append(row)
        for n in missing:
            receipt = receives[n].receipt
            found[n] = _match(past, receipt.route, receipt.id, receipt.to, told)
        changing = {
            row.id
            for n in missing
            if (row := found[n]) is not None and _after(State(row.state), receives[n].receipt) is not None
        }
        if changing:
            history.bring_back(connection, changing)
            back = {row.id: row for row in _BACK.all(connection, {"ids": sorted(changing)})}
            found = [row if row is None else back.get(row.id, row) for row in found]
    return found


def _candidates(connection: Connection, wanted: Iterable[tuple[str, str]]) -> _Known:
    pairs = {(route, written) for route, written in wanted if written}
    known = _Known()
    if pairs:
        keys = sorted({form for _, written in pairs for form in folded_forms(written)})
        for row in _CANDIDATES.all(connection, {"keys": keys}):
            known.setdefault((row.route, row.peer_key), []).append(row)
    for route in sorted({route for route, written in pairs if _is_ambiguous(known, route, written)}):
        answered = connection.execute(_ANSWERED, {"on_route": route}).scalars().all()
        known.habits[route] = habit(answered, connection.execute(_TOLD, {"on_route": route}).scalars().all())
    return known


def _is_ambiguous(known: _Known, route: str, written: str) -> bool:
    """Whether an id, read in its different forms, means different segments to one number."""
    numbers = [{row.address for row in known.get((route, form), ())} for form in folded_forms(written)]
    return sum(map(len, numbers)) > len(set().union(*numbers))


def _match(
    known: Mapping[tuple[str, str], Sequence[Any]], route: str, written: str, number: str, told: Container[int]
) -> Any | None:
    """The segment meant: the same number, the id as its centre's habit has it, or as it was written, before any other
    form of it, and rather one that still waits for its receipt than one that has it, or just got it (`told`)."""
    if not written:
        return None
    same = _fitting(known, route, written, number)
    by = known.habits.get(route) if isinstance(known, _Known) else None
    likely = meant(written, by)

    def order(row: Any) -> tuple[bool, bool, bool]:
        waits = row.state == State.ACCEPTED and row.id not in told
        return by is not None and row.peer_key != likely, row.peer_id != written, not waits

    same.sort(key=order)
    return same[0] if same else None


def _fitting(known: Mapping[tuple[str, str], Sequence[Any]], route: str, written: str, number: str) -> list[Any]:
    """Those that were accepted under some form of this id, and have this number where one is told."""
    rows = []
    for form in folded_forms(written):
        for row in known.get((route, form), ()):
            if not number or same_number(row.address, number):
                rows.append(row)  # noqa: PERF401
    return rows


def same_number(ours: str, theirs: str) -> bool:
    """Whether an operator's way of writing a number means our E.164 one: with or without +, 00, or leading zeros."""
    return ours.lstrip("+0") == theirs.lstrip("+0")


# Without its answer --------------------------------------------------------------------------------------------------


def _unknown(connection: Connection, receipts: Iterable[Receipt]) -> list[Any]:
    """Segments whose answer was lost, to the numbers these receipts speak of, and those still in flight to the same."""
    addresses = {"+" + receipt.to.lstrip("+0") for receipt in receipts if receipt.to}
    if not addresses:
        return []
    lost = _UNKNOWN.all(connection, {"addresses": sorted(addresses)})
    return [*lost, *_IN_FLIGHT.all(connection, {"addresses": sorted(addresses)})] if lost else []


def _told(receipt: Receipt, lost: Sequence[Any], book: settlement.Book) -> Any | None:
    """The segment whose answer was lost and that this receipt can only mean.

    Its own reference decides where the SMS centre echoes it. Else number and submit date must fit, and fit one alone;
    one that is still in flight counts, for a receipt may come before the answer it belongs to.
    """
    fitting = [
        row
        for row in lost
        if row.route == receipt.route and same_number(row.address, receipt.to) and row.id not in book.changes
    ]
    if receipt.reference is not None:
        fitting = [row for row in fitting if row.id & 0xFFFF == receipt.reference]
    else:
        fitting = [row for row in fitting if row.submitted and submitted_about(receipt.submitted, row.submitted)]
    return fitting[0] if len(fitting) == 1 and fitting[0].state == State.UNKNOWN else None


def submitted_about(written: str, at: datetime) -> bool:
    """Whether a receipt's submit date (10 or 12 digits, 14 with the century) is this instant, two minutes more or less.

    SMS centres write it in a zone of their own that they do not tell: whole quarters of an hour are looked past.
    """
    for digits, form in ((10, "%y%m%d%H%M"), (12, "%y%m%d%H%M%S"), (14, "%Y%m%d%H%M%S"), (12, "%Y%m%d%H%M")):
        if len(written) != digits or not written.isdecimal():
            continue
        try:
            told = datetime.strptime(written, form).replace(tzinfo=UTC)
        except ValueError:
            continue
        apart = (told - at).total_seconds()
        # Without seconds the minute is cut off, so that up to 59 seconds are missing.
        slack = _SLACK + (59 if "%S" not in form else 0)
        if abs(apart) <= _FARTHEST_ZONE + slack and abs(apart - _QUARTER * round(apart / _QUARTER)) <= slack:
            return True
    return False


def _after(before: State, receipt: Receipt) -> State | None:
    """What the receipt makes of a segment in this state; None where it changes nothing."""
    after = MEANS.get(receipt.state)
    if after is None and before == State.UNKNOWN:
        after = State.ACCEPTED  # it speaks of what it has
    return after if after is not None and may_become(before, after) else None


def _move(row: Any, receipt: Receipt, book: settlement.Book) -> None:
    before = State(row.state)
    after = _after(before, receipt)
    if after is None or row.id in book.changes:
        return
    if before == State.UNKNOWN:
        book.event(row, "accepted", "the answer was lost; a receipt tells that the SMS centre has it")
    book.move(row, after, peer_id=row.peer_id or receipt.id or None)


def _row(receive: Receive, segment: int | None) -> tuple[Any, ...]:
    """A receipt's row, in the order of its table's columns."""
    receipt = receive.receipt
    return (
        stamp(receive.now),
        receipt.route,
        receipt.id,
        folded_forms(receipt.id)[0] if receipt.id else "",
        receipt.to,
        receipt.sender,
        receipt.state._value_,
        receipt.error,
        receipt.submitted,
        receipt.done,
        segment,
    )


def keep_incoming(connection: Connection, incoming: Incoming, now: datetime) -> None:
    """Store a message from a handset that is no receipt."""
    connection.execute(
        insert(schema.incoming),
        {
            "at": now,
            "route": incoming.route,
            "sender": incoming.sender,
            "address": incoming.to,
            "text": incoming.text,
            "payload": incoming.payload,
            "data_coding": incoming.data_coding,
            "esm_class": incoming.esm_class,
        },
    )

"""What the operator says later about the handset: receipts matched to what was accepted, orphans kept.

A receipt is matched by the id the SMS centre gave and by its number. One that matches nothing is kept as an orphan:
it may have overtaken its own submit_sm_resp, and is looked at again when that is recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from gateway.message import State, may_become
from gateway.store import schema
from gateway.transports.base import Incoming, Outcome, Receipt, ReceiptState, Result

_segment, _receipt = schema.segment, schema.receipt

#: What a receipt's state makes of an accepted segment; the others are only noted.
MEANS: Mapping[ReceiptState, State] = {
    ReceiptState.DELIVERED: State.DELIVERED,
    ReceiptState.UNDELIVERED: State.UNDELIVERED,
    ReceiptState.EXPIRED: State.UNDELIVERED,
    ReceiptState.DELETED: State.UNDELIVERED,
    ReceiptState.REJECTED: State.UNDELIVERED,
}


@dataclass(frozen=True, slots=True)
class Receive:
    """A receipt, and when it came."""

    receipt: Receipt
    now: datetime


_CANDIDATES = (
    select(_segment.c.id, _segment.c.route, _segment.c.peer_id, _segment.c.address, _segment.c.state)
    .where(
        _segment.c.route.in_(bindparam("routes", expanding=True)),
        _segment.c.peer_id.is_not(None),
        _segment.c.peer_id.in_(bindparam("ids", expanding=True)),
    )
    .order_by(_segment.c.id)
    .with_for_update()
)
_ORPHANS = (
    select(_receipt)
    .where(_receipt.c.segment_id.is_(None), _receipt.c.peer_id.in_(bindparam("ids", expanding=True)))
    .order_by(_receipt.c.id)
    .with_for_update()
)
_MOVE = (
    update(_segment)
    .where(_segment.c.id == bindparam("segment"))
    .values(state=bindparam("to_state"), finished=bindparam("to_finished"))
)
_ADOPT = update(_receipt).where(_receipt.c.id == bindparam("orphan")).values(segment_id=bindparam("segment"))


def receive_many(connection: Connection, receives: Sequence[Receive]) -> list[int | None]:
    """Record receipts; for each the segment it belongs to, or None for an orphan.

    A final state stays: a later receipt that says otherwise is kept with the segment and changes nothing.
    """
    candidates = _candidates(connection, ((r.receipt.route, r.receipt.id) for r in receives if r.receipt.id))
    rows: list[dict[str, Any]] = []
    moves: dict[int, dict[str, Any]] = {}
    answers: list[int | None] = []
    for receive in receives:
        receipt = receive.receipt
        found = _match(candidates.get((receipt.route, receipt.id), ()), receipt.to, moves)
        if found is not None:
            _move(found, receipt.state, receive.now, moves)
        answers.append(None if found is None else found.id)
        rows.append(_row(receive, answers[-1]))
    connection.execute(insert(_receipt), rows)
    _write(connection, moves)
    return answers


def adopt_orphans(connection: Connection, outcomes: Iterable[Outcome], now: datetime) -> int:
    """Match receipts that came before the answers they belong to; how many. Called with what was just accepted."""
    ids = sorted({outcome.peer_id for outcome in outcomes if outcome.result == Result.ACCEPTED and outcome.peer_id})
    orphans = connection.execute(_ORPHANS, {"ids": ids}).all() if ids else ()
    if not orphans:
        return 0
    candidates = _candidates(connection, ((orphan.route, orphan.peer_id) for orphan in orphans))
    moves: dict[int, dict[str, Any]] = {}
    adopted = []
    for orphan in orphans:
        found = _match(candidates.get((orphan.route, orphan.peer_id), ()), orphan.address, moves)
        if found is not None:
            _move(found, ReceiptState(orphan.state), now, moves)
            adopted.append({"orphan": orphan.id, "segment": found.id})
    if adopted:
        connection.execute(_ADOPT, adopted)
    _write(connection, moves)
    return len(adopted)


def _candidates(connection: Connection, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[Any]]:
    pairs = set(wanted)
    found: dict[tuple[str, str], list[Any]] = {}
    if pairs:
        values = {"routes": sorted({route for route, _ in pairs}), "ids": sorted({one for _, one in pairs})}
        for row in connection.execute(_CANDIDATES, values):
            found.setdefault((row.route, row.peer_id), []).append(row)
    return found


def _match(candidates: Sequence[Any], number: str, moves: Mapping[int, Any]) -> Any | None:
    """The segment meant: same number, and rather one that still waits for its receipt than one that has it."""
    same = [row for row in candidates if not number or same_number(row.address, number)]
    waiting = [row for row in same if row.state == State.ACCEPTED and row.id not in moves]
    return (waiting or same or [None])[0]


def same_number(ours: str, theirs: str) -> bool:
    """Whether an operator's way of writing a number means our E.164 one: with or without +, 00, or leading zeros."""
    return ours.lstrip("+0") == theirs.lstrip("+0")


def _move(row: Any, state: ReceiptState, now: datetime, moves: dict[int, dict[str, Any]]) -> None:
    after = MEANS.get(state)
    if after is not None and row.id not in moves and may_become(State(row.state), after):
        moves[row.id] = {"segment": row.id, "to_state": after.value, "to_finished": now}


def _write(connection: Connection, moves: Mapping[int, dict[str, Any]]) -> None:
    if moves:
        connection.execute(_MOVE, [moves[key] for key in sorted(moves)])


def _row(receive: Receive, segment: int | None) -> dict[str, Any]:
    receipt = receive.receipt
    return {
        "at": receive.now,
        "route": receipt.route,
        "peer_id": receipt.id,
        "address": receipt.to,
        "sender": receipt.sender,
        "state": receipt.state.value,
        "error": receipt.error,
        "submitted": receipt.submitted,
        "done": receipt.done,
        "segment_id": segment,
    }


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

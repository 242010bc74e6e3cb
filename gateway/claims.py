"""Taking segments from the queue: claimed, promoted when due, ended when their time is over.

Everything here is plain functions of a connection. The conditions on `state` are written as literals, not parameters:
a partial index serves only a query whose text implies its condition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal_column, select, update

from gateway import letters, turns
from gateway.message import Claimed
from gateway.routing import Route
from gateway.store import hot, memory, schema
from gateway.store.schema.base import stamp
from gateway.value import value

_segment = schema.segment

QUEUED = _segment.c.state == literal_column("'queued'")
SUBMITTING = _segment.c.state == literal_column("'submitting'")
UNKNOWN = _segment.c.state == literal_column("'unknown'")
HELD = _segment.c.state == literal_column("'held'")
#: What can still expire.
EXPIRING = _segment.c.state.in_([literal_column("'queued'"), literal_column("'held'")])

#: The most segments one claim or one sweep takes, so that no transaction grows without bound.
MOST = 500


@value
class Claim:
    """A wish for segments: at most `limit` of the route's next, for this node.

    `post` is the route where it carries letters, which are made when they leave.
    """

    route: str
    limit: int
    node: int
    now: datetime
    post: Route | None = None


@dataclass(slots=True)
class Grant:
    """What a claim may get of what is just taken in, since nothing waits on its route: `left` more segments.

    `at` is when it is claimed, as a stamp.
    """

    claim: Claim
    left: int
    at: int
    taken: list[Claimed] = field(default_factory=list)

    def takes(self, parts: int, expires: int) -> bool:
        """Whether all parts of a message, which are good until this stamp, may leave at once.

        If not, nothing after it may: it would leave before it.
        """
        if parts > self.left or expires <= self.at:
            self.left = 0
            return False
        self.left -= parts
        return True

    def take(self, row: tuple[Any, ...]) -> None:
        """Claim a segment that is about to be stored as this row, in the order of its table's columns."""
        (number, _, message, account, n, of, _, to, route, _, _, _, expires, attempts, payload, *how) = row
        data_coding, udhi, concat, reference, _, _, _, urgent, resent, _, _ = how
        seconds = (expires - self.at) / 1_000_000
        self.taken.append(
            Claimed(
                number,
                message,
                account,
                n,
                of,
                to,
                route,
                payload,
                data_coding,
                udhi,
                attempts,
                resent,
                urgent,
                seconds,
                concat,
                reference or 0,
            )
        )


_NEXT = (
    select(_segment.c.id)
    .where(
        QUEUED,
        _segment.c.rank.is_not(None),
        _segment.c.route == bindparam("on_route"),
        _segment.c.expires > bindparam("now_is"),
    )
    .order_by(_segment.c.rank, _segment.c.id)
    .limit(bindparam("at_most"))
)
_TAKEN = (
    _segment.c.id,
    _segment.c.message_id,
    _segment.c.account_id,
    _segment.c.n,
    _segment.c.parts,
    _segment.c.address,
    _segment.c.route,
    _segment.c.payload,
    _segment.c.data_coding,
    _segment.c.udhi,
    _segment.c.concat,
    _segment.c.reference,
    _segment.c.attempts,
    _segment.c.resent,
    _segment.c.urgent,
    _segment.c.expires,
    _segment.c.rank,
)
_SET = {"state": "submitting", "node": bindparam("by_node"), "submitted": bindparam("at_instant")}

_CLAIM_SQLITE = update(_segment).where(_segment.c.id.in_(_NEXT.scalar_subquery())).values(_SET).returning(*_TAKEN)
_picked = _NEXT.with_for_update(skip_locked=True).cte("picked").prefix_with("MATERIALIZED", dialect="postgresql")
_CLAIM_POSTGRESQL = update(_segment).where(_segment.c.id == _picked.c.id).values(_SET).returning(*_TAKEN)
_CLAIM = hot.Statement({"sqlite": _CLAIM_SQLITE, "postgresql": _CLAIM_POSTGRESQL})


_ANY_READY = hot.Statement(
    select(_segment.c.id)
    .where(QUEUED, _segment.c.rank.is_not(None), _segment.c.route == bindparam("on_route"))
    .limit(literal_column("1"))
)


def grants(connection: Connection, claims: Sequence[Claim]) -> dict[str, Grant]:
    """The claims that need not look for anything in the queue, by their route: none of it waits for its turn there."""
    empty = memory.of(connection, "empty")
    found: dict[str, Grant] = {}
    for claim in claims:
        if claim.post is not None or claim.limit < 1:
            continue
        if len(claims) > 1 and sum(one.route == claim.route for one in claims) > 1:
            continue
        if claim.route not in empty and not _ANY_READY.all(connection, {"on_route": claim.route}):
            empty[claim.route] = True
        if claim.route in empty:
            found[claim.route] = Grant(claim, min(claim.limit, MOST), stamp(claim.now))
    return found


def claim_many(connection: Connection, claims: Sequence[Claim]) -> list[list[Claimed]]:
    """For each claim the segments it got, now `submitting`, in the order they should leave.

    What is past its validity is left where it is, for `settlement.expire`.
    """
    answers: list[list[Claimed]] = []
    reached: dict[str, int] = {}
    for claim in claims:
        values = {
            "on_route": claim.route,
            "at_most": max(0, min(claim.limit, MOST)),
            "by_node": claim.node,
            "at_instant": claim.now,
            "now_is": claim.now,
        }
        rows = sorted(_CLAIM.all(connection, values), key=lambda row: (row.rank, row.id))
        if rows:
            reached[claim.route] = max(reached.get(claim.route, 0), rows[-1].rank)
        answers.append(letters.fill(connection, [_claimed(row, claim.now) for row in rows], claim.post))
    if reached:
        turns.advance(connection, reached)
    return answers


def reread(connection: Connection, claim: Claim) -> list[Claimed]:
    """What a claim got whose COMMIT may or may not have happened: a claim is known by its node, route and instant."""
    ours = (_segment.c.node == claim.node) & (_segment.c.route == claim.route) & (_segment.c.submitted == claim.now)
    rows = connection.execute(select(*_TAKEN).where(SUBMITTING, ours).order_by(_segment.c.rank, _segment.c.id))
    return letters.fill(connection, [_claimed(row, claim.now) for row in rows], claim.post)


def _claimed(row: Any, now: datetime) -> Claimed:
    return Claimed(
        id=row.id,
        message=row.message_id,
        account=row.account_id,
        n=row.n,
        of=row.parts,
        to=row.address,
        route=row.route,
        payload=row.payload or b"",
        data_coding=row.data_coding,
        udhi=row.udhi,
        attempts=row.attempts,
        resent=row.resent,
        urgent=row.urgent,
        seconds_left=(row.expires - now).total_seconds(),
        concat=row.concat,
        reference=row.reference or 0,
    )


# What waits ----------------------------------------------------------------------------------------------------------

_WAITING = (
    select(_segment.c.id, _segment.c.route, _segment.c.account_id, _segment.c.urgent)
    .where(QUEUED, _segment.c.rank.is_(None), _segment.c.due <= bindparam("now_is"))
    .order_by(_segment.c.due, _segment.c.id)
    .limit(MOST)
)
_EARLIEST = select(func.min(_segment.c.due)).where(QUEUED, _segment.c.rank.is_(None))
_RANK = hot.Statement(
    update(_segment).where(_segment.c.id == bindparam("segment")).values(rank=bindparam("its_rank"), due=None)
)


def promote(connection: Connection, now: datetime) -> tuple[frozenset[str], datetime | None]:
    """Give a turn to what has become due. The routes that have work now, and when to look again (None: never)."""
    statement = _WAITING
    if connection.dialect.name == "postgresql":
        statement = statement.with_for_update(skip_locked=True)
    rows = connection.execute(statement, {"now_is": now}).all()
    give_turns(connection, rows)
    earliest = now if len(rows) == MOST else connection.execute(_EARLIEST).scalar()
    return frozenset(row.route for row in rows), earliest


def give_turns(connection: Connection, rows: Iterable[Any]) -> None:
    """Rank segments that are queued; each row has id, route, account_id, urgent."""
    waiting = list(rows)
    if not waiting:
        return
    order = turns.Turns(connection, ((row.route, row.account_id) for row in waiting))
    ranks = [
        {"segment": row.id, "its_rank": order.take(row.route, row.account_id, 1, urgent=row.urgent)} for row in waiting
    ]
    _RANK.write(connection, sorted(ranks, key=lambda rank: rank["segment"]))
    order.save()

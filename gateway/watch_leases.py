"""Which daemon watches which mailbox: even shares, taken over from the dead, fenced off by a count of leases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, select, update

from gateway import mailboxes, presence, slots
from gateway.mailboxes import Mailbox
from gateway.store import schema
from gateway.store.schema.base import Instant

_mailbox, _component = schema.mailbox, schema.component

#: What a node that watches says of itself: its kind and name in `status`.
KIND, NAME = "watcher", "imap"


class LostError(Exception):
    """Another daemon has the mailbox now, or it was removed: what was found in it is not ours to write."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The mailboxes this node has: those it took now, and the ids of those it has to leave."""

    took: Sequence[Mailbox]
    left: frozenset[int]


def settled(connection: Connection, node: int, held: Sequence[int]) -> bool:
    """Whether `share_out` has nothing to do. Looks only."""
    living = presence.alive_nodes(connection)
    if node not in living:
        return False
    own = set(connection.execute(select(_mailbox.c.id).where(_mailbox.c.node == node)).scalars())
    return own == set(held) and len(own) == _target(connection, node, living)


def _target(connection: Connection, node: int, living: Mapping[int, str]) -> int:
    """How many mailboxes are this node's even share."""
    total = connection.execute(select(func.count()).select_from(_mailbox)).scalar_one()
    said = select(_component.c.node).where(_component.c.kind == KIND, _component.c.name == NAME)
    watchers = sorted({node, *(set(connection.execute(said).scalars()) & set(living))})
    return slots.share_of(total, watchers, node)


def share_out(connection: Connection, node: int, held: Sequence[int], *, most: int) -> Shares:
    """Take what is free up to this node's even share, and give up what is over it. `held` are those it watches now.

    Of what it holds, those that are no longer its own in the rows (removed, taken by another) are among those to leave.
    At most `most` are taken at once.
    """
    presence.alive(connection)
    living = presence.alive_nodes(connection)
    if node not in living:  # taken for dead: whatever it holds may be another's
        return Shares((), frozenset(held))
    own = set(connection.execute(select(_mailbox.c.id).where(_mailbox.c.node == node)).scalars())
    target = _target(connection, node, living)
    took = _take(connection, node, living, min(most, max(0, target - len(own))))
    surplus = sorted(own)[target:] if not took else []
    if surplus:
        _let_go(connection, node, surplus)
    # What is this node's by its row and is not watched was left when it was taken for dead, and nobody took it since.
    missing = sorted(own - set(held) - set(surplus))[: most - len(took)]
    _lease(connection, node, missing)
    return Shares(mailboxes.load(connection, [*took, *missing]), frozenset(set(held) - own | set(surplus)))


def _take(connection: Connection, node: int, living: dict[int, str], most: int) -> list[int]:
    if not most:
        return []
    free = _mailbox.c.node.is_(None) | _mailbox.c.node.not_in(sorted(living))
    statement = select(_mailbox.c.id).where(free).order_by(_mailbox.c.id).limit(most).with_for_update(skip_locked=True)
    took = list(connection.execute(statement).scalars())
    _lease(connection, node, took)
    return took


def _lease(connection: Connection, node: int, ids: Sequence[int]) -> None:
    if ids:
        again = update(_mailbox).where(_mailbox.c.id.in_(list(ids)))
        connection.execute(again.values(node=node, taken=_mailbox.c.taken + 1))


def _let_go(connection: Connection, node: int, ids: Sequence[int]) -> None:
    connection.execute(update(_mailbox).where(_mailbox.c.id.in_(list(ids)), _mailbox.c.node == node).values(node=None))


def leave_all(connection: Connection, node: int) -> None:
    """Give up everything this node has: it stops."""
    connection.execute(update(_mailbox).where(_mailbox.c.node == node).values(node=None))


def require(connection: Connection, mailbox: int, node: int, taken: int) -> None:
    """Lock a mailbox for this transaction; `LostError` where the lease `taken` is not this node's any more."""
    row: Any = connection.execute(
        select(_mailbox.c.node, _mailbox.c.taken).where(_mailbox.c.id == mailbox).with_for_update()
    ).first()
    if row is None or row.node != node or row.taken != taken:
        raise LostError


@dataclass(frozen=True, slots=True)
class Said:
    """How a mailbox is, and since when, as whoever has its lease `taken` says."""

    mailbox: int
    taken: int
    state: str
    why: str
    at: datetime


def say(connection: Connection, node: int, said: Sequence[Said]) -> None:
    """How these mailboxes are, for `status`; nothing of those that are not this node's any more."""
    if not said:
        return
    ours = (_mailbox.c.id == bindparam("number")) & (_mailbox.c.node == node) & (_mailbox.c.taken == bindparam("lease"))
    since = case((_mailbox.c.state == bindparam("now"), _mailbox.c.since), else_=bindparam("at", type_=Instant()))
    values = {"state": bindparam("now"), "why": bindparam("clause"), "since": since}
    rows = [
        {"number": one.mailbox, "lease": one.taken, "now": one.state, "clause": one.why, "at": one.at}
        for one in sorted(said, key=lambda one: one.mailbox)
    ]
    connection.execute(update(_mailbox).where(ours).values(values), rows)


@dataclass(frozen=True, slots=True)
class Refusals:
    """How often its credentials were refused since they were last good, until when they are not shown again, and
    whether its owner knows."""

    count: int
    again: datetime | None
    told: bool


def refusals(connection: Connection, mailbox: int) -> Refusals:
    """How it stands with a mailbox's credentials."""
    columns = select(_mailbox.c.refusals, _mailbox.c.again, _mailbox.c.told)
    row: Any = connection.execute(columns.where(_mailbox.c.id == mailbox)).one()
    return Refusals(row.refusals, row.again, row.told)


def refused(connection: Connection, mailbox: int, again: datetime, *, told: bool) -> None:
    """Its credentials were refused once more: not before `again`."""
    values = {"refusals": _mailbox.c.refusals + 1, "again": again, "told": told}
    connection.execute(update(_mailbox).where(_mailbox.c.id == mailbox).values(values))


def welcomed(connection: Connection, ids: Sequence[int]) -> None:
    """Their credentials are good (again)."""
    some = (_mailbox.c.refusals > 0) | _mailbox.c.told | _mailbox.c.again.is_not(None)
    values = {"refusals": 0, "told": False, "again": None}
    for start in range(0, len(ids), 500):
        few = _mailbox.c.id.in_(sorted(ids)[start : start + 500])
        connection.execute(update(_mailbox).where(few, some).values(values))

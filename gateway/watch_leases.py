"""Which daemon watches which mailbox: even shares, taken over from the dead, fenced off by a count of leases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select, update

from gateway import mailboxes, presence, slots
from gateway.mailboxes import Mailbox
from gateway.store import schema

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
    total = connection.execute(select(func.count()).select_from(_mailbox)).scalar_one()
    said = select(_component.c.node).where(_component.c.kind == KIND, _component.c.name == NAME)
    watchers = sorted({node, *(set(connection.execute(said).scalars()) & set(living))})
    target = slots.share_of(total, watchers, node)
    took = _take(connection, node, living, min(most, max(0, target - len(own))))
    surplus = sorted(own)[target:] if not took else []
    if surplus:
        _let_go(connection, node, surplus)
    return Shares(mailboxes.load(connection, took), frozenset(set(held) - own | set(surplus)))


def _take(connection: Connection, node: int, living: dict[int, str], most: int) -> list[int]:
    if not most:
        return []
    free = _mailbox.c.node.is_(None) | _mailbox.c.node.not_in(sorted(living))
    statement = select(_mailbox.c.id).where(free).order_by(_mailbox.c.id).limit(most).with_for_update(skip_locked=True)
    took = list(connection.execute(statement).scalars())
    if took:
        again = update(_mailbox).where(_mailbox.c.id.in_(took))
        connection.execute(again.values(node=node, taken=_mailbox.c.taken + 1))
    return took


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


def say(connection: Connection, mailbox: int, node: int, taken: int, now: datetime, state: str, why: str) -> None:
    """How the mailbox is, for `status`; nothing where it is not this node's any more."""
    ours = (_mailbox.c.id == mailbox) & (_mailbox.c.node == node) & (_mailbox.c.taken == taken)
    connection.execute(update(_mailbox).where(ours, _mailbox.c.state != state).values(state=state, since=now))
    connection.execute(update(_mailbox).where(ours, _mailbox.c.why != why).values(why=why))


def refusals(connection: Connection, mailbox: int) -> tuple[int, bool]:
    """How often its credentials were refused since they were last good, and whether its owner knows."""
    row: Any = connection.execute(select(_mailbox.c.refusals, _mailbox.c.told).where(_mailbox.c.id == mailbox)).one()
    return row.refusals, row.told


def refused(connection: Connection, mailbox: int, again: datetime, *, told: bool) -> None:
    """Its credentials were refused once more: not before `again`."""
    values = {"refusals": _mailbox.c.refusals + 1, "again": again, "told": told}
    connection.execute(update(_mailbox).where(_mailbox.c.id == mailbox).values(values))


def welcomed(connection: Connection, mailbox: int) -> None:
    """Its credentials are good (again)."""
    some = (_mailbox.c.refusals > 0) | _mailbox.c.told | _mailbox.c.again.is_not(None)
    values = {"refusals": 0, "told": False, "again": None}
    connection.execute(update(_mailbox).where(_mailbox.c.id == mailbox, some).values(values))

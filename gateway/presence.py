"""Who works on this store, and how it is: nodes with their heartbeats, and the state of each route and listener.

`tocsin status` reads these rows. The times are the database's own, so that the clocks of several machines need not
agree. A daemon that cannot write to its store cannot say so in rows: on SQLite it is asked (`gateway.store.wake.ask`).
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, text, union_all, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway import claims
from gateway.store import schema
from gateway.store.identifiers import Identifiers

#: How often a node says that it lives, in seconds, and after how long a silent one is taken for dead.
BEAT = 1.5
LEASE = 7.0

_node, _component, _segment, _slot = schema.node, schema.component, schema.segment, schema.slot


@dataclass(frozen=True, slots=True)
class Report:
    """How one route, watcher, calendar or listener is, as its own node says."""

    kind: str
    name: str
    state: str
    since: datetime
    why: str = ""
    rate: str = ""


def pack(reports: Sequence[Report]) -> bytes:
    """Reports as a daemon tells them to whoever asks."""
    return json.dumps([[r.kind, r.name, r.state, r.since.isoformat(), r.why, r.rate] for r in reports]).encode()


def unpack(told: bytes | None) -> list[Report] | None:
    """What `pack` made; None where nothing was told, or nothing that can be read."""
    try:
        rows = json.loads(told or b"")
        return [
            Report(kind, name, state, datetime.fromisoformat(at), why, rate)
            for kind, name, state, at, why, rate in rows
        ]
    except (ValueError, TypeError):
        return None


def clock(connection: Connection) -> datetime:
    """The database's present time; SQLite's is this machine's."""
    if connection.dialect.name == "postgresql":
        now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        return now.astimezone(UTC)
    return datetime.now(UTC)


def arrive(connection: Connection, identifiers: Identifiers) -> int:
    """Register this process as a node; its number.

    One daemon at a time works on an SQLite file (the lock of `serve`): whoever else is registered there is dead, and
    what it had in flight need not wait for its lease to run out.
    """
    if connection.dialect.name == "sqlite":
        connection.execute(delete(_component))
        connection.execute(delete(_slot))
        connection.execute(delete(_node))
    number = identifiers.take(connection, 1)[0]
    return_as(connection, number)
    return number


def return_as(connection: Connection, number: int) -> None:
    """Register again under a number whose row was taken away."""
    now = clock(connection)
    connection.execute(
        insert(_node), {"id": number, "host": socket.gethostname(), "pid": os.getpid(), "started": now, "beat": now}
    )


def beat(connection: Connection, number: int, reports: Sequence[Report]) -> bool:
    """Say that this node lives, and how everything on it is. False: others took it for dead and its row is gone."""
    now = clock(connection)
    if not connection.execute(update(_node).where(_node.c.id == number).values(beat=now)).rowcount:
        return False
    if reports:
        rows = [
            {
                "kind": report.kind,
                "name": report.name,
                "node": number,
                "state": report.state,
                "since": report.since,
                "why": report.why,
                "rate": report.rate,
                "beat": now,
            }
            for report in sorted(reports, key=lambda report: (report.kind, report.name))
        ]
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        statement = dialect.insert(_component)
        changed = {name: statement.excluded[name] for name in ("state", "since", "why", "rate", "beat")}
        statement = statement.on_conflict_do_update(index_elements=["kind", "name", "node"], set_=changed)
        connection.execute(statement, rows)
    gone = delete(_component).where(_component.c.node == number, _component.c.beat < now)
    connection.execute(gone)
    return True


def leave(connection: Connection, number: int) -> None:
    """Take this node's rows away."""
    connection.execute(delete(_component).where(_component.c.node == number))
    connection.execute(delete(_slot).where(_slot.c.node == number))
    connection.execute(delete(_node).where(_node.c.id == number))


def alive(connection: Connection) -> frozenset[int]:
    """The nodes whose heart still beats; the rows of the others are taken away."""
    oldest = clock(connection) - timedelta(seconds=LEASE)
    dead = connection.execute(select(_node.c.id).where(_node.c.beat < oldest)).scalars().all()
    for number in sorted(dead):
        leave(connection, number)
    return frozenset(connection.execute(select(_node.c.id)).scalars())


@dataclass(frozen=True, slots=True)
class Status:
    """One line of `tocsin status`; `backlog` is the number of segments that wait for a route, None for the others."""

    kind: str
    name: str
    node: str
    state: str
    since: datetime
    why: str
    backlog: int | None
    rate: str


def status(connection: Connection, routes: Sequence[str] = (), *, told: Sequence[Report] | None = None) -> list[Status]:
    """How everything is. Routes that no living node works on are listed too, as down.

    `told` is what the only daemon on this store just said of itself, which goes before its rows. Of a node that is not
    heard of any more, what it said last is not told as if it were so.
    """
    now = clock(connection)
    nodes = {row.id: row for row in connection.execute(select(_node).order_by(_node.c.beat))}
    backlogs = backlog(connection)
    lines = []
    for node, report in _reports(connection, max(nodes, default=0), told):
        if (row := nodes.get(node)) is None:
            continue
        silent = now - row.beat
        state, since, why = report.state, report.since, report.why
        if told is None and silent > timedelta(seconds=LEASE):
            state, since = "down", row.beat
            heard = f"nothing was heard of it for {int(silent.total_seconds())} seconds"
            why = f"{heard}: it was killed, or it cannot write to the store"
        waiting = backlogs.get(report.name, 0) if report.kind == "route" else None
        lines.append(Status(report.kind, report.name, f"{row.host}:{row.pid}", state, since, why, waiting, report.rate))
    lines += _mailboxes(connection, nodes, alive_nodes(connection))
    present = {line.name for line in lines if line.kind == "route"}
    for name in sorted((set(routes) | set(backlogs)) - present):
        why = "no tocsin serve works on it" if name in routes else "it is not in the configuration"
        lines.append(Status("route", name, "", "down", now, why, backlogs.get(name, 0), ""))
    return lines


def _mailboxes(connection: Connection, nodes: Mapping[int, Any], living: Mapping[int, str]) -> Iterator[Status]:
    """Every watched mailbox, as its own row says; one that nobody watches is down."""
    mailbox, owner = schema.mailbox, schema.account
    joined = select(mailbox, owner.c.name.label("owner")).join(owner, owner.c.id == mailbox.c.account_id)
    for row in connection.execute(joined.order_by(owner.c.name, mailbox.c.name)):
        state, since, why = row.state, row.since, row.why
        if row.node not in living:
            left = nodes.get(row.node)
            state, since = "down", left.beat if left is not None else row.since
            why = "no tocsin serve watches it now"
        yield Status("watcher", f"{row.owner}/{row.name}", living.get(row.node, ""), state, since, why, None, "")


def _reports(connection: Connection, newest: int, told: Sequence[Report] | None) -> Iterator[tuple[int, Report]]:
    """Every report with its node's number, in the order of kind and name."""
    if told is not None:
        yield from ((newest, report) for report in sorted(told, key=lambda report: (report.kind, report.name)))
        return
    for row in connection.execute(select(_component).order_by(_component.c.kind, _component.c.name)):
        yield row.node, Report(row.kind, row.name, row.state, row.since, row.why, row.rate)


def alive_nodes(connection: Connection) -> dict[int, str]:
    """The nodes that are alive, as host:pid; looks only."""
    oldest = clock(connection) - timedelta(seconds=LEASE)
    rows = connection.execute(select(_node).where(_node.c.beat >= oldest))
    return {row.id: f"{row.host}:{row.pid}" for row in rows}


def backlog(connection: Connection) -> dict[str, int]:
    """How many segments of each route have not been answered for yet."""
    # What is always true of each partial index's first column: without it SQLite reads the whole table.
    waiting = select(_segment.c.route).where(claims.EXPIRING, _segment.c.expires > datetime.fromtimestamp(0, UTC))
    flying = select(_segment.c.route).where(claims.SUBMITTING, _segment.c.node > 0)
    both = union_all(waiting, flying).subquery()
    counted = select(both.c.route, func.count().label("n")).group_by(both.c.route)
    return {row.route: row.n for row in connection.execute(counted)}

"""The hot statements find their rows by index, however many finished ones lie beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, delete, event, insert, select, text

from gateway import (
    backlog,
    claims,
    erasure,
    expansion,
    history,
    outline,
    presence,
    receipts,
    reports,
    rerouting,
    settlement,
    story,
    unknown,
    verbs,
)
from gateway.message import State
from gateway.receipts import Receive
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Outcome, Receipt, ReceiptState, Result

HOT = (
    "segment",
    "past",
    "delivery",
    "message",
    "seen",
    "receipt",
    "attempt",
    "ledger",
    "event",
    "chunk",
    "provision",
    "period",
)


SEGMENT = schema.segment
_HALF = (SEGMENT.c.state == "delivered") & (SEGMENT.c.delivery_id % 2 == 0)


@pytest.fixture
async def year(desk: Any, store: Store) -> Any:
    """A store with 30,000 finished segments, 750 accounts, and something of each kind that still waits."""
    ann = desk.account(bought=100_000)
    taken = await desk.send(ann, *(f"+32475{n:06}" for n in range(20)), text="long " * 50, key=b"first")
    await desk.settle(await desk.claim(4), Result.ACCEPTED, peer_id="4F2A")
    await desk.settle(await desk.claim(4), Result.UNKNOWN)
    await desk.claim(4, node=2)
    await desk.send(ann, at=desk.now + timedelta(hours=1))
    await desk.send(ann, *(f"+32476{n:06}" for n in range(1001)))
    for table, keys, where in (
        ("segment", "id delivery_id message_id", f"message_id = {taken.id}"),
        ("delivery", "id message_id", f"message_id = {taken.id}"),
        ("message", "id", f"id = {taken.id}"),
        ("account", "id", "id = 1"),
        ("provision", "account_id", "account_id = 1"),
        ("period", "account_id", "account_id = 1"),
        ("seen", "account_id message_id", "account_id = 1"),
        ("chunk", "message_id rank", "n = 0"),
    ):
        await store.run(partial(_multiply, table=table, keys=keys, where=where))
    await store.run(_finish)
    desk.first = taken.id
    return desk


def _multiply(connection: Connection, table: str, keys: str, where: str) -> None:
    """Add 750 copies of some rows, with other keys, finished where they are segments."""
    finished = {"state": "'delivered'", "rank": "NULL", "due": "NULL", "node": "NULL", "peer_key": "'x' || k"}
    finished["finished"] = "1"
    own = finished if table == "segment" else {"name": "name || k"} if table == "account" else {}
    shifted = keys.split()
    columns = [column.name for column in schema.metadata.tables[table].c]
    values = [
        f"{table}.{name} + 1000000 * k" if name in shifted else own.get(name, f'{table}."{name}"') for name in columns
    ]
    names = ", ".join(f'"{name}"' for name in columns)
    connection.exec_driver_sql(
        "WITH RECURSIVE series(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM series WHERE k < 750) "
        f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM {table}, series WHERE {where}"
    )


def _finish(connection: Connection) -> None:
    connection.execute(insert(schema.past).from_select(SEGMENT.c.keys(), select(SEGMENT).where(_HALF)))
    connection.execute(delete(SEGMENT).where(_HALF))
    connection.exec_driver_sql("UPDATE past SET peer_key = 'y' || id")
    receipts_of = "1, 'one', 'x', 'x' || id, '+32', '', 'delivered', '', '', ''"
    columns = "at, route, peer_id, peer_key, address, sender, state, error, submitted, done, segment_id"
    connection.exec_driver_sql(f"INSERT INTO receipt ({columns}) SELECT {receipts_of}, id FROM segment")
    connection.exec_driver_sql(f"INSERT INTO receipt ({columns}) SELECT {receipts_of}, NULL FROM segment LIMIT 5000")
    if connection.dialect.name == "postgresql":  # as autovacuum does; nobody does so for SQLite
        connection.exec_driver_sql("ANALYZE")


@contextmanager
def plans(store: Store) -> Iterator[list[tuple[str, str]]]:
    """Collects, for every statement that is run meanwhile, its text and the database's plan for it."""
    collected: list[tuple[str, str]] = []
    explain = "EXPLAIN QUERY PLAN " if store.engine.dialect.name == "sqlite" else "EXPLAIN "

    def explained(connection: Connection, statement: str, values: Any) -> None:
        if statement.split(maxsplit=1)[0] in ("SELECT", "UPDATE", "DELETE", "WITH") and any(
            t in statement for t in HOT
        ):
            cursor = connection.connection.cursor()
            cursor.execute(explain + statement, values)
            collected.append((statement, "\n".join(" ".join(map(str, row)) for row in cursor.fetchall())))
            cursor.close()

    def look(connection: Connection, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        explained(connection, statement, values[0] if many else values)

    def watch(connection: Connection) -> None:
        connection.info["watch"] = partial(explained, connection)

    event.listen(store.engine, "before_cursor_execute", look)
    event.listen(store.engine, "begin", watch)
    store.run_now(lambda connection: None)  # a set begins past the engine, on the connection of this work
    yield collected
    event.remove(store.engine, "before_cursor_execute", look)
    event.remove(store.engine, "begin", watch)


def _scans(plan: str) -> list[str]:
    """Hot tables this plan reads from end to end; SQLite's words first, then PostgreSQL's."""
    lines = [line.strip().lstrip("0123456789 ->") for line in plan.splitlines()]
    return [
        table
        for table in HOT
        for line in lines
        if (line.startswith(f"SCAN {table}") and "USING" not in line) or line.startswith(f"Seq Scan on {table} ")
    ]


def _run(work: Callable[[Connection], Any]) -> Callable[[Any], Any]:
    return lambda desk: desk.store.run(work)


CASES: dict[str, tuple[Callable[[Any], Any], set[str]]] = {
    "submit": (lambda desk: desk.submit(desk.draft(1, key=b"mail")), set()),
    "claim": (lambda desk: desk.claim(10), {"ix_segment_ready"}),
    "settle": (lambda desk: _settle(desk, Result.ACCEPTED), set()),
    "settle, failed": (lambda desk: _settle(desk, Result.PERMANENT), {"ix_segment_message_id"}),
    "receive": (
        lambda desk: desk.store.do(
            verbs.RECEIVE, Receive(Receipt("one", "4F2A", "+32475000000", "", ReceiptState.DELIVERED), desk.now)
        ),
        {"ix_segment_peer_key"},
    ),
    "receive, for what is unknown": (
        lambda desk: desk.store.do(
            verbs.RECEIVE, Receive(Receipt("one", "77", "+32475000002", "", ReceiptState.DELIVERED), desk.now)
        ),
        {"ix_segment_unknown_address"},
    ),
    "promote": (
        lambda desk: desk.store.run(lambda connection: claims.promote(connection, desk.now + timedelta(hours=2))),
        {"ix_segment_waiting"},
    ),
    "expire": (
        lambda desk: desk.store.run(lambda connection: settlement.expire(connection, desk.now)),
        {"ix_segment_expiring"},
    ),
    "strand": (
        lambda desk: desk.store.run(lambda connection: unknown.strand(connection, desk.now, {}, alive=[1])),
        {"ix_segment_submitting"},
    ),
    "resend": (
        lambda desk: desk.store.run(lambda connection: unknown.resend(connection, desk.now, ["one"])),
        {"ix_segment_unknown"},
    ),
    "expand": (
        lambda desk: desk.store.run(lambda c: expansion.expand_next(c, desk.store.identifiers)),
        {"ix_chunk_rank_message_id"},
    ),
    "reroute": (
        lambda desk: desk.store.run(lambda connection: rerouting.reroute(connection, desk.routes, desk.now)),
        {"ix_segment_expiring"},
    ),
    "report": (
        lambda desk: desk.store.run(
            lambda connection: reports.make(
                connection, desk.store.identifiers, reports.Office("sms.example.org", desk.routes), desk.now
            )
        ),
        set(),
    ),
    "look for what is over": (
        lambda desk: desk.store.read(
            lambda connection: history.find(connection, desk.now + timedelta(days=1), after=0, silent=["one"])
        ),
        set(),
    ),
    "retire": (lambda desk: desk.store.run(_retire), set()),
    "receive, for what is past": (
        lambda desk: desk.store.do(
            verbs.RECEIVE, Receive(Receipt("one", "y5", "+32475000000", "", ReceiptState.DELIVERED), desk.now)
        ),
        {"ix_past_peer_key"},
    ),
    "story": (
        lambda desk: desk.store.read(lambda connection: story.show(connection, desk.first)),
        {"ix_past_message_id", "ix_segment_message_id"},
    ),
    "list": (
        lambda desk: desk.store.read(lambda connection: story.page(connection, story.Wanted(), before=10**9, limit=5)),
        {"ix_past_message_id", "ix_segment_message_id"},
    ),
    "list, by state": (
        lambda desk: desk.store.read(
            lambda connection: story.page(connection, story.Wanted(state=State.DELIVERED), before=10**9, limit=5)
        ),
        {"ix_past_message_id", "ix_segment_message_id"},
    ),
    "erase": (
        lambda desk: desk.store.run(
            lambda connection: erasure.erase(connection, desk.now + timedelta(days=1), 1_000_000)
        ),
        {"ix_past_message_id", "ix_segment_message_id"},
    ),
    "backlog": (lambda desk: desk.store.read(presence.backlog), set()),
    "counts": (lambda desk: desk.store.read(backlog.counts), {"ix_segment_ready", "ix_segment_waiting"}),
    "standing": (lambda desk: desk.store.read(partial(outline.standing, message=1, inline=10)), set()),
    "long message": (lambda desk: desk.submit(desk.draft(1, text="long " * 50)), {"ix_segment_long"}),
    "orphans": (
        lambda desk: desk.store.run(
            lambda connection: receipts.adopt_orphans(connection, [Outcome(1, Result.ACCEPTED, peer_id="99")], desk.now)
        ),
        {"ix_receipt_orphan"},
    ),
}


BY_STATISTICS = ("retire", "erase", "story", "list", "list, by state")


def _retire(connection: Connection) -> None:
    later = datetime(2026, 3, 11, 13, tzinfo=UTC)
    some = history.find(connection, later, after=0, silent=["one"]).segments[:500]
    assert history.retire(connection, some, later, silent=["one"]) == len(some) == 500


async def _settle(desk: Any, result: Result) -> None:
    await desk.settle(await desk.claim(2), result, peer_id="5")


async def test_hot_statements_use_their_indexes(year: Any, store: Store) -> None:
    wrong = []
    for name, (act, indexes) in CASES.items():
        if name in BY_STATISTICS and store.engine.dialect.name == "postgresql":
            continue  # it sees that these tables are small, or a step much of them
        with plans(store) as collected:
            await act(year)
        assert collected, name
        together = "\n".join(plan for _, plan in collected)
        wrong += [f"{name} does not use {index}:\n{together}" for index in indexes if index not in together]
        wrong += [
            f"{name} reads all of {scans}:\n{said}\n{plan}" for said, plan in collected if (scans := _scans(plan))
        ]
    assert not wrong, "\n\n".join(wrong)


async def test_a_statement_that_reads_a_whole_table_would_be_noticed(year: Any, store: Store) -> None:
    with plans(store) as collected:
        await store.run(lambda connection: connection.execute(text("SELECT id FROM segment WHERE units = 7")).all())
    ((_, plan),) = collected
    assert _scans(plan) == ["segment"]

"""The hot statements find their rows by index, however many finished ones lie beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from gateway import claims, expansion, receipts, settlement, unknown, verbs
from gateway.receipts import Receive
from gateway.settlement import Settle
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Outcome, Receipt, ReceiptState, Result

HOT = (
    "segment",
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


@pytest.fixture
async def year(desk: Any, store: Store) -> Any:
    """A store with 30,000 finished segments and everything of each kind that still waits for something."""
    ann = desk.account(bought=100_000)
    taken = await desk.send(ann, *(f"+32475{n:06}" for n in range(20)), text="long " * 50)
    await desk.settle(await desk.claim(4), Result.ACCEPTED, peer_id="4F2A")
    await desk.settle(await desk.claim(4), Result.UNKNOWN)
    await desk.claim(4, node=2)
    await desk.send(ann, at=desk.now + timedelta(hours=1))
    await desk.send(ann, *(f"+32476{n:06}" for n in range(1001)))
    for table, keys in (("segment", "id delivery_id message_id"), ("delivery", "id message_id"), ("message", "id")):
        await store.run(lambda connection, t=table, k=keys: _multiply(connection, t, k.split(), taken.id))  # type: ignore[misc]
    await store.run(_settle_down)
    return desk


def _multiply(connection: Connection, table: str, keys: list[str], message: int) -> None:
    columns = [column.name for column in schema.metadata.tables[table].c if column.name not in keys]
    own = {"state": "'delivered'", "rank": "NULL", "due": "NULL", "node": "NULL", "peer_key": "'x' || k"}
    values = [own.get(name, f'"{name}"') if table == "segment" else f'"{name}"' for name in columns]
    quoted = ", ".join(f'"{name}"' for name in columns)
    shifted = [f"{key} + 1000000 * k" for key in keys]
    connection.exec_driver_sql(
        "WITH RECURSIVE series(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM series WHERE k < 750) "
        f"INSERT INTO {table} ({', '.join(keys)}, {quoted}) "
        f"SELECT {', '.join(shifted)}, {', '.join(values)} FROM {table}, series "
        f"WHERE {'id' if table == 'message' else 'message_id'} = {message}"
    )


def _settle_down(connection: Connection) -> None:
    connection.exec_driver_sql(
        "INSERT INTO receipt (at, route, peer_id, peer_key, address, sender, state, error, submitted,"
        " done, segment_id) SELECT 1, 'one', 'x', 'x', '+32', '', 'delivered', '', '', '', id FROM segment"
    )
    connection.exec_driver_sql("ANALYZE")


@contextmanager
def plans(store: Store) -> Iterator[list[tuple[str, str]]]:
    """Collects, for every statement that is run meanwhile, its text and the database's plan for it."""
    collected: list[tuple[str, str]] = []
    explain = "EXPLAIN QUERY PLAN " if store.engine.dialect.name == "sqlite" else "EXPLAIN "

    @event.listens_for(store.engine, "before_cursor_execute")
    def look(connection: Connection, _cursor: Any, statement: str, values: Any, _context: Any, many: bool) -> None:
        if statement.split(maxsplit=1)[0] in ("SELECT", "UPDATE", "DELETE", "WITH") and any(
            t in statement for t in HOT
        ):
            cursor = connection.connection.cursor()
            cursor.execute(explain + statement, values[0] if many else values)
            collected.append((statement, "\n".join(" ".join(map(str, row)) for row in cursor.fetchall())))
            cursor.close()

    yield collected
    event.remove(store.engine, "before_cursor_execute", look)


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
        lambda desk: desk.store.run(lambda connection: unknown.strand(connection, desk.now, {}, alive=[])),
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
    "long message": (lambda desk: desk.submit(desk.draft(1, text="long " * 50)), {"ix_segment_long"}),
    "orphans": (
        lambda desk: desk.store.run(
            lambda connection: receipts.adopt_orphans(connection, [Outcome(1, Result.ACCEPTED, peer_id="99")], desk.now)
        ),
        {"ix_receipt_orphan"},
    ),
}


async def _settle(desk: Any, result: Result) -> None:
    submitting = desk.rows(schema.segment, claims.SUBMITTING)
    outcomes = tuple(Outcome(row.id, result, peer_id="5") for row in submitting)
    await desk.store.do(verbs.SETTLE, Settle(outcomes, desk.now, {}, 0.5, 2))


async def test_hot_statements_use_their_indexes(year: Any, store: Store) -> None:
    wrong = []
    for name, (act, indexes) in CASES.items():
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

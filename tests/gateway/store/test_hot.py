"""Hot statements keep what the engine promises: one failure ends the transaction, errors are ours, nothing is told."""

from __future__ import annotations

import contextlib
import traceback
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, delete, select, text, tuple_, update
from sqlalchemy.exc import DBAPIError

from gateway.store import hot, schema
from gateway.store.engine import StoreError
from gateway.store.hot import MOST_IN
from gateway.store.schema.base import stamp
from gateway.store.store import Store

HOLD, SHARE = schema.hold, schema.share
NOW = datetime(2026, 3, 10, 12, 0, 0, 123456, tzinfo=UTC)

ADD = hot.insert_into(HOLD, *HOLD.c.keys())
FIND = hot.Statement(select(HOLD).where(HOLD.c.name.in_(bindparam("names", expanding=True))).order_by(HOLD.c.name))
PAIRS = hot.Statement(
    select(HOLD.c.name)
    .where(HOLD.c.kind != bindparam("but"), tuple_(HOLD.c.kind, HOLD.c.name).in_(bindparam("pairs", expanding=True)))
    .order_by(HOLD.c.name)
)
MOVE = hot.Statement(update(HOLD).where(HOLD.c.name == bindparam("which")).values(since=bindparam("to"), kind="moved"))
SHIFT = hot.Statement(
    update(HOLD).where(HOLD.c.name == bindparam("which")).values(since=bindparam("to")), order=("to", "which")
)
WRONG = hot.Statement(select(text("1 FROM nowhere")))


def rows(*names: str) -> list[dict[str, Any]]:
    return [{"kind": "mark", "name": name, "since": NOW} for name in names]


def marks(connection: Connection) -> list[str]:
    return list(connection.execute(select(HOLD.c.name).order_by(HOLD.c.name)).scalars())


async def test_rows_go_in_and_come_out_as_they_were(store: Store) -> None:
    await store.run(lambda connection: ADD.write(connection, rows("a", "b", "c")))
    found = await store.read(lambda connection: FIND.all(connection, {"names": ["a", "c"]}))
    assert [(row.kind, row.name, row.since) for row in found] == [("mark", "a", NOW), ("mark", "c", NOW)]


async def test_flags_come_out_as_truth(store: Store) -> None:
    add = hot.insert_into(SHARE, *SHARE.c.keys())
    await store.run(
        lambda c: add.write(c, [{"route": "one", "account_id": 1, "urgent": flag, "rank": 5} for flag in (True, False)])
    )
    every = hot.Statement(select(SHARE.c.urgent).order_by(SHARE.c.urgent))
    assert [row.urgent for row in await store.read(lambda c: every.all(c, {}))] == [False, True]


async def test_constants_and_instants_find_their_places(store: Store) -> None:
    await store.run(lambda connection: ADD.write(connection, rows("a")))
    later = NOW.replace(year=2027)
    await store.run(lambda connection: MOVE.write(connection, [{"which": "a", "to": later}]))
    (row,) = await store.read(lambda connection: FIND.all(connection, {"names": ["a"]}))
    assert (row.kind, row.since) == ("moved", later)


@pytest.mark.parametrize("n", [1, 3])
async def test_rows_that_are_put_are_those_that_are_written(store: Store, n: int) -> None:
    names = [f"{k}" for k in range(2 * n)]
    await store.run(lambda connection: ADD.write(connection, rows(*names[:n])))
    await store.run(lambda connection: ADD.put(connection, [("mark", name, stamp(NOW)) for name in names[n:]]))
    found = await store.read(lambda connection: FIND.all(connection, {"names": names}))
    assert [(row.kind, row.name, row.since) for row in found] == [("mark", name, NOW) for name in names]
    later = NOW.replace(year=2027)
    await store.run(lambda connection: SHIFT.put(connection, [(stamp(later), name) for name in names[:n]]))
    found = await store.read(lambda connection: FIND.all(connection, {"names": names}))
    assert [row.since for row in found] == [later] * n + [NOW] * n


async def test_values_in_another_order_than_the_statements_are_not_put(store: Store) -> None:
    moved = update(HOLD).where(HOLD.c.name == bindparam("which")).values(since=bindparam("to"))
    wrong = hot.Statement(moved, order=("which", "to"))
    with pytest.raises(AssertionError, match="wants"):
        await store.run(lambda connection: wrong.put(connection, [("a", stamp(NOW))]))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 9, 22, 65, MOST_IN, MOST_IN + 1, 2 * MOST_IN + 3])
async def test_lists_of_any_length_are_found_whole_and_in_order(store: Store, n: int) -> None:
    names = [f"{k:05}" for k in range(n)]
    await store.run(lambda connection: ADD.write(connection, rows(*names)))
    found = await store.read(lambda connection: FIND.all(connection, {"names": names}))
    assert [row.name for row in found] == names
    pairs = [("mark", name) for name in names]
    told = await store.read(lambda connection: PAIRS.all(connection, {"pairs": pairs, "but": "moved"}))
    assert [row.name for row in told] == names


async def test_an_empty_list_finds_nothing(store: Store) -> None:
    assert await store.read(lambda connection: FIND.all(connection, {"names": []})) == []
    await store.run(lambda connection: ADD.write(connection, []))


@pytest.mark.parametrize("later", ["nothing", "hot", "plain"])
async def test_a_statement_that_failed_ends_its_transaction_whoever_swallows_the_error(
    store: Store, later: str
) -> None:
    def work(connection: Connection) -> None:
        ADD.write(connection, rows("before"))
        with contextlib.suppress(DBAPIError):
            ADD.write(connection, rows("before"))
        if later == "hot":
            ADD.write(connection, rows("after"))
        elif later == "plain":
            connection.execute(delete(HOLD))

    with pytest.raises(StoreError):
        await store.run(work)
    assert await store.read(marks) == []
    await store.run(lambda connection: ADD.write(connection, rows("well")))
    assert await store.read(marks) == ["well"]


async def test_a_failure_of_plain_statements_ends_hot_ones_too(store: Store) -> None:
    def work(connection: Connection) -> None:
        with contextlib.suppress(DBAPIError):
            connection.execute(text("SELECT nothing FROM nowhere"))
        ADD.write(connection, rows("after"))

    with pytest.raises(StoreError):
        await store.run(work)
    assert await store.read(marks) == []


async def test_no_value_stands_in_an_error(store: Store) -> None:
    secret = "+32475123456"
    with pytest.raises(StoreError) as caught:
        await store.run(lambda connection: ADD.write(connection, rows(secret, "other", secret)))
    told = "".join(traceback.format_exception(caught.value))
    assert "hold" in told
    assert secret not in told


async def test_an_error_is_said_as_any_other_of_the_store(store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        await store.run(lambda connection: WRONG.all(connection, {}))
    assert isinstance(caught.value.__cause__, DBAPIError)
    assert str(caught.value) == "the store has not the tables this version needs: run tocsin migrate"


async def test_statements_that_are_prepared_survive_a_change_of_the_schema(store: Store) -> None:
    """Whoever migrates while another process runs: what was prepared before is prepared anew."""
    for n in range(8):  # often enough for psycopg to prepare it at the server
        await store.run(lambda connection, n=n: ADD.write(connection, rows(f"{n}")))  # type: ignore[misc]
        assert await store.read(lambda connection: len(FIND.all(connection, {"names": ["0", "1"]}))) == min(n + 1, 2)
    await store.run(lambda connection: connection.exec_driver_sql("ALTER TABLE hold ADD COLUMN more INTEGER").close())
    await store.run(lambda connection: ADD.write(connection, rows("later")))
    (row,) = await store.read(lambda connection: FIND.all(connection, {"names": ["later"]}))
    assert row.name == "later"


async def test_a_hot_statement_begins_the_transaction_it_needs(store: Store) -> None:
    with store.engine.connect() as connection:
        ADD.write(connection, rows("kept"))
        connection.commit()
        ADD.write(connection, rows("dropped"))
        connection.rollback()
    assert await store.read(marks) == ["kept"]


async def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError):
        await store.read(lambda connection: ADD.write(connection, rows("a")))
    assert await store.read(marks) == []


@pytest.mark.peer("postgresql")
async def test_a_connection_killed_at_a_hot_statement_is_run_again_on_a_fresh_one(
    postgresql_database: str, open_store: Any
) -> None:
    store: Store = open_store(postgresql_database)
    kill = hot.Statement(select(text("pg_terminate_backend(pg_backend_pid()), pg_sleep(5)")))
    runs: list[int] = []

    def work(connection: Connection) -> None:
        runs.append(1)
        ADD.write(connection, rows("gold"))
        if len(runs) == 1:
            kill.all(connection, {})

    await store.run(work)
    assert len(runs) == 2
    assert await store.read(marks) == ["gold"]

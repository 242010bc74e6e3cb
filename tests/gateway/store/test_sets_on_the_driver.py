"""A set begins and ends on the driver's own connection: plain statements and hot ones are of one transaction there."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import DBAPIError

from gateway.failure import RefusedError
from gateway.store import hot, schema
from gateway.store.errors import StoreError
from gateway.store.schema.base import stamp
from gateway.store.store import Store

HOLD = schema.hold
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ADD = hot.insert_into(HOLD, *HOLD.c.keys())
Way = Callable[[Connection, str], None]


def plainly(connection: Connection, name: str) -> None:
    connection.execute(insert(HOLD), {"kind": "mark", "name": name, "since": NOW})


def hotly(connection: Connection, name: str) -> None:
    ADD.put(connection, [("mark", name, stamp(NOW))])


def marks(connection: Connection) -> list[str]:
    return list(connection.execute(select(HOLD.c.name).order_by(HOLD.c.name)).scalars())


ORDERS = pytest.mark.parametrize(
    "ways",
    [(plainly, hotly), (hotly, plainly), (hotly, hotly), (plainly, plainly)],
    ids=lambda ways: " then ".join(way.__name__ for way in ways),
)


@pytest.fixture
def store(sqlite_database: str, open_store: Callable[..., Store]) -> Store:
    return open_store(sqlite_database)


@pytest.fixture(params=["in the writer's thread", "in the loop's"])
def carry(request: pytest.FixtureRequest, store: Store) -> Callable[[Callable[[Connection], Any]], Any]:
    """Carries out a work as a set."""
    store.run_now(marks)  # the connection is open
    return store._run_set if request.param == "in the writer's thread" else store._run_set_here


@ORDERS
def test_all_of_a_set_is_committed_together(store: Store, carry: Any, ways: tuple[Way, Way]) -> None:
    seen: list[list[str]] = []

    def work(connection: Connection) -> None:
        for n, way in enumerate(ways):
            way(connection, f"{n}")
            seen.append(store.read_now(marks))

    carry(work)
    assert seen == [[], []]
    assert store.read_now(marks) == ["0", "1"]
    carry(lambda connection: ways[0](connection, "2"))
    assert store.read_now(marks) == ["0", "1", "2"]


@ORDERS
@pytest.mark.parametrize("error", [RefusedError("no"), ZeroDivisionError("ours")], ids=["refusal", "defect"])
def test_nothing_of_a_set_stays_that_did_not_go_well(
    store: Store, carry: Any, ways: tuple[Way, Way], error: Exception
) -> None:
    def work(connection: Connection) -> None:
        for n, way in enumerate(ways):
            way(connection, f"{n}")
        raise error

    before = store._kept
    with pytest.raises(type(error)):
        carry(work)
    assert store.read_now(marks) == []
    assert store._kept is before
    carry(lambda connection: ways[1](connection, "next"))
    assert store.read_now(marks) == ["next"]


@ORDERS
def test_one_failure_ends_a_set_whoever_swallows_it(store: Store, carry: Any, ways: tuple[Way, Way]) -> None:
    def work(connection: Connection) -> None:
        ways[0](connection, "before")
        with contextlib.suppress(DBAPIError):
            ways[0](connection, "before")
        ways[1](connection, "after")

    def ends(connection: Connection) -> None:
        with contextlib.suppress(DBAPIError):
            connection.execute(text("SELECT nothing FROM nowhere"))
        ways[1](connection, "after")

    for failing in (work, ends):
        store.run_now(marks)  # the one before took the connection along
        with pytest.raises(StoreError, match="failed before"):
            carry(failing)
        assert store.read_now(marks) == []
    store._run_set(lambda connection: ways[0](connection, "next"))
    assert store.read_now(marks) == ["next"]


@ORDERS
def test_a_set_is_not_committed_to_a_file_that_is_gone(store: Store, carry: Any, ways: tuple[Way, Way]) -> None:
    file = Path(store.engine.url.database or "")
    away = file.with_name("away.db")

    def work(connection: Connection) -> None:
        for n, way in enumerate(ways):
            way(connection, f"{n}")
        file.rename(away)

    with pytest.raises(StoreError, match="moved away or replaced"):
        carry(work)
    away.rename(file)
    assert store.read_now(marks) == []


@ORDERS
def test_a_set_whose_transaction_is_gone_is_not_committed(store: Store, carry: Any, ways: tuple[Way, Way]) -> None:
    def work(connection: Connection) -> None:
        for n, way in enumerate(ways):
            way(connection, f"{n}")
        connection.connection.cursor().execute("ROLLBACK")  # behind everybody's back

    with pytest.raises(StoreError, match="dropped the transaction"):
        carry(work)
    assert store.read_now(marks) == []


def test_what_the_driver_is_told_to_take_as_it_is_stays_so(store: Store) -> None:
    """Sets hand over flags, octets and nothings by the thousand (`engine`)."""
    with contextlib.closing(sqlite3.connect(":memory:")) as one:
        values = (True, False, b"\0\xff", b"", None)
        assert one.execute("SELECT ?, ?, ?, ?, ?", values).fetchone() == (1, 0, b"\0\xff", b"", None)
        kinds = one.execute("SELECT typeof(?), typeof(?), typeof(?)", (True, b"x", None)).fetchone()
    assert kinds == ("integer", "blob", "null")

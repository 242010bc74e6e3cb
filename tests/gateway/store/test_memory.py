"""What one set knew the next knows, as long as nobody else can have written; then nobody knows anything."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text

from gateway.failure import RefusedError
from gateway.store import carrier, memory, schema
from gateway.store.engine import open_engine, parse_url
from gateway.store.errors import StoreError
from gateway.store.memory import MOST
from gateway.store.store import Store

HOLD = schema.hold
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Known = dict[Any, Any]


def learn(connection: Connection, facts: Sequence[Any]) -> list[Known]:
    """A hot verb: what was known before, for each; then these facts are known as well."""
    known = memory.of(connection, "facts")
    before = dict(known)
    known.update((fact, True) for fact in facts)
    return [before] * len(facts)


def spoil(connection: Connection, errors: Sequence[Any]) -> list[Any]:
    """A hot verb that learns something wrong, and then fails as it is told; "twice" the database refuses."""
    memory.of(connection, "facts")["wrong"] = True
    if isinstance(errors[0], BaseException):
        raise errors[0]
    return list(connection.execute(insert(HOLD), [{"kind": "mark", "name": "twice", "since": NOW}] * 2).all())


def mark(connection: Connection, name: str = "mark") -> None:
    connection.execute(insert(HOLD), {"kind": "mark", "name": name, "since": NOW})


def marks(connection: Connection) -> list[str]:
    return list(connection.execute(select(HOLD.c.name).order_by(HOLD.c.name)).scalars())


def put_in_place(copy: Path, file: Path) -> None:
    """As one restores a backup: without the old log."""
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    copy.rename(file)


@pytest.fixture(params=["here", "there"])
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Sets are carried out in the loop's own thread, or in the writer's."""
    if request.param == "there":
        monkeypatch.setattr(carrier, "FEW", 0)
    found: str = request.param
    return found


@pytest.fixture
def store(sqlite_database: str, where: str) -> Iterator[Store]:
    """A store whose verbs are those of this test, and whose connection is open."""
    one = Store(open_engine(parse_url(sqlite_database)), {"spoil": spoil, "learn": learn})
    one.run_now(marks)
    yield one
    one.close()


@pytest.fixture
def outside(store: Store) -> Iterator[sqlite3.Connection]:
    """Another process's connection."""
    with contextlib.closing(sqlite3.connect(store.engine.url.database or "", isolation_level=None)) as other:
        yield other


def write_outside(outside: sqlite3.Connection, name: str = "theirs") -> None:
    outside.execute("INSERT INTO hold (kind, name, since) VALUES ('mark', ?, '2026-01-01')", [name])


async def known(store: Store) -> list[Any]:
    """What a set knows."""
    before: Known = await store.do("learn", "asked")
    return sorted(before.keys() - {"asked"})


# Known ----------------------------------------------------------------------------------------------------------------


async def test_what_a_set_knew_the_next_knows(store: Store) -> None:
    assert await store.do("learn", "a") == {}
    assert list(await asyncio.gather(*(store.do("learn", one) for one in "bc"))) == [{"a": True}] * 2
    assert await known(store) == ["a", "b", "c"]


async def test_the_verbs_of_a_set_know_the_same(sqlite_database: str) -> None:
    store = Store(open_engine(parse_url(sqlite_database)), {"first": learn, "second": learn})
    second, first = await asyncio.gather(store.do("second", "b"), store.do("first", "a"))
    assert (first, second) == ({}, {"a": True})
    await store.aclose()


async def test_kinds_are_kept_apart(sqlite_database: str) -> None:
    def other(connection: Connection, facts: Sequence[Any]) -> list[Known]:
        return [dict(memory.of(connection, "other"))] * len(facts)

    store = Store(open_engine(parse_url(sqlite_database)), {"learn": learn, "other": other})
    await store.do("learn", "a")
    assert await store.do("other", None) == {}
    await store.aclose()


async def test_who_only_reads_makes_nobody_forget(store: Store, outside: sqlite3.Connection) -> None:
    await store.do("learn", "a")
    await store.read(marks)
    outside.execute("SELECT * FROM hold").fetchall()
    assert await known(store) == ["a"]


async def test_a_refusal_of_one_member_makes_nobody_forget(sqlite_database: str) -> None:
    def answer(connection: Connection, facts: Sequence[Any]) -> list[Any]:
        learn(connection, facts)
        return [RefusedError("no")] * len(facts)

    store = Store(open_engine(parse_url(sqlite_database)), {"answer": answer, "learn": learn})
    with pytest.raises(RefusedError):
        await store.do("answer", "a")
    assert await known(store) == ["a"]
    await store.aclose()


# Forgotten ------------------------------------------------------------------------------------------------------------


async def test_another_process_that_writes_makes_it_forgotten(store: Store, outside: sqlite3.Connection) -> None:
    await store.do("learn", "a")
    write_outside(outside)
    assert await store.do("learn", "b") == {}
    assert await known(store) == ["b"]


async def test_another_store_that_writes_makes_it_forgotten(store: Store, sqlite_database: str) -> None:
    other = Store(open_engine(parse_url(sqlite_database)))
    await store.do("learn", "a")
    await other.run(mark)
    assert await known(store) == []
    await other.aclose()


async def test_what_another_writes_while_a_set_waits_for_it_is_seen_by_this_set(
    store: Store, outside: sqlite3.Connection
) -> None:
    await store.do("learn", "a")
    outside.execute("BEGIN IMMEDIATE")
    write_outside(outside)
    asked = asyncio.ensure_future(store.do("learn", "b"))
    await asyncio.sleep(0.05)
    assert not asked.done()
    outside.execute("COMMIT")
    assert await asked == {}


@pytest.mark.parametrize("work", [marks, mark], ids=["reads", "writes"])
async def test_a_work_on_the_same_connection_makes_it_forgotten(
    store: Store, work: Callable[[Connection], Any]
) -> None:
    await store.do("learn", "a")
    await store.run(work)
    assert await known(store) == []


async def test_a_work_that_fails_makes_it_forgotten(store: Store) -> None:
    await store.do("learn", "a")
    with pytest.raises(ZeroDivisionError):
        await store.run(lambda connection: connection.execute(text("SELECT 1")).scalar_one() / 0)
    assert await known(store) == []


@pytest.mark.parametrize(
    ("error", "kind"),
    [("twice", StoreError), (ZeroDivisionError("ours"), ZeroDivisionError), (StoreError("no"), StoreError)],
    ids=["refused by the database", "a defect of ours", "an error of the store's"],
)
async def test_a_set_that_fails_leaves_nothing_wrong_behind(store: Store, error: Any, kind: type[Exception]) -> None:
    await store.do("learn", "a")
    answers = await asyncio.gather(store.do("spoil", error), store.do("learn", "b"), return_exceptions=True)
    assert isinstance(answers[0], kind)
    assert answers[1] == {}
    assert await known(store) == ["b"]


async def test_a_commit_that_is_refused_leaves_nothing_wrong_behind(sqlite_database: str, where: str) -> None:
    def rolled_back(connection: Connection, facts: Sequence[Any]) -> list[Known]:
        answers = learn(connection, facts)
        if "dropped" in facts:
            connection.connection.cursor().execute("ROLLBACK")  # behind everybody's back
        return answers

    store = Store(open_engine(parse_url(sqlite_database)), {"learn": rolled_back})
    await store.do("learn", "a")
    with pytest.raises(StoreError, match="dropped the transaction"):
        await store.do("learn", "dropped")
    assert await known(store) == []
    await store.aclose()


async def test_a_connection_that_is_dropped_takes_it_along(store: Store) -> None:
    """The new one may count others' commits from the same number."""
    await store.do("learn", "a")
    before = store._kept
    with pytest.raises(StoreError):
        await store.run(lambda connection: connection.execute(text("SELECT nothing FROM nowhere")))
    assert store._kept is None
    assert await known(store) == []
    assert store._kept is not None
    assert store._kept is not before


async def test_a_file_that_was_replaced_is_not_believed_to_be_the_old_one(store: Store, tmp_path: Path) -> None:
    await store.do("learn", "a")
    file, copy = Path(store.engine.url.database or ""), tmp_path / "copy.db"
    with contextlib.closing(sqlite3.connect(file)) as one, contextlib.closing(sqlite3.connect(copy)) as two:
        one.backup(two)
    put_in_place(copy, file)
    with contextlib.suppress(StoreError):  # the first set finds it out, or begins anew at once
        await store.do("learn", "b")
    assert "a" not in await known(store)


async def test_more_than_there_is_room_for_is_forgotten_the_rest_is_kept(sqlite_database: str) -> None:
    def count(connection: Connection, members: Sequence[tuple[str, int]]) -> list[int]:
        answers = []
        for kind, n in members:
            facts = memory.of(connection, kind)
            answers.append(len(facts))
            facts.update(dict.fromkeys(range(n)))
        return answers

    store = Store(open_engine(parse_url(sqlite_database)), {"count": count})
    assert await asyncio.gather(*(store.do("count", one) for one in (("few", MOST), ("many", MOST + 1)))) == [0, 0]
    assert await asyncio.gather(*(store.do("count", (kind, 0)) for kind in ("few", "many"))) == [MOST, 0]
    await store.aclose()


# Nobody knows ---------------------------------------------------------------------------------------------------------


async def test_outside_of_a_set_nothing_is_known_and_nothing_lasts(store: Store) -> None:
    await store.do("learn", "a")

    def work(connection: Connection) -> tuple[Known, Known, bool]:
        first = memory.of(connection, "facts")
        first["b"] = True
        return first, memory.of(connection, "facts"), memory.lasts(connection)

    assert await store.run(work) == ({"b": True}, {}, False)
    assert await known(store) == []


async def test_on_a_database_with_many_writers_no_set_knows_anything(database: str) -> None:
    """Only SQLite says inside of a transaction whether anybody has written."""

    def lasts(connection: Connection, members: Sequence[Any]) -> list[bool]:
        return [memory.lasts(connection)] * len(members)

    store = Store(open_engine(parse_url(database)), {"learn": learn, "lasts": lasts})
    is_sqlite = database.startswith("sqlite")
    await store.do("learn", "a")
    assert await known(store) == (["a"] if is_sqlite else [])
    assert await store.do("lasts", None) == is_sqlite
    await store.aclose()


def test_it_is_known_only_within(store: Store) -> None:
    used: list[Connection] = []

    def know(connection: Connection) -> list[Known]:
        used.append(connection)
        return learn(connection, ["a"])

    def know_and_fail(connection: Connection) -> None:
        assert learn(connection, ["c"]) == [{"a": True}]
        spoil(connection, [ZeroDivisionError("ours")])

    assert store._run_set(know) == [{}]
    assert not memory.lasts(used[0])
    assert learn(used[0], ["b"]) == [{}]
    with pytest.raises(ZeroDivisionError):
        store._run_set(know_and_fail)
    assert store._run_set(lambda connection: learn(connection, ["d"])) == [{}]

"""Another process holds SQLite's lock of writers: the loop's own thread waits for nobody, the writer's thread does."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from gateway.store import engine as engines
from gateway.store import schema
from gateway.store.engine import open_engine, parse_url
from gateway.store.errors import StoreError, WaitsError
from gateway.store.store import Store

HOLD = schema.hold
NOW = datetime(2026, 1, 1, tzinfo=UTC)
_OTHER = (
    "import sqlite3, sys; other = sqlite3.connect(sys.argv[1], isolation_level=None);"
    "other.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read(); other.execute('ROLLBACK')"
)


def mark(connection: Connection, names: Sequence[str]) -> list[str]:
    """A hot verb; "bad" comes twice, which the key refuses."""
    for name in names:
        rows = [{"kind": "mark", "name": name, "since": NOW}] * (2 if name == "bad" else 1)
        connection.execute(insert(HOLD), rows)
    return list(names)


def marks(connection: Connection) -> list[str]:
    return list(connection.execute(select(HOLD.c.name).order_by(HOLD.c.name)).scalars())


@pytest.fixture
def store(sqlite_database: str) -> Iterator[Store]:
    """A store whose one hot verb is that of this test, and whose connection is open."""
    one = Store(open_engine(parse_url(sqlite_database)), {"mark": mark})
    one.run_now(marks)
    yield one
    one.close()


@pytest.fixture
def lock(store: Store) -> Iterator[Callable[[], Callable[[], None]]]:
    """Has another process take the lock; the answer lets go of it."""
    with contextlib.ExitStack() as stack:

        def take() -> Callable[[], None]:
            command = [sys.executable, "-c", _OTHER, str(Path(store.engine.url.database or ""))]
            other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            assert other.stdout is not None
            assert other.stdout.readline() == "locked\n"

            def let_go() -> None:
                if other.poll() is None:
                    other.communicate("", timeout=30)

            stack.callback(let_go)
            return let_go

        yield take


def kept(store: Store) -> Any:
    """The driver's connection of the one writer."""
    assert store._kept is not None
    return store._kept.connection.dbapi_connection


async def test_here_nothing_is_waited_for_and_the_connection_stays(
    store: Store, lock: Callable[[], Callable[[], None]]
) -> None:
    let_go, connection = lock(), kept(store)
    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(WaitsError):
            store._run_set_here(lambda one: mark(one, ["never"]))
    assert time.monotonic() - began < 1
    assert kept(store) is connection
    let_go()
    store._run_set_here(lambda one: mark(one, ["here"]))
    assert kept(store) is connection
    assert store.read_now(marks) == ["here"]


async def test_a_work_that_comes_next_is_a_transaction_all_the_same(
    store: Store, lock: Callable[[], Callable[[], None]]
) -> None:
    """Whoever could not begin leaves a connection on which everything still begins, and is taken back when it fails."""
    let_go = lock()
    with pytest.raises(WaitsError):
        store._run_set_here(lambda one: mark(one, ["never"]))
    let_go()
    with pytest.raises(StoreError):
        store.run_now(lambda one: mark(one, ["first", "bad"]))
    assert store.read_now(marks) == []
    store.run_now(lambda one: mark(one, ["second"]))
    assert store.read_now(marks) == ["second"]


async def test_a_work_that_comes_next_waits_as_well(store: Store, lock: Callable[[], Callable[[], None]]) -> None:
    let_go = lock()
    with pytest.raises(WaitsError):
        store._run_set_here(lambda one: mark(one, ["never"]))
    waiting = asyncio.create_task(store.run(lambda one: mark(one, ["waited"])))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    let_go()
    assert await waiting == ["waited"]
    assert store.read_now(marks) == ["waited"]


async def test_a_set_that_may_not_wait_here_waits_in_the_writers_thread_and_is_carried_out_once(
    store: Store, lock: Callable[[], Callable[[], None]]
) -> None:
    let_go, connection = lock(), kept(store)
    asked = [asyncio.ensure_future(store.do("mark", name)) for name in ("a", "b")]
    for _ in range(5):
        await asyncio.sleep(0.01)  # the loop turns while the set waits
    assert not any(one.done() for one in asked)
    let_go()
    assert await asyncio.gather(*asked) == ["a", "b"]
    assert store.read_now(marks) == ["a", "b"]
    assert kept(store) is connection


async def test_the_writers_thread_waits_as_long_as_it_says_and_then_says_why(
    store: Store, lock: Callable[[], Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY", 0.3)
    let_go = lock()
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"^the store is locked by another process$") as caught:
        await store.do("mark", "late")
    assert 0.3 <= time.monotonic() - began < 3
    assert not isinstance(caught.value, WaitsError)
    let_go()
    assert await store.do("mark", "healed") == "healed"
    assert store.read_now(marks) == ["healed"]


async def test_here_no_work_of_the_same_store_is_waited_for(store: Store) -> None:
    entered, go = threading.Event(), threading.Event()

    def work(connection: Connection) -> None:
        mark(connection, ["first"])
        entered.set()
        assert go.wait(30)

    running = asyncio.create_task(store.run(work))
    assert await asyncio.to_thread(entered.wait, 30)
    with pytest.raises(WaitsError):
        store._run_set_here(lambda one: mark(one, ["never"]))
    asked = asyncio.ensure_future(store.do("mark", "second"))
    await asyncio.sleep(0.02)
    assert not asked.done()
    go.set()
    await running
    assert await asked == "second"
    assert store.read_now(marks) == ["first", "second"]


async def test_the_first_set_opens_the_connection_in_the_writers_thread(sqlite_database: str) -> None:
    store = Store(open_engine(parse_url(sqlite_database)), {"mark": mark})
    with pytest.raises(WaitsError):
        store._run_set_here(lambda one: mark(one, ["never"]))
    assert await store.do("mark", "first") == "first"
    store._run_set_here(lambda one: mark(one, ["here"]))
    assert store.read_now(marks) == ["first", "here"]
    await store.aclose()


async def test_whoever_writes_in_the_loops_thread_may_be_waited_for_by_others(store: Store) -> None:
    """A work from another thread begins when the set here has committed, and sees it."""
    seen: list[list[str]] = []
    others: list[threading.Thread] = []

    def here(connection: Connection) -> None:
        mark(connection, ["here"])
        others.append(threading.Thread(target=lambda: seen.append(store.run_now(marks))))
        others[0].start()
        others[0].join(0.05)
        assert seen == []

    store._run_set_here(here)
    others[0].join(30)
    assert seen == [["here"]]


async def test_what_fails_here_is_rolled_back_and_the_next_is_sound(store: Store) -> None:
    asked = [store.do("mark", name) for name in ("a", "bad", "b")]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert (answers[0], answers[2]) == ("a", "b")
    assert isinstance(answers[1], StoreError)
    assert store.read_now(marks) == ["a", "b"]


async def test_a_lock_taken_between_two_statements_of_the_wait_is_no_error(store: Store) -> None:
    """Somebody else takes the lock and lets it go again and again: everything that was asked is written once."""
    stop = threading.Event()

    def disturb() -> None:
        with contextlib.closing(sqlite3.connect(store.engine.url.database or "", isolation_level=None)) as other:
            while not stop.wait(0.002):
                with contextlib.suppress(sqlite3.OperationalError):
                    other.execute("BEGIN IMMEDIATE")
                    stop.wait(0.004)
                    other.execute("ROLLBACK")

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    try:
        for n in range(40):
            await asyncio.gather(store.do("mark", f"a{n:02}"), store.do("mark", f"b{n:02}"))
            await store.run(lambda one, n=n: mark(one, [f"c{n:02}"]))  # type: ignore[misc]
    finally:
        stop.set()
        disturbing.join()
    assert store.read_now(marks) == [f"{letter}{n:02}" for letter in "abc" for n in range(40)]

"""SQLite for real: a full disk, a lock that somebody else holds, a file that goes away. All of it heals by itself."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select
from sqlalchemy.exc import SQLAlchemyError

from gateway.store import engine as engines
from gateway.store import schema
from gateway.store.engine import StoreError, UnusableUrlError, open_engine, parse_url
from gateway.store.store import Store

HOLD = schema.hold
NOW = datetime(2026, 1, 1, tzinfo=UTC)

_numbers = itertools.count()


def fill(connection: Connection, megabytes: float = 4) -> None:
    """Write this much in statements of one row each, as an executemany does."""
    rows = [
        {"kind": "fill", "name": f"{next(_numbers)}" + "x" * 100_000, "since": NOW} for _ in range(int(megabytes * 10))
    ]
    connection.execute(insert(HOLD), rows)


def mark(connection: Connection, name: str = "mark") -> None:
    connection.execute(insert(HOLD), {"kind": "mark", "name": name, "since": NOW})


def marks(connection: Connection) -> list[str]:
    return list(connection.execute(select(HOLD.c.name).where(HOLD.c.kind == "mark").order_by(HOLD.c.name)).scalars())


def put_in_place(backup: Path, file: Path) -> None:
    """As one restores a backup: without the old log."""
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    backup.rename(file)


def remount(folder: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", folder], check=True)


def path(store: Store) -> Path:
    assert store.engine.url.database is not None
    return Path(store.engine.url.database)


@pytest.fixture
def store(sqlite_database: str, open_store: Callable[..., Store]) -> Store:
    return open_store(sqlite_database)


@pytest.fixture
def full(store: Store) -> Callable[[bool], None]:
    """Makes the store's file unable to grow on every connection, or able again."""
    limit = {"pages": 0}

    @event.listens_for(store.engine, "begin")
    def limited(connection: Connection) -> None:
        connection.connection.cursor().execute(f"PRAGMA max_page_count={limit['pages'] or 2**30}")

    def set_full(is_full: bool) -> None:
        with sqlite3.connect(path(store)) as outside:
            (pages,) = outside.execute("PRAGMA page_count").fetchone()
        outside.close()
        limit["pages"] = pages if is_full else 0

    return set_full


def test_what_is_committed_is_on_the_disk_before_anybody_is_told(store: Store) -> None:
    def look(connection: Connection) -> tuple[Any, ...]:
        return tuple(connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous"))

    full = 2  # sqlite.org/pragma.html#pragma_synchronous
    assert store.run_now(look) == ("wal", full)
    assert store.read_now(look) == ("wal", full)


# Full -----------------------------------------------------------------------------------------------------------------


async def test_a_full_disk_is_said_in_one_sentence_and_heals(store: Store, full: Callable[[bool], None]) -> None:
    full(True)
    with pytest.raises(StoreError, match=r"^the disk that holds the store is full$"):
        await store.run(fill)
    full(False)
    await store.run(fill)
    await store.run(mark)
    assert await store.read(marks) == ["mark"]


def _drops_the_transaction(connection: Connection) -> bool:
    """Fill the disk, swallow the error; whether SQLite itself has dropped the transaction."""
    with contextlib.suppress(SQLAlchemyError):
        fill(connection)
    return not connection.connection.dbapi_connection.in_transaction  # type: ignore[union-attr]


async def test_sqlite_drops_the_whole_transaction_when_the_disk_is_full(
    store: Store, full: Callable[[bool], None]
) -> None:
    """What all this is about: were SQLite to stop doing so, these tests would prove nothing."""
    full(True)
    dropped = []

    def work(connection: Connection) -> None:
        mark(connection)
        dropped.append(_drops_the_transaction(connection))

    with pytest.raises(StoreError):
        await store.run(work)
    assert dropped == [True]


@pytest.mark.parametrize("later", ["nothing", "statement", "savepoint"])
async def test_after_a_dropped_transaction_no_later_statement_commits_alone(
    store: Store, full: Callable[[bool], None], later: str
) -> None:
    full(True)

    def work(connection: Connection) -> None:
        mark(connection, "before")
        assert _drops_the_transaction(connection)
        if later == "statement":
            mark(connection, "after")
        elif later == "savepoint":
            with connection.begin_nested():
                mark(connection, "after")

    with pytest.raises(StoreError):
        await store.run(work)
    full(False)
    assert await store.read(marks) == []
    await store.run(mark)
    assert await store.read(marks) == ["mark"]


async def test_commit_is_refused_when_the_transaction_is_gone_for_whatever_reason(store: Store) -> None:
    def work(connection: Connection) -> None:
        mark(connection)
        connection.connection.cursor().execute("ROLLBACK")  # behind everybody's back

    with pytest.raises(StoreError, match="dropped the transaction"):
        await store.run(work)
    assert await store.read(marks) == []


async def test_on_a_full_disk_the_small_members_of_a_set_go_through(
    sqlite_database: str, full: Callable[[bool], None], store: Store
) -> None:
    """The set fails as a whole, each member is run alone, and only the large one has no room."""

    def write(connection: Connection, members: Any) -> list[str]:
        for member in members:
            fill(connection, 4) if member == "large" else mark(connection, member)
        return list(members)

    house = Store(store.engine, {"write": write})
    full(True)
    answers = await asyncio.gather(*(house.do("write", name) for name in ("a", "large", "b")), return_exceptions=True)
    assert (answers[0], answers[2]) == ("a", "b")
    assert isinstance(answers[1], StoreError)
    full(False)
    assert await house.read(marks) == ["a", "b"]
    await house.aclose()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small tmpfs needs root")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"this kernel mounts no tmpfs here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_really_full_disk_loses_nothing_and_heals(
    small_disk: Path, sqlite_database: str, open_store: Callable[..., Store]
) -> None:
    file = small_disk / "tocsin.db"
    shutil.copy(parse_url(sqlite_database).database or "", file)
    store = open_store(f"sqlite:///{file}")
    ballast = small_disk / "ballast"
    taken = []
    refused: list[str] = []
    try:
        for n in range(60):
            try:
                await store.run(lambda connection, n=n: (mark(connection, f"{n:03}"), fill(connection, 0.1)))  # type: ignore[misc]
                taken.append(f"{n:03}")
            except StoreError as error:
                refused.append(str(error))
            if n == 5:
                ballast.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 1_000_000))
            if n == 40:
                ballast.unlink()
        assert len(refused) > 5
        # An error is what SQLite says where its log's index has no page left to map.
        assert set(refused) <= {
            "the disk that holds the store is full",
            "the disk that holds the store reports an error",
        }
        assert taken[-1] == "059"
        assert await store.read(marks) == taken
        with sqlite3.connect(file) as outside:
            assert outside.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        outside.close()
    finally:
        store.close()


# Locked ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def locked(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Another process holds the write lock until the answer is called. Waiting for it takes 0.3 seconds here."""
    monkeypatch.setattr(engines, "BUSY", 0.3)
    code = (
        "import sqlite3, sys; other = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "other.execute('BEGIN IMMEDIATE'); print('locked', flush=True); sys.stdin.read(); other.execute('ROLLBACK')"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, path(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdin is not None
    assert other.stdout.readline() == "locked\n"

    def let_go() -> None:
        other.communicate("", timeout=30)

    yield let_go
    if other.poll() is None:
        let_go()


async def test_a_lock_of_another_process_is_waited_for_then_said_and_heals(
    store: Store, locked: Callable[[], None]
) -> None:
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"^the store is locked by another process$"):
        await store.run(mark)
    assert time.monotonic() - began >= 0.3
    assert await store.read(marks) == []  # readers do not wait
    locked()
    await store.run(mark)
    assert await store.read(marks) == ["mark"]


async def test_a_lock_that_is_let_go_in_time_is_no_error(store: Store) -> None:
    with contextlib.closing(sqlite3.connect(path(store), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(store.run(mark))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        other.execute("ROLLBACK")
        await waiting


async def test_a_set_waits_for_a_lock_once_not_once_a_member(store: Store, locked: Callable[[], None]) -> None:
    house = Store(store.engine, {"mark": lambda connection, names: [mark(connection, name) for name in names]})
    began = time.monotonic()
    asked = [house.do("mark", f"{n:02}") for n in range(40)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(answer, StoreError) for answer in answers)
    assert time.monotonic() - began < 3
    locked()
    await house.do("mark", "healed")
    assert await house.read(marks) == ["healed"]
    await house.aclose()


# Gone -----------------------------------------------------------------------------------------------------------------


async def test_a_file_that_is_moved_away_is_noticed_and_taken_up_again_when_it_is_back(store: Store) -> None:
    await store.run(mark)
    file, away = path(store), path(store).with_name("away.db")
    file.rename(away)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"tocsin\.db"):
            await store.run(lambda connection: mark(connection, "lost"))
        with pytest.raises(StoreError, match=r"tocsin\.db"):
            await store.read(marks)
    assert not file.exists()
    away.rename(file)
    await store.run(lambda connection: mark(connection, "later"))
    assert await store.read(marks) == ["later", "mark"]


async def test_a_file_that_is_replaced_is_not_written_to_unawares(store: Store, tmp_path: Path) -> None:
    """A restored backup is put in its place: the next work is refused, or on the new file, never on the old one."""
    await store.run(mark)
    backup = tmp_path / "backup.db"
    with contextlib.closing(sqlite3.connect(path(store))) as one, contextlib.closing(sqlite3.connect(backup)) as two:
        one.backup(two)
    await store.run(lambda connection: mark(connection, "after the backup"))
    put_in_place(backup, path(store))
    with pytest.raises(StoreError, match="moved away or replaced"):
        await store.run(lambda connection: mark(connection, "lost"))
    await store.run(lambda connection: mark(connection, "on the new file"))
    assert await store.read(marks) == ["mark", "on the new file"]


async def test_a_file_that_goes_while_a_work_is_on_is_not_committed_to(store: Store) -> None:
    def work(connection: Connection) -> None:
        mark(connection)
        path(store).unlink()

    with pytest.raises(StoreError, match="moved away or replaced"):
        await store.run(work)


async def test_a_disk_that_may_only_be_read_is_said_and_heals(
    small_disk: Path, sqlite_database: str, open_store: Callable[..., Store]
) -> None:
    file = small_disk / "tocsin.db"
    shutil.copy(parse_url(sqlite_database).database or "", file)
    store = open_store(f"sqlite:///{file}")
    try:
        remount(small_disk, "ro")
        with pytest.raises(StoreError, match=r"cannot be (written|opened)"):
            await store.run(mark)
        remount(small_disk, "rw")
        await store.run(mark)
        assert await store.read(marks) == ["mark"]
    finally:
        store.close()


# URLs -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://", "would lose what it accepted"),
        ("sqlite:///:memory:", "would lose what it accepted"),
        ("mysql://host/name", "is not supported"),
        ("sqlite+aiosqlite:////tmp/x.db", "is not supported"),
        ("tocsin.db", "no database URL"),
    ],
)
def test_a_url_that_cannot_be_used_says_what_to_write(url: str, said: str) -> None:
    with pytest.raises(UnusableUrlError, match=said):
        parse_url(url)


@pytest.mark.parametrize("name", ["with space.db", "percent%41.db", "question?mark=1#.db", "größe.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str, sqlite_database: str) -> None:
    shutil.copy(parse_url(sqlite_database).database or "", tmp_path / name)
    url = parse_url("sqlite:///x").set(database=str(tmp_path / name))
    store = Store(open_engine(url))
    store.run_now(mark)
    assert store.read_now(marks) == ["mark"]
    store.close()

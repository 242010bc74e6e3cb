"""Engines: SQLite for real, PostgreSQL for real.

SQLite runs in driver autocommit with explicit `BEGIN IMMEDIATE` and `COMMIT`, write-ahead log, synchronous=FULL. When
the disk is full SQLite may drop the whole transaction by itself, and a later statement would then commit alone: every
connection remembers that a statement failed and refuses all others until the rollback, and COMMIT is refused when
SQLite says there is no transaction any more. A file that was moved away or replaced under an open connection is
noticed before anything is written to it: what is committed to a file nobody finds again would be lost.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor, ExceptionContext
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, QueuePool

from gateway.store import hot
from gateway.store.errors import StoreError as StoreError
from gateway.store.errors import StoreLostError as StoreLostError
from gateway.store.errors import WaitsError, forget_values
from gateway.store.writer import Writer

#: How long a statement waits for another's lock, and a work for a connection, in seconds.
BUSY = 5.0

#: Pauses while another writes, in seconds.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02

_PRAGMAS = (
    "synchronous=FULL",
    "foreign_keys=ON",
    "cache_size=-32768",
    "temp_store=MEMORY",
    "wal_autocheckpoint=2000",
)
#: For what is no number and no text the driver looks for ways to adapt it, which it has none of, by raising exceptions:
#: it costs more than the rest of a value's way. So it is told that these are to go as they are.
_AS_THEY_ARE: Mapping[type, Callable[[Any], Any]] = {bool: int, bytes: bytes, type(None): {None: None}.get}
#: What every PostgreSQL session is set to, whatever the server's configuration says. A daemon that was frozen within a
#: transaction holds its locks for fifteen seconds, and no longer.
_SETTINGS = "-c timezone=UTC -c synchronous_commit=on -c lock_timeout=5000 -c idle_in_transaction_session_timeout=15000"


class UnusableUrlError(ValueError):
    """The URL of the store names no database Tocsin can keep its state in."""


def parse_url(text: str) -> URL:
    """The URL of a store; `UnusableUrlError`, with what to write instead, for anything but SQLite and PostgreSQL."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise UnusableUrlError(
            "this is no database URL: write sqlite:////var/lib/tocsin/tocsin.db or postgresql+psycopg://user@host/name"
        ) from None
    if url.get_backend_name() == "sqlite" and url.drivername in ("sqlite", "sqlite+pysqlite"):
        if not url.database or url.database == ":memory:":
            raise UnusableUrlError(
                "a store in memory would lose what it accepted: name a file, sqlite:////path/to/tocsin.db"
            )
        return url
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    raise UnusableUrlError(f"{url.drivername} is not supported: use sqlite or postgresql+psycopg")


def is_sqlite(engine: Engine) -> bool:
    """Whether this engine is SQLite's."""
    return engine.dialect.name == "sqlite"


def open_engine(url: URL, *, connections: int = 20) -> Engine:
    """An engine with the durability Tocsin promises; no connection is made yet, and no file.

    `connections` is the most it has open at once on PostgreSQL.
    """
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url, connections)
    _refuse_after_failure(engine)
    return engine


def reads(engine: Engine) -> Mapping[str, Any]:
    """The execution options of a transaction that only reads, on one snapshot."""
    if is_sqlite(engine):
        return {"tocsin_reads": True}
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def _postgresql(url: URL, connections: int) -> Engine:
    options = url.query.get("options", "")
    return create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections // 2,
        max_overflow=connections - connections // 2,
        pool_timeout=BUSY,
        pool_use_lifo=True,
        isolation_level="READ COMMITTED",
        hide_parameters=True,  # texts and numbers have no place in tracebacks
        connect_args={
            "connect_timeout": 5,
            "application_name": "tocsin",
            "options": f"{options if isinstance(options, str) else ' '.join(options)} {_SETTINGS}".strip(),
            # A peer that vanished without a word is noticed within half a minute, not after hours.
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
        },
    )


def _sqlite(url: URL) -> Engine:
    assert url.database is not None
    file = Path(url.database).absolute()
    name = os.fspath(file)

    def connect() -> sqlite3.Connection:
        # mode=rw: only `create_file` makes a store. One that is made by the way would be empty, and would look like one
        # that lost everything.
        if not file.exists():
            raise StoreError(f"there is no store at {file}: bring the file back, or make a new one with tocsin migrate")
        return sqlite3.connect(
            f"{file.as_uri()}?mode=rw",
            uri=True,
            timeout=BUSY,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )

    for kind, adapt in _AS_THEY_ARE.items():
        sqlite3.register_adapter(kind, adapt)
    engine = create_engine(url, poolclass=NullPool, creator=connect, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def configure(dbapi: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info["name"], record.info["file"] = name, _identity(name)
        cursor = dbapi.cursor()
        _write_ahead(cursor)
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if type(connection) is Writer and connection.begun is not None:
            return  # within a set, which has begun
        _require_same_file(connection.info)
        if connection.get_execution_options().get("tocsin_reads", False):
            # A reader takes no lock: its snapshot is the WAL's.
            hot.execute(connection, "PRAGMA query_only=ON")
            hot.execute(connection, "BEGIN")
        else:
            _begin_to_write(connection, connection.connection.dbapi_connection)

    @event.listens_for(engine, "commit")
    def still_there(connection: Connection) -> None:
        _require_transaction(connection.info, connection.connection.dbapi_connection)

    return engine


def _write_ahead(cursor: DBAPICursor) -> None:
    """Turn the write-ahead log on; where two do so on a new file at once, SQLite refuses one without any waiting."""
    give_up = time.monotonic() + BUSY
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return


def create_file(engine: Engine) -> None:
    """Make the file of an SQLite store, empty and readable by its owner only, where there is none."""
    assert engine.url.database is not None
    try:
        os.close(os.open(engine.url.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreError(f"the store's file {engine.url.database} cannot be made: {error.strerror}") from None


def _identity(name: str) -> tuple[int, int] | None:
    try:
        status = os.stat(name)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _begin_to_write(connection: Connection, cursor: Any, *, hurry: bool = False) -> None:
    """Take SQLite's lock of writers, which whoever writes now holds for at most `BUSY` seconds, let us hope.

    Who is in a hurry does not wait: `WaitsError` at once. SQLite's own way of waiting is not to be had for one
    statement.
    """
    give_up = 0.0
    pause = _FIRST_PAUSE
    while True:
        try:
            cursor.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if busy and hurry:
                raise WaitsError("somebody else writes") from None
            give_up = give_up or time.monotonic() + BUSY
            if not busy or time.monotonic() > give_up:
                raise hot.failed(connection, "BEGIN IMMEDIATE", error) from error
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _require_same_file(info: Mapping[str, Any]) -> None:
    if info["file"] != _identity(info["name"]):
        raise StoreError(f"the store's file {info['name']} was moved away or replaced while it was open")


def _require_transaction(info: Mapping[str, Any], driver: Any) -> None:
    """What must be so just before COMMIT, for it to keep everything, where it is found again."""
    _require_same_file(info)
    if not driver.in_transaction:
        raise StoreError("the database dropped the transaction before it was committed; nothing of it was kept")


def _require_no_failure(info: Mapping[str, Any]) -> None:
    if "failed" in info:
        raise StoreError(f"a statement of this transaction failed before: {info['failed']}")


# Sets of the one writer -----------------------------------------------------------------------------------------------


def begin_set(connection: Writer, *, hurry: bool = False) -> None:
    """Begin a set's transaction; `WaitsError`, and nothing begun, where another writes and there is a hurry.

    That the file is still in its place is looked at just before it is committed.
    """
    pooled = connection.connection
    driver: Any = pooled.dbapi_connection
    cursor = driver.cursor()  # one for all: every statement's rows are read before the next
    _begin_to_write(connection, cursor, hurry=hurry)
    connection.begun, connection.notes = driver, pooled.info
    connection.cursor = None if "watch" in pooled.info else cursor


def commit_set(connection: Writer) -> None:
    """Commit it; `StoreError`, as from every transaction, where not all of it would be kept."""
    driver, info = connection.begun, connection.notes
    if connection.get_transaction() is not None:  # plain statements were among it
        connection.commit()
    else:
        _require_transaction(info, driver)
        _require_no_failure(info)
        try:
            driver.execute("COMMIT")
        except sqlite3.Error as error:
            raise hot.failed(connection, "COMMIT", error) from error
    connection.begun = connection.cursor = None


def roll_back_set(connection: Writer) -> None:
    """Undo what a set has written, whatever it has come to."""
    driver, connection.begun, connection.cursor = connection.begun, None, None
    connection.rollback()
    if driver is not None and driver.in_transaction:
        driver.execute("ROLLBACK")
    connection.info.pop("failed", None)


def _refuse_after_failure(engine: Engine) -> None:
    """Make a failed statement end its transaction for good, whoever swallows the error."""

    def refuse(connection: Connection, *_: Any) -> None:
        _require_no_failure(connection.info)

    @event.listens_for(engine, "handle_error")
    def remember(context: ExceptionContext) -> None:
        forget_values(context.original_exception, context.sqlalchemy_exception)
        connection = context.connection
        if connection is not None and not connection.closed and not connection.invalidated:
            hot.end(connection, context.original_exception)

    @event.listens_for(engine, "rollback")
    def forget(connection: Connection) -> None:
        if not connection.invalidated:
            connection.info.pop("failed", None)

    event.listen(engine, "before_cursor_execute", refuse)
    event.listen(engine, "commit", refuse)

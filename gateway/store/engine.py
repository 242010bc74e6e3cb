"""Engines: SQLite for real, PostgreSQL for real.

SQLite runs in driver autocommit with explicit `BEGIN IMMEDIATE` and `COMMIT`, write-ahead log, synchronous=FULL. When
the disk is full SQLite may drop the whole transaction by itself, and a later statement would then commit alone: every
connection remembers that a statement failed inside its transaction and refuses all others until the rollback, and
COMMIT is refused when SQLite says there is no transaction any more.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool, QueuePool

#: How long a statement waits for another process's lock, in seconds.
BUSY = 5.0

#: SQLSTATEs after which the same work may simply be run again: serialization_failure, deadlock_detected.
_RERUN = frozenset({"40001", "40P01"})


class StoreError(Exception):
    """The store cannot do it now; `str()` is one plain sentence. Whoever asked should try again later."""


class StoreLostError(StoreError):
    """The connection went while committing: it may have happened or not."""


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


def open_engine(url: URL, *, connections: int = 8) -> Engine:
    """An engine with the durability Tocsin promises; no connection is made yet."""
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=4,
        pool_timeout=BUSY,
        pool_pre_ping=False,
        pool_use_lifo=True,
        connect_args={
            "connect_timeout": 5,
            "application_name": "tocsin",
            "options": "-c timezone=UTC -c synchronous_commit=on -c lock_timeout=5000 "
            "-c idle_in_transaction_session_timeout=60000",
        },
    )
    _refuse_after_failure(engine)
    return engine


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url, poolclass=NullPool, connect_args={"timeout": BUSY, "isolation_level": None, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def configure(dbapi: DBAPIConnection, _record: Any) -> None:
        cursor = dbapi.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-32768",
            "temp_store=MEMORY",
            "wal_autocheckpoint=2000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A reader takes no lock: its snapshot is the WAL's. It says so by its execution option.
        reads = connection.get_execution_options().get("tocsin_reads", False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    @event.listens_for(engine, "commit")
    def still_there(connection: Connection) -> None:
        dbapi: Any = connection.connection.dbapi_connection
        if isinstance(dbapi, sqlite3.Connection) and not dbapi.in_transaction:
            raise StoreError("the database dropped the transaction before it was committed; nothing of it was kept")

    _refuse_after_failure(engine)
    return engine


def _refuse_after_failure(engine: Engine) -> None:
    """Make a failed statement end its transaction for good, whoever swallows the error."""

    @event.listens_for(engine, "handle_error")
    def remember(context: ExceptionContext) -> None:
        if context.connection is not None and not context.connection.closed and context.connection.in_transaction():
            context.connection.info["failed"] = str(context.original_exception)

    @event.listens_for(engine, "before_cursor_execute")
    def refuse(connection: Connection, *_: Any) -> None:
        failed = connection.info.get("failed")
        if failed is not None:
            raise StoreError(f"a statement of this transaction failed before: {failed}")

    @event.listens_for(engine, "commit")
    def refuse_commit(connection: Connection) -> None:
        failed = connection.info.get("failed")
        if failed is not None:
            raise StoreError(f"a statement of this transaction failed before: {failed}")

    @event.listens_for(engine, "rollback")
    def forget(connection: Connection) -> None:
        connection.info.pop("failed", None)


def may_rerun(error: DBAPIError) -> bool:
    """Whether the database only asks for the same work again (deadlock, serialisation)."""
    return isinstance(error.orig, psycopg.Error) and error.orig.sqlstate in _RERUN


def is_lost(error: DBAPIError) -> bool:
    """Whether the connection itself is gone, so that trying the next work on it is pointless."""
    if error.connection_invalidated:
        return True
    return isinstance(error.orig, psycopg.OperationalError) and error.orig.sqlstate in (None, "57P01", "57P02", "57P03")


def explain(error: Exception) -> str:
    """One plain sentence for what a database error means, without statements or values."""
    if not isinstance(error, DBAPIError):
        return str(error)
    original = error.orig
    text = str(original).strip().splitlines()[0] if str(original).strip() else type(original).__name__
    if isinstance(original, sqlite3.OperationalError):
        lower = text.lower()
        if "full" in lower:
            return "the disk that holds the store is full"
        if "locked" in lower:
            return "the store is locked by another process"
        if "unable to open" in lower:
            return "the store's file cannot be opened"
        if "readonly" in lower or "read-only" in lower:
            return "the store's file cannot be written"
        if "disk i/o" in lower:
            return "the disk that holds the store reports an error"
    return f"the database says: {text}"

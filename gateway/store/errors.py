"""What can go wrong with the store, in words, and what may be done about it."""

from __future__ import annotations

import sqlite3

import psycopg
from sqlalchemy import exc

#: SQLSTATEs after which the same work may simply be run again: serialization_failure, deadlock_detected, and
#: unique_violation, for works look before they insert: somebody was quicker, and the work will see it.
_RERUN = frozenset({"40001", "40P01", "23505"})

#: SQLSTATEs of a server that is going away, gone, or coming: admin_shutdown, crash_shutdown, cannot_connect_now.
_AWAY = frozenset({"57P01", "57P02", "57P03"})

_SENTENCES = {
    "53100": "the disk that holds the store is full",  # disk_full
    "53300": "the database server has no connection left for us",  # too_many_connections
    "55P03": "the store is locked by another process",  # lock_not_available
    "57P01": "the database server is stopping",
    "57P02": "the database server is stopping",
    "57P03": "the database server is starting or stopping",
    "25006": "the database is read-only: it is a standby, or was made so",  # read_only_sql_transaction
    "42P01": "the store has not the tables this version needs: run tocsin migrate",  # undefined_table
}


class StoreError(Exception):
    """The store cannot do it now; `str()` is one plain sentence. Whoever asked should try again later."""


class StoreLostError(StoreError):
    """The connection went while committing: it may have happened or not."""


class WaitsError(StoreError):
    """It cannot be done without waiting for somebody; nothing of it was done."""


def may_rerun(error: exc.DBAPIError) -> bool:
    """Whether the database only asks for the same work again (deadlock, serialisation, somebody was quicker)."""
    return isinstance(error.orig, psycopg.Error) and error.orig.sqlstate in _RERUN


def forget_values(original: BaseException, wrapped: BaseException | None) -> None:
    """Keep the row itself out of the error's text, where PostgreSQL puts it as a detail: tracebacks are logged."""
    if isinstance(original, psycopg.Error) and original.diag.message_primary:
        original.args = (original.diag.message_primary,)
        if wrapped is not None:
            wrapped.args = (f"({type(original).__module__}.{type(original).__name__}) {original}",)


def is_lost(error: BaseException | None) -> bool:
    """Whether the connection itself is gone, or cannot be made."""
    if not isinstance(error, exc.DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    return isinstance(error.orig, psycopg.OperationalError) and error.orig.sqlstate in (None, *_AWAY)


def is_unavailable(error: BaseException | None) -> bool:
    """Whether no work at all can be done now, so that trying the next one is pointless."""
    if isinstance(error, exc.TimeoutError) or is_lost(error):
        return True
    if not isinstance(error, exc.DBAPIError) or not isinstance(error.orig, sqlite3.Error):
        return False
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # without the extension (sqlite.org/rescode.html)
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def is_the_stores(error: exc.SQLAlchemyError) -> bool:
    """Whether the database is to blame for this error; every other one is a defect of ours."""
    return isinstance(error, exc.DBAPIError | exc.TimeoutError | exc.PendingRollbackError | exc.ResourceClosedError)


def explain(error: BaseException) -> str:
    """One plain sentence for what a database error means, without statements or values."""
    if isinstance(error, exc.TimeoutError):
        return "every connection to the database is busy"
    if isinstance(error, exc.PendingRollbackError | exc.ResourceClosedError):
        return "the connection to the database was lost"
    if not isinstance(error, exc.DBAPIError):
        return str(error)
    original = error.orig
    if isinstance(original, psycopg.Error) and original.sqlstate in _SENTENCES:
        return _SENTENCES[original.sqlstate]
    text = next(iter(str(original).strip().splitlines()), "") or type(original).__name__
    if isinstance(original, sqlite3.OperationalError):
        return _explain_sqlite(text)
    return f"the database says: {text}"


def _explain_sqlite(text: str) -> str:
    lower = text.lower()
    for part, sentence in (
        ("full", "the disk that holds the store is full"),
        ("locked", "the store is locked by another process"),
        ("unable to open", "the store's file cannot be opened"),
        ("readonly", "the store's file cannot be written"),
        ("read-only", "the store's file cannot be written"),
        ("disk i/o", "the disk that holds the store reports an error"),
        ("no such table", "the store has not the tables this version needs: run tocsin migrate"),
    ):
        if part in lower:
            return sentence
    return f"the database says: {text}"

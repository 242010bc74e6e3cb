"""The connection of SQLite's one writer.

A set begins and ends on the driver's own connection (`engine.begin_set`, `engine.commit_set`), for SQLAlchemy's way
there costs as much as a message does. A plain statement within a set begins SQLAlchemy's transaction as everywhere; it
is of the same transaction of the database, and ends with it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection


class Writer(Connection):
    """A connection that knows what a set needs at every statement."""

    #: The driver's connection, while a set has begun on it.
    begun: Any = None
    #: Its `info`, at hand: what is known of the connection.
    notes: Any = None
    #: Its cursor, for as long as hot statements may go straight to it: nothing has failed, and nobody watches.
    cursor: Any = None
    #: What is known in this set (`gateway.store.memory`); None outside of one.
    facts: dict[str, dict[Any, Any]] | None = None

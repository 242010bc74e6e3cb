"""What one transaction of a set knew, for the next one: rows that need not be read again.

SQLite has one writer at a time, and says inside of a transaction, when nobody else can write any more, whether anybody
has written since this connection looked last (`PRAGMA data_version`, sqlite.org/pragma.html). As long as nobody has,
the rows that the last set read and wrote are the rows there are. Whatever else is written on this connection, whatever
fails, and a new connection: each means that nothing is known. Elsewhere nothing is ever known beforehand.

Who remembers a row keeps it up to date where he writes it, in the same transaction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from gateway.store import hot

#: Of each kind so many are remembered; one more, and they are read anew.
MOST = 5000

_NAME = "memory"


class Memory:
    """What the sets of one writer know."""

    def __init__(self) -> None:
        self._facts: dict[str, dict[Any, Any]] = {}
        self._version: int | None = None

    @contextlib.contextmanager
    def used(self, connection: Connection) -> Iterator[None]:
        """In a transaction that begins here and is committed within: what is known, if that is still so."""
        connection.begin()
        info = connection.info
        version = hot.execute(connection, "PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self.forget()
            self._version = version
        for some in self._facts.values():
            if len(some) > MOST:
                some.clear()
        info[_NAME] = self._facts
        try:
            yield
        except BaseException:
            self.forget()
            raise
        finally:
            del info[_NAME]

    def forget(self) -> None:
        """Somebody else writes on the connection, or it is another one, or something failed."""
        self._facts = {}
        self._version = None


def of(connection: Connection, kind: str) -> dict[Any, Any]:
    """What is known of this kind in this transaction, to be read and added to; outside of a set nothing, for nobody."""
    known: dict[str, dict[Any, Any]] | None = connection.info.get(_NAME)
    return {} if known is None else known.setdefault(kind, {})


def lasts(connection: Connection) -> bool:
    """Whether what is known in this transaction is known in the next."""
    return _NAME in connection.info

"""What one transaction of a set knew, for the next one: rows that need not be read again.

SQLite has one writer at a time, and says inside of a transaction, when nobody else can write any more, whether anybody
has written since this connection looked last (`PRAGMA data_version`, sqlite.org/pragma.html). As long as nobody has,
the rows that the last set read and wrote are the rows there are. Whatever else is written on this connection, whatever
fails, and a new connection: each means that nothing is known. Elsewhere nothing is ever known beforehand.

Who remembers a row keeps it up to date where he writes it, in the same transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from gateway.store import hot
from gateway.store.writer import Writer

#: Of each kind so many are remembered; one more, and they are read anew.
MOST = 5000


class Memory:
    """What the sets of one writer know."""

    def __init__(self) -> None:
        self._facts: dict[str, dict[Any, Any]] = {}
        self._version: int | None = None

    def known(self, connection: Writer) -> dict[str, dict[Any, Any]]:
        """What is known in the transaction that has just begun, to be added to until its COMMIT."""
        version = hot.execute(connection, "PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self.forget()
            self._version = version
        for some in self._facts.values():
            if len(some) > MOST:
                some.clear()
        return self._facts

    def forget(self) -> None:
        """Somebody else writes on the connection, or it is another one, or something failed."""
        self._facts = {}
        self._version = None


def of(connection: Connection, kind: str) -> dict[Any, Any]:
    """What is known of this kind in this transaction, to be read and added to; outside of a set nothing, for nobody."""
    known = connection.facts if type(connection) is Writer else None
    return {} if known is None else known.setdefault(kind, {})


def lasts(connection: Connection) -> bool:
    """Whether what is known in this transaction is known in the next."""
    return type(connection) is Writer and connection.facts is not None

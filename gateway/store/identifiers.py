"""Identifiers: one rising series of integers for messages, deliveries and segments."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import chain

from sqlalchemy import Connection, bindparam, text, update

from gateway.store import hot, memory, schema

#: How many identifiers one call of the PostgreSQL sequence brings.
BLOCK = 1000
#: How many a set on SQLite takes at least, for itself and those after it; gone, and no harm, when somebody else writes.
STOCK = 200
#: How many more are taken when more are wanted than was foreseen.
MORE = 100

_ADVANCE = hot.Statement(
    update(schema.counter)
    .where(schema.counter.c.name == "id")
    .values(next=schema.counter.c.next + bindparam("n"))
    .returning(schema.counter.c.next)
)
_NEXT_BLOCK = text("SELECT nextval('tocsin_id')")


class Identifiers:
    """Gives out identifiers inside a transaction.

    On SQLite the series is a row of the same transaction; a set takes some in stock for those that come after it. On
    PostgreSQL it is a sequence that steps by `BLOCK`, which no rollback takes back, so that what is left of a block is
    kept here and no row is locked.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0
        self._left = 0

    def supply(self, connection: Connection, n: int) -> Iterator[int]:
        """Identifiers without end: `n` are taken at once, more when they are wanted after all."""
        return chain.from_iterable(self._lots(connection, n))

    def _lots(self, connection: Connection, n: int) -> Iterator[list[int]]:
        while True:
            yield self.take(connection, n)
            n = MORE

    def take(self, connection: Connection, n: int) -> list[int]:
        """`n` identifiers nobody else has, rising."""
        if n <= 0:
            return []
        if connection.dialect.name == "sqlite":
            return self._take_row(connection, n)
        taken: list[int] = []
        with self._lock:
            while len(taken) < n:
                if not self._left:
                    self._next, self._left = connection.execute(_NEXT_BLOCK).scalar_one(), BLOCK
                some = min(self._left, n - len(taken))
                taken.extend(range(self._next, self._next + some))
                self._next += some
                self._left -= some
        return taken

    def _take_row(self, connection: Connection, n: int) -> list[int]:
        stock = memory.of(connection, "identifiers")
        first, end = stock.get("id", (0, 0))
        if end - first < n:
            wanted = max(n, STOCK) if memory.lasts(connection) else n
            end = _ADVANCE.all(connection, {"n": wanted})[0].next
            first = end - wanted
        stock["id"] = (first + n, end)
        return list(range(first, first + n))

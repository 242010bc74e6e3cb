"""Identifiers: one rising series of integers for messages, deliveries and segments."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from sqlalchemy import Connection, bindparam, text, update

from gateway.store import hot, schema

#: How many identifiers one call of the PostgreSQL sequence brings.
BLOCK = 1000
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

    On SQLite the series is a row of the same transaction. On PostgreSQL it is a sequence that steps by `BLOCK`, which
    no rollback takes back, so that what is left of a block is kept here and no row is locked.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0
        self._left = 0

    def supply(self, connection: Connection, n: int) -> Iterator[int]:
        """Identifiers without end: `n` are taken at once, more when they are wanted after all."""
        while True:
            yield from self.take(connection, n)
            n = MORE

    def take(self, connection: Connection, n: int) -> list[int]:
        """`n` identifiers nobody else has, rising."""
        if n <= 0:
            return []
        if connection.dialect.name == "sqlite":
            end: int = _ADVANCE.all(connection, {"n": n})[0].next
            return list(range(end - n, end))
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

"""Whose turn it is: fair share between accounts, by ranks given at intake.

Each segment that is ready gets a rank on its route, and the queue is read in the order of ranks: start-time fair
queueing (Goyal, Vin, Cheng 1996), every segment costing one. A route's `turn` is the greatest rank claimed so far; an
account that comes with nothing waiting begins there, one that has segments waiting goes on behind its own last. So a
hundred thousand segments of one account take the ranks turn, turn + 1, turn + 2 …, and the single one of another
account that comes meanwhile takes the turn of that moment: it leaves next.

An account's urgent segments have a series of their own, which also pushes its others back by as much: urgency goes
before the account's own, never before others'.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, bindparam, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from gateway.store import hot, memory, schema

_turn, _share = schema.turn, schema.share

#: The share of who has none.
_NONE = -1

_TURNS = hot.Statement(
    select(_turn.c.route, _turn.c.rank).where(_turn.c.route.in_(bindparam("routes", expanding=True)))
)
_SHARES = hot.Statement(
    select(_share).where(tuple_(_share.c.route, _share.c.account_id).in_(bindparam("pairs", expanding=True)))
)


class Turns:
    """The ranks of one transaction: read once, given out in plain code, saved once."""

    def __init__(self, connection: Connection, pairs: Iterable[tuple[str, int]]) -> None:
        """`pairs` are the routes and accounts that ranks will be asked for."""
        self._connection = connection
        self._turns: dict[str, int] = memory.of(connection, "turn")
        self._shares: dict[tuple[str, int, bool], int] = memory.of(connection, "share")
        self._changed: set[tuple[str, int, bool]] = set()
        routes: set[str] = set()
        unread: set[tuple[str, int]] = set()
        for route, account in pairs:
            if route not in self._turns:
                routes.add(route)
            if (route, account, False) not in self._shares:
                unread.add((route, account))
        if routes:
            self._turns.update(dict.fromkeys(routes, 0))
            self._turns.update((row.route, row.rank) for row in _TURNS.all(connection, {"routes": sorted(routes)}))
        if unread:
            for route, account in unread:
                self._shares[route, account, False] = self._shares[route, account, True] = _NONE
            for row in _SHARES.all(connection, {"pairs": sorted(unread)}):
                self._shares[row.route, row.account_id, row.urgent] = row.rank

    def take(self, route: str, account: int, n: int, *, urgent: bool = False) -> int:
        """The first of `n` consecutive ranks."""
        first = self._begin(route, account, urgent)
        self._set((route, account, urgent), first + n - 1)
        if urgent:
            self._set((route, account, False), self._begin(route, account, False) + n - 1)
        return first

    def now(self, route: str) -> int:
        """The rank of what leaves at once, behind nobody: it takes no turn from anybody."""
        return self._turns[route]

    def _begin(self, route: str, account: int, urgent: bool) -> int:
        return max(self._turns[route], self._shares[route, account, urgent] + 1)

    def _set(self, key: tuple[str, int, bool], rank: int) -> None:
        self._shares[key] = rank
        self._changed.add(key)

    def save(self) -> None:
        """Write what was given out."""
        if not self._changed:
            return
        rows = [
            {"route": key[0], "account_id": key[1], "urgent": key[2], "rank": self._shares[key]}
            for key in sorted(self._changed)
        ]
        _RAISE_SHARE.write(self._connection, rows)


def advance(connection: Connection, claimed: dict[str, int]) -> None:
    """Remember the greatest rank claimed on each route; a turn never goes back."""
    rows = [{"route": route, "rank": rank} for route, rank in sorted(claimed.items())]
    _RAISE_TURN.write(connection, rows)
    turns = memory.of(connection, "turn")
    for route, rank in claimed.items():
        if route in turns:
            turns[route] = max(turns[route], rank)


def _raise_rank(table: Any, keys: list[str]) -> hot.Statement:
    """For each dialect: insert rows, or raise the rank of those that stand."""
    statements = {}
    for dialect in (sqlite, postgresql):
        statement: Any = dialect.insert(table)
        statements[dialect.dialect.name] = statement.on_conflict_do_update(
            index_elements=keys,
            set_={"rank": statement.excluded.rank},
            where=table.c.rank < statement.excluded.rank,
        )
    return hot.Statement(statements, [*keys, "rank"])


_RAISE_SHARE = _raise_rank(_share, ["route", "account_id", "urgent"])
_RAISE_TURN = _raise_rank(_turn, ["route"])

"""What the operator holds, as far as it concerns what is about to be queued."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from gateway.store import hot, memory, schema

_HOLDS = hot.Statement(select(schema.hold.c.kind, schema.hold.c.name))


@dataclass(frozen=True, slots=True)
class Holds:
    """What the operator holds: routes by name, accounts and messages by id."""

    routes: frozenset[str]
    accounts: frozenset[int]
    messages: frozenset[int] = frozenset()

    def why(self, route: str, account: int, message: int) -> str | None:
        """What of these is held, in words; None where nothing is."""
        if route in self.routes:
            return f"route {route} is held"
        if account in self.accounts:
            return "the account is held"
        return "the message is held" if message in self.messages else None


#: What most of the time is held.
NOTHING = Holds(frozenset(), frozenset())


def current(connection: Connection, accounts: Iterable[int]) -> Holds:
    """The standing holds, as far as they concern these accounts."""
    standing = memory.of(connection, "hold")
    if "rows" not in standing:
        standing["rows"] = _HOLDS.all(connection, {})
    rows = standing["rows"]
    if not rows:
        return NOTHING
    routes = frozenset(row.name for row in rows if row.kind == "route")
    messages = frozenset(int(row.name) for row in rows if row.kind == "message")
    names = [row.name for row in rows if row.kind == "account"]
    if not names:
        return Holds(routes, frozenset(), messages)
    account = schema.account
    held = select(account.c.id).where(account.c.id.in_(list(accounts)), account.c.name.in_(names))
    return Holds(routes, frozenset(connection.execute(held).scalars()), messages)

"""What Sieve's test `duplicate` remembers (RFC 7352): keys of an account's scripts, each with its own end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from gateway.store import schema

_duplicate = schema.duplicate
_KNOWN = select(_duplicate.c.account_id, _duplicate.c.key).where(
    tuple_(_duplicate.c.account_id, _duplicate.c.key).in_(bindparam("keys", expanding=True)),
    _duplicate.c.expires > bindparam("now", type_=schema.Instant()),
)

#: Whether a key came before: the script's number, the handle, the key.
Seen = Callable[[int, str, str], bool]


@dataclass(frozen=True, slots=True)
class Memory:
    """A key to keep. `again` says that it may be there already, and its time begins anew."""

    key: bytes
    lasts: timedelta
    again: bool = False


def key_of(script: int, handle: str, key: str) -> bytes:
    """What is kept of a key: no more than tells it from others."""
    said = "\0".join((str(script), handle, key)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(said).digest()


def looker(connection: Connection, account: int, now: datetime) -> Seen:
    """Looks keys of an account up."""

    def seen(script: int, handle: str, key: str) -> bool:
        wanted = {"keys": [(account, key_of(script, handle, key))], "now": now}
        return connection.execute(_KNOWN, wanted).first() is not None

    return seen


def known(connection: Connection, keys: Iterable[tuple[int, bytes]], now: datetime) -> set[tuple[int, bytes]]:
    """Those of these accounts' keys that are remembered."""
    wanted = sorted(set(keys))
    if not wanted:
        return set()
    return {(row.account_id, row.key) for row in connection.execute(_KNOWN, {"keys": wanted, "now": now})}


def keep(connection: Connection, memories: Iterable[tuple[int, Memory, datetime]]) -> None:
    """Remember these accounts' keys from now on."""
    rows = {
        (account, memory.key): {"account_id": account, "key": memory.key, "expires": now + memory.lasts}
        for account, memory, now in memories
    }
    if not rows:
        return
    statement = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(_duplicate)
    renewed = statement.on_conflict_do_update(
        index_elements=["account_id", "key"], set_={"expires": statement.excluded.expires}
    )
    connection.execute(renewed, [rows[key] for key in sorted(rows)])

"""Bearer tokens of the HTTP API: only a digest of each is kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from gateway import accounts
from gateway.failure import RefusedError
from gateway.store import schema


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token of the HTTP API, without its secret."""

    id: int
    account: str
    name: str
    created: datetime
    revoked: datetime | None


def add(connection: Connection, account: str, name: str, *, now: datetime) -> str:
    """A new bearer token; the only time its secret is seen."""
    owner = accounts.find(connection, account)
    secret = "tocsin_" + secrets.token_urlsafe(32)
    connection.execute(
        insert(schema.token), {"account_id": owner.id, "name": name, "digest": _digest(secret), "created": now}
    )
    return secret


def listed(connection: Connection, account: str | None = None) -> list[Token]:
    """The tokens of an account, or of all, oldest first."""
    token, owner = schema.token, schema.account
    statement = select(token, owner.c.name.label("account")).join(owner, owner.c.id == token.c.account_id)
    if account is not None:
        statement = statement.where(token.c.account_id == accounts.find(connection, account).id)
    rows = connection.execute(statement.order_by(token.c.id))
    return [Token(row.id, row.account, row.name, row.created, row.revoked) for row in rows]


def revoke(connection: Connection, which: str, account: str | None = None, *, now: datetime) -> None:
    """Take back a token by its id, or by its name within an account."""
    token = schema.token
    same = token.c.id == (int(which) if which.isdecimal() and len(which) < 19 else -1)
    if account is not None:
        same = (same | (token.c.name == which)) & (token.c.account_id == accounts.find(connection, account).id)
    if not connection.execute(update(token).where(token.c.revoked.is_(None), same).values(revoked=now)).rowcount:
        owner = f" of {account}" if account is not None else ""
        raise RefusedError(f"there is no token {which}{owner} that is still good: tocsin token list shows them")


def account_of(connection: Connection, secret: str) -> accounts.Account | None:
    """The account a bearer token speaks for."""
    token = schema.token
    wanted = select(token.c.account_id).where(token.c.digest == _digest(secret), token.c.revoked.is_(None))
    found = accounts.load_where(connection, schema.account.c.id.in_(wanted))
    return found[0] if found else None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()

"""Bearer tokens of the HTTP API: only a digest of each is kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from gateway import accounts
from gateway.failure import RefusedError
from gateway.store import schema

#: What every token begins with, so that it is recognised where it leaks.
_PREFIX, _LONGEST = "tocsin_", 100


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
    secret = _PREFIX + secrets.token_urlsafe(32)
    connection.execute(
        insert(schema.token),
        {"account_id": owner.id, "name": name, "digest": digest_of(secret.encode()), "created": now},
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
    wanted = digest_of(secret.encode())
    return accounts_of(connection, [wanted]).get(wanted)


def accounts_of(connection: Connection, digests: Collection[bytes]) -> dict[bytes, accounts.Account]:
    """The accounts that bearer tokens speak for, by the tokens' digests; what is no good token is not among them."""
    token = schema.token
    wanted = select(token.c.digest, token.c.account_id).where(token.c.digest.in_(digests), token.c.revoked.is_(None))
    owners = {row.digest: row.account_id for row in connection.execute(wanted)}
    if not owners:
        return {}
    found = accounts.load_where(connection, schema.account.c.id.in_(set(owners.values())))
    known = {one.id: one for one in found}
    return {digest: known[owner] for digest, owner in owners.items() if owner in known}


def digest_of(secret: bytes) -> bytes:
    """What is kept of a token. Looking it up tells nothing by its time: nobody can choose a digest."""
    return hashlib.sha256(secret).digest()


def secret_of(authorization: bytes) -> bytes | None:
    """The bearer token that an Authorization field brings (RFC 6750 section 2.1); None where it brings none."""
    scheme, _, secret = authorization.partition(b" ")
    return secret.strip() if scheme.lower() == b"bearer" else None


def looks_like_one(secret: bytes) -> bool:
    """Whether this could be a token at all, so that it is worth asking the database."""
    return secret.startswith(_PREFIX.encode()) and len(secret) < _LONGEST

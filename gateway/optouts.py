"""Who wants nothing sent any more: by one account, or by anybody at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway import mail_address, numbers
from gateway.failure import RefusedError
from gateway.store import schema

#: Whose opt-outs hold for every account.
EVERYBODY = 0
_STEP = 500

_optout = schema.optout
_ANY = select(_optout.c.account_id).where(_optout.c.account_id.in_([EVERYBODY, bindparam("account")])).limit(1)
_AMONG = select(_optout.c.address, _optout.c.account_id).where(
    _optout.c.account_id.in_([EVERYBODY, bindparam("account")]),
    _optout.c.address.in_(bindparam("addresses", expanding=True)),
)


@dataclass(frozen=True, slots=True)
class OptOut:
    """An address nothing is sent to; `account` is the account's name, None for everybody."""

    account: str | None
    address: str
    reason: str
    at: datetime


def key_of(address: str) -> str:
    """An address of any channel as it is kept."""
    return address.lower()


def read(written: str, region: str | None) -> str:
    """A number or an e-mail address as it is kept; `RefusedError` for what is neither."""
    if "@" in written:
        return key_of(mail_address.checked(written))
    found = numbers.read(written, region)
    if found.e164 is None:
        raise RefusedError(found.advice or f"{written} is no telephone number")
    return found.e164


def add(connection: Connection, account: int, addresses: Iterable[str], *, reason: str = "", now: datetime) -> None:
    """Send nothing to these any more (`read` has read them); who stands there already stays as he is."""
    rows = [{"account_id": account, "address": one, "reason": reason, "at": now} for one in sorted(set(addresses))]
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    if rows:
        connection.execute(dialect.insert(_optout).on_conflict_do_nothing(), rows)


def remove(connection: Connection, account: int, address: str) -> None:
    """Let something be sent again; `RefusedError` where nothing stood in the way."""
    gone = delete(_optout).where(_optout.c.account_id == account, _optout.c.address == address)
    if not connection.execute(gone).rowcount:
        whose = "everybody" if account == EVERYBODY else "this account"
        raise RefusedError(f"{address} has not opted out for {whose}: tocsin optout list shows who has")


def listed(connection: Connection, account: int | None = None) -> list[OptOut]:
    """Every opt-out, or one account's and everybody's, the newest last."""
    owner = schema.account
    statement = select(_optout, owner.c.name.label("owner")).join(
        owner, owner.c.id == _optout.c.account_id, isouter=True
    )
    if account is not None:
        statement = statement.where(_optout.c.account_id.in_([EVERYBODY, account]))
    rows = connection.execute(statement.order_by(_optout.c.at, _optout.c.address))
    return [OptOut(row.owner, row.address, row.reason, row.at) for row in rows]


def anybody(connection: Connection) -> bool:
    """Whether anybody has opted out of anything."""
    return connection.execute(select(_optout.c.account_id).limit(1)).first() is not None


def among(connection: Connection, account: int, addresses: Collection[str]) -> dict[str, str]:
    """Those of these addresses that get nothing, each as `key_of` has it, with why in one sentence."""
    if not addresses or connection.execute(_ANY, {"account": account}).first() is None:
        return {}
    wanted = sorted({key_of(one) for one in addresses})
    found: dict[str, str] = {}
    for start in range(0, len(wanted), _STEP):
        some = wanted[start : start + _STEP]
        for row in connection.execute(_AMONG, {"account": account, "addresses": some}):
            found[row.address] = why(row.address, everybody=row.account_id == EVERYBODY)
    return found


def why(address: str, *, everybody: bool) -> str:
    """What to tell whoever wants to send there."""
    if everybody:
        return f"{address} has opted out of all messages: leave it out, or ask the operator"
    return f"{address} has opted out of this account's messages: leave it out, or take it off with tocsin optout remove"

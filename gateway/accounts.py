"""Accounts and their plans: who Tocsin works for, and what they may change about themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
from argon2 import PasswordHasher
from sqlalchemy import Connection, delete, func, insert, select, update

from gateway import credit
from gateway.failure import RefusedError
from gateway.message import OPEN
from gateway.numbers import sms_number
from gateway.store import schema

#: How passwords are kept: argon2id, 19 MiB, some tens of milliseconds (RFC 9106; parameters as OWASP has them).
PASSWORDS = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
#: What `account set` may change, and what a value must be.
TEXT_SOURCES = ("body", "subject", "both")
#: The most parts a handset puts together again (3GPP TS 23.040 section 9.2.3.24.1).
MOST_PARTS = 255


@dataclass(frozen=True, slots=True)
class Account:
    """A subscriber. `addresses` are those he sends from, lower case, the first the one reports go to."""

    id: int
    name: str
    plan: str | None
    monthly: int
    addresses: tuple[str, ...]
    mobile: str | None
    zone: ZoneInfo
    region: str | None
    language: str
    max_parts: int
    signature: str
    text: str
    transliterate: bool
    cap_hour: int
    cap_day: int
    created: datetime


# Plans ---------------------------------------------------------------------------------------------------------------


def add_plan(connection: Connection, name: str, monthly: int) -> None:
    """A new plan. `RefusedError` where the name is taken or `monthly` is below zero."""
    if monthly < 0:
        raise RefusedError(f"a plan cannot include {monthly} units a month: give 0 or more")
    if connection.execute(select(schema.plan.c.id).where(schema.plan.c.name == _name(name))).first():
        raise RefusedError(f"there is a plan {name} already")
    connection.execute(insert(schema.plan), {"name": name, "monthly": monthly})


def plans(connection: Connection) -> list[tuple[str, int]]:
    """Every plan: its name and the units it includes each month."""
    rows = connection.execute(select(schema.plan.c.name, schema.plan.c.monthly).order_by(schema.plan.c.name))
    return [(row.name, row.monthly) for row in rows]


def _plan_id(connection: Connection, name: str) -> int:
    found: int | None = connection.execute(select(schema.plan.c.id).where(schema.plan.c.name == name)).scalar()
    if found is None:
        raise RefusedError(f"there is no plan {name}: add it with tocsin plan add {name} --monthly N")
    return found


# Accounts ------------------------------------------------------------------------------------------------------------


def add(
    connection: Connection,
    name: str,
    *,
    now: datetime,
    addresses: Sequence[str] = (),
    plan: str | None = None,
    password: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> int:
    """A new account with its first period of credit; its id. `settings` are those of `change`."""
    if connection.execute(select(schema.account.c.id).where(schema.account.c.name == _name(name))).first():
        raise RefusedError(f"there is an account {name} already")
    values = _checked(dict(settings or {}), None)
    values.setdefault("zone", "UTC")
    if plan is not None:
        values["plan_id"] = _plan_id(connection, plan)
    if password is not None:
        values["password"] = _hashed(password)
    statement = insert(schema.account).values(name=name, created=now, **values).returning(schema.account.c.id)
    number: int = connection.execute(statement).scalar_one()
    _set_addresses(connection, number, addresses)
    credit.open_account(connection, number, now)
    return number


def change(
    connection: Connection,
    name: str,
    *,
    now: datetime,
    addresses: Sequence[str] | None = None,
    plan: str | None = None,
    password: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Change what is given; zone and plan act on the allotment from the period after the one of `now`.

    `settings` keys are columns of the account: mobile, zone, region, language, max_parts, signature, text,
    transliterate, cap_hour, cap_day; an empty mobile, region or plan is none. `RefusedError` names what is wrong with a
    value.
    """
    account = find(connection, name)
    values = _checked(dict(settings or {}), account.region)
    if plan is not None:
        values["plan_id"] = _plan_id(connection, plan) if plan else None
    if password is not None:
        values["password"] = _hashed(password)
    if values:
        # Up to now the account was what it was: the periods that have begun are granted before anything changes.
        credit.save(connection, credit.load(connection, [account.id], now).values())
        connection.execute(update(schema.account).where(schema.account.c.id == account.id).values(**values))
    if addresses is not None:
        connection.execute(delete(schema.address).where(schema.address.c.account_id == account.id))
        _set_addresses(connection, account.id, addresses)


def remove(connection: Connection, name: str) -> None:
    """Erase an account and everything of it. `RefusedError` while something of it is on its way to an operator."""
    account = find(connection, name)
    # Whoever takes in a message for it waits here, and then finds no such account any more.
    connection.execute(
        select(schema.provision.c.account_id).where(schema.provision.c.account_id == account.id).with_for_update()
    )
    _require_settled(connection, account)
    segment = schema.ever
    messages = select(schema.message.c.id).where(schema.message.c.account_id == account.id)
    segments = select(segment.c.id).where(segment.c.account_id == account.id)
    for table, column, of in (
        (schema.attempt, schema.attempt.c.segment_id, segments),
        (schema.receipt, schema.receipt.c.segment_id, segments),
        (schema.event, schema.event.c.message_id, messages),
        (schema.owed, schema.owed.c.message_id, messages),
        (schema.attachment, schema.attachment.c.message_id, messages),
        (schema.delivery, schema.delivery.c.message_id, messages),
    ):
        connection.execute(delete(table).where(column.in_(of)))
    for owned in (
        schema.segment,
        schema.past,
        schema.chunk,
        schema.message,
        schema.seen,
        schema.share,
        schema.ledger,
        schema.period,
        schema.provision,
    ):
        connection.execute(delete(owned).where(owned.c.account_id == account.id))
    _erase_people(connection, account.id)
    connection.execute(delete(schema.hold).where(schema.hold.c.kind == "account", schema.hold.c.name == name))
    connection.execute(delete(schema.address).where(schema.address.c.account_id == account.id))
    connection.execute(delete(schema.token).where(schema.token.c.account_id == account.id))
    connection.execute(delete(schema.account).where(schema.account.c.id == account.id))


def _erase_people(connection: Connection, account: int) -> None:
    """Erase an account's lists, its private book and its opt-outs; the books of its groups stay."""
    contacts = select(schema.contact.c.id).where(schema.contact.c.account_id == account)
    lists = select(schema.recipient_list.c.id).where(schema.recipient_list.c.account_id == account)
    for table, condition in (
        (schema.list_member, schema.list_member.c.list_id.in_(lists)),
        (schema.recipient_list, schema.recipient_list.c.account_id == account),
        (schema.telephone, schema.telephone.c.contact_id.in_(contacts)),
        (schema.contact_address, schema.contact_address.c.contact_id.in_(contacts)),
        (schema.contact, schema.contact.c.account_id == account),
        (schema.member, schema.member.c.account_id == account),
        (schema.optout, schema.optout.c.account_id == account),
    ):
        connection.execute(delete(table).where(condition))


def _require_settled(connection: Connection, account: Account) -> None:
    segment, chunk = schema.segment, schema.chunk
    segments: int = connection.execute(
        select(func.count()).where(
            segment.c.account_id == account.id, segment.c.state.in_([state.value for state in OPEN])
        )
    ).scalar_one()
    lists: int = connection.execute(select(func.count()).where(chunk.c.account_id == account.id)).scalar_one()
    if segments or lists:
        what = f"{segments} segments that are not settled" if segments else "recipients that are not in the queue yet"
        raise RefusedError(
            f"{account.name} still has {what}: cancel them with tocsin queue cancel --account {account.name}, or wait"
        )


def find(connection: Connection, name: str) -> Account:
    """The account of this name; `RefusedError` where there is none."""
    found = load_where(connection, schema.account.c.name == name)
    if not found:
        raise RefusedError(f"there is no account {name}: tocsin account list shows them all")
    return found[0]


def by_id(connection: Connection, number: int) -> Account | None:
    """The account with this id."""
    found = load_where(connection, schema.account.c.id == number)
    return found[0] if found else None


def by_address(connection: Connection, address: str) -> Account | None:
    """The account that sends from this mail address, whatever its case."""
    wanted = select(schema.address.c.account_id).where(schema.address.c.address == address.lower())
    found = load_where(connection, schema.account.c.id.in_(wanted))
    return found[0] if found else None


def by_local_part(connection: Connection, name: str) -> int | None:
    """The id of the account an address before its @ names: as written, else in any case, else up to a `+`."""
    account = schema.account
    for wanted in dict.fromkeys((name, name.partition("+")[0])):
        found: int | None = connection.execute(select(account.c.id).where(account.c.name == wanted)).scalar()
        if found is not None:
            return found
        folded = select(account.c.id).where(func.lower(account.c.name) == wanted.lower()).limit(2)
        several = connection.execute(folded).scalars().all()
        if len(several) == 1:
            return int(several[0])
    return None


def password_hash(connection: Connection, user: str) -> tuple[int, str | None] | None:
    """The id and the password's hash of the account a user logs in as: its name, or any of its addresses.

    None for a stranger; a hash of None for an account without a password. A name goes before an address.
    """
    account = schema.account
    statement = select(account.c.id, account.c.password)
    row = connection.execute(statement.where(account.c.name == user)).first()
    if row is None:
        owner = select(schema.address.c.account_id).where(schema.address.c.address == user.lower())
        row = connection.execute(statement.where(account.c.id.in_(owner))).first()
    return None if row is None else (row.id, row.password)


def replace_password_hash(connection: Connection, number: int, before: str, after: str) -> None:
    """Keep the same password under newer parameters, unless it was changed meanwhile."""
    account = schema.account
    same = (account.c.id == number) & (account.c.password == before)
    connection.execute(update(account).where(same).values(password=after))


def everyone(connection: Connection) -> list[Account]:
    """Every account, by name."""
    return load_where(connection, None)


def load_where(connection: Connection, condition: Any) -> list[Account]:
    """The accounts a condition on `schema.account` allows, by name; None allows all."""
    account, plan = schema.account, schema.plan
    statement = select(account, plan.c.name.label("plan_name"), plan.c.monthly).join(
        plan, plan.c.id == account.c.plan_id, isouter=True
    )
    if condition is not None:
        statement = statement.where(condition)
    rows = connection.execute(statement.order_by(account.c.name)).all()
    addresses: dict[int, list[str]] = {}
    wanted = select(schema.address.c.account_id, schema.address.c.address).order_by(schema.address.c.place)
    if condition is not None:
        wanted = wanted.where(schema.address.c.account_id.in_([row.id for row in rows]))
    for owner, address in connection.execute(wanted):
        addresses.setdefault(owner, []).append(address)
    return [
        Account(
            id=row.id,
            name=row.name,
            plan=row.plan_name,
            monthly=row.monthly or 0,
            addresses=tuple(addresses.get(row.id, ())),
            mobile=row.mobile,
            zone=ZoneInfo(row.zone),
            region=row.region,
            language=row.language,
            max_parts=row.max_parts,
            signature=row.signature,
            text=row.text,
            transliterate=row.transliterate,
            cap_hour=row.cap_hour,
            cap_day=row.cap_day,
            created=row.created,
        )
        for row in rows
    ]


def _set_addresses(connection: Connection, number: int, addresses: Sequence[str]) -> None:
    wanted = list(dict.fromkeys(address.strip().lower() for address in addresses))
    for address in wanted:
        local, at, domain = address.rpartition("@")
        if not (at and local and domain) or any(character.isspace() for character in address):
            raise RefusedError(f"{address!r} is no mail address: write it as name@example.org")
        if connection.execute(select(schema.address.c.place).where(schema.address.c.address == address)).first():
            raise RefusedError(f"{address} belongs to another account already")
    if wanted:
        rows = [{"address": address, "account_id": number, "place": place} for place, address in enumerate(wanted)]
        connection.execute(insert(schema.address), rows)


def _name(name: str) -> str:
    if not name or len(name) > 100 or any(character.isspace() or not character.isprintable() for character in name):
        raise RefusedError(f"{name!r} cannot be a name: use 1 to 100 characters without spaces")
    return name


def _checked(settings: dict[str, Any], region: str | None) -> dict[str, Any]:
    """The same settings, normalised; `RefusedError` names the first that cannot be. `region` is that of now."""
    values = {key: value for key, value in settings.items() if value is not None}
    if "zone" in values:
        _check_zone(values["zone"])
    for cleared in ("region", "mobile"):
        if values.get(cleared) == "":
            values[cleared] = None
    if values.get("region") is not None:
        values["region"] = values["region"].upper()
        if values["region"] not in phonenumbers.SUPPORTED_REGIONS:
            raise RefusedError(f"{values['region']} is no region: write two letters as in ISO 3166, such as BE")
    if values.get("mobile") is not None:
        values["mobile"] = sms_number(values["mobile"], values.get("region", region))
    if "text" in values and values["text"] not in TEXT_SOURCES:
        raise RefusedError(f"text is {values['text']!r}: choose one of {', '.join(TEXT_SOURCES)}")
    if not 1 <= values.get("max_parts", 1) <= MOST_PARTS:
        raise RefusedError(f"max-parts is {values['max_parts']}: choose 1 to {MOST_PARTS}")
    for cap in ("cap_hour", "cap_day"):
        if values.get(cap, 0) < 0:
            raise RefusedError(f"{cap.replace('_', '-')} is {values[cap]}: choose 0 or more")
    return values


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        raise RefusedError(f"{zone!r} is no time zone: write one such as Europe/Brussels") from None


def _hashed(password: str) -> str:
    if not password:
        raise RefusedError("the password is empty")
    return PASSWORDS.hash(password)

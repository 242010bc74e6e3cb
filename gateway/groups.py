"""Groups: accounts that share a book of contacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway import accounts, names
from gateway.failure import RefusedError
from gateway.store import schema

#: What the book of an account itself is called; no group can have the name.
PRIVATE = "private"

_group, _member = schema.group, schema.member


@dataclass(frozen=True, slots=True)
class Group:
    """A group, its members' names in order."""

    id: int
    name: str
    members: tuple[str, ...]
    created: datetime


def add(connection: Connection, name: str, members: Sequence[str], *, now: datetime) -> Group:
    """Make a group, or add to the one of this name; accounts that are members already stay so."""
    clean = names.checked(name, "group")
    if names.fold(clean) == PRIVATE:
        raise RefusedError(f"{clean} cannot be the name of a group: every account's own book is called so")
    owners = [accounts.find(connection, member).id for member in members]
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    row = {"name": clean, "fold": names.fold(clean), "created": now}
    connection.execute(dialect.insert(_group).values(row).on_conflict_do_nothing())
    group = lock(connection, clean)
    for owner in sorted(set(owners)):
        joined = {"group_id": group, "account_id": owner}
        connection.execute(dialect.insert(_member).values(joined).on_conflict_do_nothing())
    return find(connection, clean)


def remove(connection: Connection, name: str, members: Sequence[str] = ()) -> None:
    """Take accounts out of a group; without `members`, erase the group and its book."""
    group = lock(connection, name)
    if not members:
        # Rows that other rows hang on go explicitly: what cascades does not lock in any order.
        contacts = select(schema.contact.c.id).where(schema.contact.c.group_id == group)
        erase_contacts(connection, contacts)
        connection.execute(delete(_member).where(_member.c.group_id == group))
        connection.execute(delete(_group).where(_group.c.id == group))
        return
    for member in members:
        owner = accounts.find(connection, member).id
        gone = delete(_member).where(_member.c.group_id == group, _member.c.account_id == owner)
        if not connection.execute(gone).rowcount:
            raise RefusedError(f"{member} is no member of {name}: tocsin group show {name} lists them")


def erase_contacts(connection: Connection, contacts: object) -> None:
    """Erase contacts, given as a select of their ids or a list of them, wherever they stand."""
    for table, column in (
        (schema.list_member, schema.list_member.c.contact_id),
        (schema.telephone, schema.telephone.c.contact_id),
        (schema.contact_address, schema.contact_address.c.contact_id),
        (schema.contact, schema.contact.c.id),
    ):
        connection.execute(delete(table).where(column.in_(contacts)))  # type: ignore[arg-type]


def rename(connection: Connection, name: str, new: str) -> None:
    """Give a group another name."""
    group = lock(connection, name)
    clean = names.checked(new, "group")
    taken = select(_group.c.id).where(_group.c.fold == names.fold(clean), _group.c.id != group)
    if names.fold(clean) == PRIVATE or connection.execute(taken).first():
        raise RefusedError(f"the name {clean} is taken")
    connection.execute(_group.update().where(_group.c.id == group).values(name=clean, fold=names.fold(clean)))


def find(connection: Connection, name: str) -> Group:
    """The group of this name; `RefusedError` where there is none."""
    wanted = names.fold(name)
    for group in everything(connection):
        if names.fold(group.name) == wanted:
            return group
    raise _none(name)


def everything(connection: Connection) -> list[Group]:
    """Every group, by name."""
    account = schema.account
    members: dict[int, list[str]] = {}
    statement = select(_member.c.group_id, account.c.name).join(account, account.c.id == _member.c.account_id)
    for group, name in connection.execute(statement.order_by(account.c.name)):
        members.setdefault(group, []).append(name)
    rows = connection.execute(select(_group).order_by(_group.c.name))
    return [Group(row.id, row.name, tuple(members.get(row.id, ())), row.created) for row in rows]


def of_account(connection: Connection, account: int) -> dict[int, str]:
    """The groups an account is a member of: their names by id."""
    statement = select(_group.c.id, _group.c.name).join(_member, _member.c.group_id == _group.c.id)
    return {row.id: row.name for row in connection.execute(statement.where(_member.c.account_id == account))}


def lock(connection: Connection, name: str) -> int:
    """The id of a group; who else changes it or its book waits until this transaction ends."""
    statement = select(_group.c.id).where(_group.c.fold == names.fold(name)).with_for_update()
    found: int | None = connection.execute(statement).scalar()
    if found is None:
        raise _none(name)
    return found


def _none(name: str) -> RefusedError:
    return RefusedError(f"there is no group {name}: tocsin group list shows them")


def member_addresses(connection: Connection, group: int) -> set[str]:
    """The addresses the members of a group send from."""
    address = schema.address
    statement = select(address.c.address).join(_member, _member.c.account_id == address.c.account_id)
    return set(connection.execute(statement.where(_member.c.group_id == group)).scalars())

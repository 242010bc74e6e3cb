"""Lists: an account's contacts, numbers, addresses and other lists under one name, at most 100,000 in one.

No list contains itself, whatever the way round: that is refused when it is made. Evaluating survives a loop all the
same, and meets every member once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway import contacts, names
from gateway.contacts import Contact
from gateway.failure import RefusedError
from gateway.list_members import Member, MemberKind, read
from gateway.store import schema

#: The most members of one list.
MOST = 100_000
#: Local parts of addresses that mean something else.
_RESERVED = frozenset({"postmaster", "verdict"})

_list, _member = schema.recipient_list, schema.list_member


@dataclass(frozen=True, slots=True)
class List:
    """A list and how many members stand in it itself."""

    id: int
    name: str
    members: int
    created: datetime


# Making ---------------------------------------------------------------------------------------------------------------


def add(
    connection: Connection, account: int, name: str, members: Sequence[str], *, region: str | None, now: datetime
) -> int:
    """Make a list, or add to the one of this name; its id. `members` are as they were written.

    `RefusedError` says which member cannot be one, and why.
    """
    clean = names.checked(name, "list")
    if "@" in clean or names.fold(clean) in _RESERVED:
        raise RefusedError(f"{clean} cannot be the name of a list: an address of that name means something else")
    contacts.lock_account(connection, account)
    number = _id(connection, account, clean)
    if number is None:
        row = {"account_id": account, "name": clean, "fold": names.fold(clean), "created": now}
        number = connection.execute(insert(_list).values(row).returning(_list.c.id)).scalar_one()
    _put(connection, account, number, read(connection, account, members, region))
    return number


def replace_members(
    connection: Connection, account: int, name: str, members: Sequence[str], *, region: str | None
) -> None:
    """Make these its members, instead of those it has."""
    number = _locked(connection, account, name)
    wanted = read(connection, account, members, region)
    connection.execute(delete(_member).where(_member.c.list_id == number))
    _put(connection, account, number, wanted)


def rename(connection: Connection, account: int, name: str, new: str) -> None:
    """Give a list another name."""
    number = _locked(connection, account, name)
    clean = names.checked(new, "list")
    if "@" in clean or names.fold(clean) in _RESERVED or _id(connection, account, clean) not in (None, number):
        raise RefusedError(f"the name {clean} is taken")
    connection.execute(update(_list).where(_list.c.id == number).values(name=clean, fold=names.fold(clean)))


def remove_members(
    connection: Connection, account: int, name: str, members: Sequence[str], *, region: str | None
) -> None:
    """Take members out of a list; `RefusedError` names the first that is none."""
    number = _locked(connection, account, name)
    for written, member in zip(members, read(connection, account, members, region), strict=True):
        gone = delete(_member).where(_member.c.list_id == number, _member.c.identity == member.identity)
        if not connection.execute(gone).rowcount:
            raise RefusedError(f"{written} is no member of {name}: tocsin list show lists them")


def remove(connection: Connection, account: int, name: str) -> None:
    """Erase a list; lists it was a member of lose it."""
    number = _locked(connection, account, name)
    connection.execute(delete(_member).where((_member.c.child_id == number) | (_member.c.list_id == number)))
    connection.execute(delete(_list).where(_list.c.id == number))


def _locked(connection: Connection, account: int, name: str) -> int:
    contacts.lock_account(connection, account)
    return find(connection, account, name).id


def _put(connection: Connection, account: int, number: int, members: Sequence[Member]) -> None:
    if not members:
        return
    _refuse_loops(connection, account, number, [one.child for one in members if one.child is not None])
    last = connection.execute(select(func.max(_member.c.place)).where(_member.c.list_id == number)).scalar()
    place = 0 if last is None else last + 1
    rows = [{"list_id": number, "place": place + n, **member.row} for n, member in enumerate(members)]
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(dialect.insert(_member).on_conflict_do_nothing(), rows)
    count: int = connection.execute(select(func.count()).where(_member.c.list_id == number)).scalar_one()
    if count > MOST:
        raise RefusedError(f"a list can have {MOST:,} members at most, this one would have {count:,}: make it two")


def _refuse_loops(connection: Connection, account: int, number: int, children: Collection[int]) -> None:
    """`RefusedError` shows the way round where one of these lists contains this one."""
    if not children:
        return
    graph = graph_of(connection, account)
    names_by_id = {one.id: one.name for one in everything(connection, account)}
    for child in children:
        way = way_to(graph, child, number)
        if way is not None:
            shown = " > ".join(names_by_id[one] for one in [number, *way])
            raise RefusedError(f"a list cannot contain itself: {shown}")


def way_to(graph: dict[int, list[int]], start: int, goal: int) -> list[int] | None:
    """The lists from `start` to `goal`, each containing the next; None where no way leads there."""
    came: dict[int, int | None] = {start: None}
    waiting = [start]
    while waiting:
        here = waiting.pop()
        if here == goal:
            way: list[int] = []
            back: int | None = goal
            while back is not None:
                way.append(back)
                back = came[back]
            return way[::-1]
        for child in graph.get(here, ()):
            if child not in came:
                came[child] = here
                waiting.append(child)
    return None


def graph_of(connection: Connection, account: int) -> dict[int, list[int]]:
    """Which lists of an account stand in which, in the order of their places."""
    statement = (
        select(_member.c.list_id, _member.c.child_id)
        .join(_list, _list.c.id == _member.c.list_id)
        .where(_list.c.account_id == account, _member.c.child_id.is_not(None))
        .order_by(_member.c.list_id, _member.c.place)
    )
    graph: dict[int, list[int]] = {}
    for holder, child in connection.execute(statement):
        graph.setdefault(holder, []).append(child)
    return graph


# Finding --------------------------------------------------------------------------------------------------------------


def _id(connection: Connection, account: int, name: str) -> int | None:
    statement = select(_list.c.id).where(_list.c.account_id == account, _list.c.fold == names.fold(name))
    found: int | None = connection.execute(statement).scalar()
    return found


def named(connection: Connection, account: int, name: str) -> List | None:
    """The list of this name, or None; case, accents, dots, underscores and hyphens do not count."""
    number = _id(connection, account, name)
    return None if number is None else _heads(connection, account, number)[0]


def find(connection: Connection, account: int, name: str) -> List:
    """The list of this name; `RefusedError` where there is none."""
    found = named(connection, account, name)
    if found is None:
        near = names.nearest(name, (one.name for one in everything(connection, account)))
        raise RefusedError(f"there is no list {name}{near}", smtp="550 5.1.1")
    return found


def everything(connection: Connection, account: int) -> list[List]:
    """The lists of an account, by name."""
    return _heads(connection, account, None)


def _heads(connection: Connection, account: int, number: int | None) -> list[List]:
    count = select(func.count()).where(_member.c.list_id == _list.c.id).correlate(_list).scalar_subquery()
    statement = select(_list.c.id, _list.c.name, count.label("members"), _list.c.created)
    statement = statement.where(_list.c.account_id == account).order_by(_list.c.fold)
    if number is not None:
        statement = statement.where(_list.c.id == number)
    return [List(row.id, row.name, row.members, row.created) for row in connection.execute(statement)]


# Evaluating -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Leaf:
    """One who is on a list, by whatever way: a contact, or the number or address of somebody who is none.

    `list` is the list it stands in itself. A contact that the account cannot read any more is None, and has neither
    number nor address.
    """

    list: str
    contact: Contact | None = None
    number: str = ""
    address: str = ""
    sms: bool = False


def reach(graph: dict[int, list[int]], start: int) -> list[int]:
    """`start` and every list within it, each once, the nearest first."""
    found = {start: None}
    waiting = [start]
    for here in waiting:
        for child in graph.get(here, ()):
            if child not in found:
                found[child] = None
                waiting.append(child)
    return list(found)


def evaluate(connection: Connection, account: int, number: int) -> Iterator[Leaf]:
    """Everybody on a list and on the lists within it; whoever stands in several comes once."""
    within = reach(graph_of(connection, account), number)
    called = {one.id: one.name for one in everything(connection, account)}
    met: set[str] = set()
    for holder in within:
        rows = _leaves(connection, holder)
        people = _people(connection, account, holder) if any(row.contact_id for row in rows) else {}
        for row in rows:
            if row.identity in met:
                continue
            met.add(row.identity)
            where = called[holder]
            if row.kind == MemberKind.CONTACT:
                yield Leaf(where, people.get(row.contact_id))
            elif row.kind == MemberKind.NUMBER:
                yield Leaf(where, number=row.address, sms=row.sms)
            else:
                yield Leaf(where, address=row.address)


def _leaves(connection: Connection, holder: int) -> Sequence[Any]:
    statement = select(_member.c.identity, _member.c.kind, _member.c.contact_id, _member.c.address, _member.c.sms)
    return connection.execute(
        statement.where(_member.c.list_id == holder, _member.c.child_id.is_(None)).order_by(_member.c.place)
    ).all()


def _people(connection: Connection, account: int, holder: int) -> dict[int, Contact]:
    standing = select(_member.c.contact_id).where(_member.c.list_id == holder, _member.c.contact_id.is_not(None))
    return {one.id: one for one in contacts.where(connection, account, schema.contact.c.id.in_(standing))}


@dataclass(frozen=True, slots=True)
class Shown:
    """One member of a list as it stands there: its kind, what it is called, and the contact where it is one."""

    kind: MemberKind
    name: str
    contact: Contact | None = None
    sms: bool = False


def members(connection: Connection, account: int, number: int) -> Iterator[Shown]:
    """The members of a list itself, in their order."""
    people = _people(connection, account, number)
    called = {one.id: one.name for one in everything(connection, account)}
    rows = connection.execute(select(_member).where(_member.c.list_id == number).order_by(_member.c.place)).all()
    for row in rows:
        if row.child_id is not None:
            yield Shown(MemberKind.LIST, called[row.child_id])
        elif row.contact_id is not None:
            contact = people.get(row.contact_id)
            yield Shown(MemberKind.CONTACT, contact.name if contact is not None else "", contact)
        else:
            yield Shown(MemberKind(row.kind), row.address, sms=row.sms)


def addresses(connection: Connection, account: int, name: str) -> frozenset[str]:
    """The e-mail addresses of everybody on a list, in lower case; none where there is no such list."""
    number = _id(connection, account, name)
    if number is None:
        return frozenset()
    found: set[str] = set()
    for leaf in evaluate(connection, account, number):
        found.update([leaf.address] if leaf.address else [])
        found.update(one.address for one in (leaf.contact.addresses if leaf.contact is not None else ()))
    return frozenset(one.lower() for one in found)

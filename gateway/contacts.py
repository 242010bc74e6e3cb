"""Contacts: people with their numbers and e-mail addresses, in an account's private book or in a group's.

Members of a group read its book and write in it. Within a book a name may occur twice only where cards with different
UIDs brought it in; who is meant by a name that fits several contacts is never guessed.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.sql.elements import ColumnElement

from gateway import groups, mail_address, names
from gateway.failure import RefusedError
from gateway.groups import PRIVATE
from gateway.store import schema
from gateway.telephones import Kind as Kind
from gateway.telephones import Mailbox as Mailbox
from gateway.telephones import Telephone as Telephone
from gateway.telephones import once as once
from gateway.telephones import telephone as telephone
from gateway.telephones import telephone_of as telephone_of

_contact, _telephone, _address = schema.contact, schema.telephone, schema.contact_address
#: How many contacts are named in one statement.
_STEP = 500
#: The most numbers, and the most addresses, one contact has.
MOST = 100
#: What the UIDs begin with that are ours.
OUR_UID = "urn:uuid:"


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact; `book` is `private` or a group's name; numbers and addresses in order, the preferred first."""

    id: int
    book: str
    uid: str
    name: str
    numbers: tuple[Telephone, ...]
    addresses: tuple[Mailbox, ...]
    created: datetime
    changed: datetime
    card: str = ""

    @property
    def sms_number(self) -> str | None:
        """The number that gets its SMS: a mobile one first, then what else can."""
        able = [one for one in self.numbers if one.sms]
        able.sort(key=lambda one: one.kind is not Kind.MOBILE)
        return able[0].e164 if able else None

    @property
    def fax_number(self) -> str | None:
        """The number that gets its faxes."""
        return next((one.e164 for one in self.numbers if one.kind is Kind.FAX and one.e164), None)


# What is written ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Entry:
    """What is written down of a contact."""

    name: str
    numbers: Sequence[Telephone] = ()
    addresses: Sequence[Mailbox] = ()
    uid: str = ""
    card: str = ""


@dataclass(frozen=True, slots=True)
class Book:
    """A book that may be written in: of an account (`group` None) or of a group."""

    account: int
    group: int | None
    name: str

    @property
    def here(self) -> ColumnElement[bool]:
        """The condition for its contacts."""
        return _contact.c.account_id == self.account if self.group is None else _contact.c.group_id == self.group

    @property
    def owner(self) -> dict[str, int | None]:
        """The columns that say whose a contact is."""
        return {"account_id": self.account if self.group is None else None, "group_id": self.group}


def open_book(connection: Connection, account: int, name: str = PRIVATE) -> Book:
    """A book to write in; who else writes in it waits. `RefusedError` where the account is not of that group."""
    lock_account(connection, account)
    if names.fold(name) == PRIVATE:
        return Book(account, None, PRIVATE)
    group = groups.lock(connection, name)
    mine = groups.of_account(connection, account)
    if group not in mine:
        raise RefusedError(f"this account is no member of {name}: tocsin group add {name} ACCOUNT makes it one")
    return Book(account, group, mine[group])


def lock_account(connection: Connection, account: int) -> None:
    """Who else changes the account's book or lists waits until this transaction ends."""
    connection.execute(select(schema.account.c.id).where(schema.account.c.id == account).with_for_update())


def add(connection: Connection, book: Book, entry: Entry, *, now: datetime) -> int:
    """A new contact; `RefusedError` where the book has one of this name."""
    name = names.checked(entry.name, "contact")
    same = select(_contact.c.name).where(book.here, _contact.c.fold == names.fold(name))
    standing = connection.execute(same).scalars().first()
    if standing is not None:
        raise RefusedError(f"the {book.name} book has {standing} already: change it with tocsin contact set")
    return store(connection, book, entry, now=now)


def new_uid() -> str:
    """A UID nobody else has (RFC 6350 section 6.7.6)."""
    return f"{OUR_UID}{uuid.uuid4()}"


def store(connection: Connection, book: Book, entry: Entry, *, now: datetime) -> int:
    """A new contact, whoever else has its name; its id."""
    name = names.checked(entry.name, "contact")
    row = {"uid": entry.uid or new_uid(), "name": name, "fold": names.fold(name), "card": entry.card}
    statement = insert(_contact).values(**book.owner, **row, created=now, changed=now).returning(_contact.c.id)
    number: int = connection.execute(statement).scalar_one()
    _write_ways(connection, number, entry.numbers, entry.addresses)
    return number


def change(
    connection: Connection,
    contact: Contact,
    *,
    now: datetime,
    name: str | None = None,
    telephones: Sequence[Telephone] | None = None,
    addresses: Sequence[Mailbox] | None = None,
    card: str | None = None,
) -> None:
    """Change what is given; numbers and addresses are replaced as a whole."""
    values: dict[str, Any] = {"changed": now}
    if name is not None:
        clean = names.checked(name, "contact")
        values |= {"name": clean, "fold": names.fold(clean)}
    if card is not None:
        values["card"] = card
    connection.execute(update(_contact).where(_contact.c.id == contact.id).values(values))
    if telephones is not None:
        connection.execute(delete(_telephone).where(_telephone.c.contact_id == contact.id))
    if addresses is not None:
        connection.execute(delete(_address).where(_address.c.contact_id == contact.id))
    _write_ways(connection, contact.id, telephones or (), addresses or ())


def _write_ways(
    connection: Connection, contact: int, telephones: Iterable[Telephone], addresses: Iterable[Mailbox]
) -> None:
    numbers_, boxes = once(telephones), once(addresses)
    if max(len(numbers_), len(boxes)) > MOST:
        raise RefusedError(f"a contact can have {MOST} numbers and {MOST} addresses at most")
    if numbers_:
        rows = [
            {
                "contact_id": contact,
                "place": place,
                "kind": one.kind.value,
                "written": one.written,
                "e164": one.e164,
                "sms": one.sms,
            }
            for place, one in enumerate(numbers_)
        ]
        connection.execute(insert(_telephone), rows)
    if boxes:
        mail = [
            {"contact_id": contact, "place": place, "kind": one.kind, "address": mail_address.checked(one.address)}
            for place, one in enumerate(boxes)
        ]
        connection.execute(insert(_address), mail)


def remove(connection: Connection, contact: Contact) -> None:
    """Erase a contact; lists lose it, too."""
    groups.erase_contacts(connection, [contact.id])


# What is read ---------------------------------------------------------------------------------------------------------


def readable(mine: Collection[int], account: int) -> ColumnElement[bool]:
    """The condition for contacts an account may read; `mine` are the groups it is a member of."""
    own = _contact.c.account_id == account
    return own | _contact.c.group_id.in_(sorted(mine)) if mine else own


def everyone(connection: Connection, account: int, book: str | None = None) -> list[Contact]:
    """The contacts an account can read, by name; only those of one book where it is named."""
    return list(_load(connection, account, *_in_book(connection, account, book)))


def named(connection: Connection, account: int, name: str, book: str | None = None) -> list[Contact]:
    """The contacts of this name: those called exactly so where there are any, else those it may mean."""
    found = list(_load(connection, account, _contact.c.fold == names.fold(name), *_in_book(connection, account, book)))
    exactly = [one for one in found if one.name == name]
    return exactly or found


def by_ids(connection: Connection, account: int, ids: Iterable[int]) -> dict[int, Contact]:
    """Those of these contacts that the account can read."""
    wanted = sorted(set(ids))
    found: dict[int, Contact] = {}
    for start in range(0, len(wanted), _STEP):
        some = wanted[start : start + _STEP]
        found.update((one.id, one) for one in _load(connection, account, _contact.c.id.in_(some)))
    return found


def where(connection: Connection, account: int, condition: ColumnElement[bool]) -> Iterator[Contact]:
    """The contacts a condition on `schema.contact` allows and the account can read, by name."""
    return _load(connection, account, condition)


def find(connection: Connection, account: int, name: str, book: str | None = None) -> Contact:
    """The one contact of this name, or with this id; `RefusedError` says that there is none, or shows the several."""
    found = named(connection, account, name, book)
    if not found and name.isascii() and name.isdecimal() and len(name) < 19:
        found = list(by_ids(connection, account, [int(name)]).values())
    if len(found) > 1:
        raise ambiguous(name, found)
    if not found:
        raise missing(connection, account, name)
    return found[0]


def missing(connection: Connection, account: int, name: str) -> RefusedError:
    """There is no such contact, and who may have been meant."""
    mine = groups.of_account(connection, account)
    known = connection.execute(select(_contact.c.name).where(readable(mine, account)).limit(2000)).scalars()
    return RefusedError(f"there is no contact {name}{names.nearest(name, known)}", smtp="550 5.1.1")


def ambiguous(name: str, found: Sequence[Contact]) -> RefusedError:
    """Several contacts may be meant: they are shown, each with what tells it apart."""
    shown = " or ".join(f"{one.name} ({_told_apart(one)})" for one in found[:5])
    what = f"{name} may be {shown}"
    return RefusedError(f"{what}: write the number or the address itself, or rename one of them", smtp="550 5.1.1")


def _told_apart(contact: Contact) -> str:
    ways = [one.e164 or one.written for one in contact.numbers[:1]] or [one.address for one in contact.addresses[:1]]
    return ", ".join([f"{contact.book} book", *ways])


def _in_book(connection: Connection, account: int, book: str | None) -> list[ColumnElement[bool]]:
    if book is None:
        return []
    if names.fold(book) == PRIVATE:
        return [_contact.c.account_id == account]
    mine = {names.fold(name): number for number, name in groups.of_account(connection, account).items()}
    if names.fold(book) not in mine:
        raise RefusedError(f"there is no book {book} for this account: its own is private, others are its groups'")
    return [_contact.c.group_id == mine[names.fold(book)]]


def _load(connection: Connection, account: int, *conditions: ColumnElement[bool]) -> Iterator[Contact]:
    mine = groups.of_account(connection, account)
    wanted = (readable(mine, account), *conditions)
    ids = select(_contact.c.id).where(*wanted)
    telephones: dict[int, list[Telephone]] = {}
    statement = select(_telephone).where(_telephone.c.contact_id.in_(ids))
    for row in connection.execute(statement.order_by(_telephone.c.contact_id, _telephone.c.place)):
        telephones.setdefault(row.contact_id, []).append(Telephone(Kind(row.kind), row.written, row.e164, row.sms))
    boxes: dict[int, list[Mailbox]] = {}
    addresses = select(_address).where(_address.c.contact_id.in_(ids))
    for row in connection.execute(addresses.order_by(_address.c.contact_id, _address.c.place)):
        boxes.setdefault(row.contact_id, []).append(Mailbox(row.address, row.kind))
    for row in connection.execute(select(_contact).where(*wanted).order_by(_contact.c.fold, _contact.c.id)):
        yield Contact(
            id=row.id,
            book=PRIVATE if row.group_id is None else mine[row.group_id],
            uid=row.uid,
            name=row.name,
            numbers=tuple(telephones.get(row.id, ())),
            addresses=tuple(boxes.get(row.id, ())),
            created=row.created,
            changed=row.changed,
            card=row.card,
        )


# Who writes to whom ---------------------------------------------------------------------------------------------------


def books(connection: Connection, account: int, wanted: Collection[str]) -> dict[str, frozenset[str]]:
    """The e-mail addresses, in lower case, that each of these words stands for.

    `book:private` or `book:GROUP` are the addresses in that book, `group:GROUP` those and its members' own, `any` all
    books the account reads. A book that is none of the account's is empty.
    """
    if not wanted:
        return {}
    mine = groups.of_account(connection, account)
    of_book: dict[int | None, set[str]] = {None: set(), **{group: set() for group in mine}}
    statement = select(_contact.c.group_id, _address.c.address).join(_address, _address.c.contact_id == _contact.c.id)
    for group, address in connection.execute(statement.where(readable(mine, account))):
        of_book[group].add(address.lower())
    by_name: dict[str, int | None] = {PRIVATE: None, **{names.fold(name): group for group, name in mine.items()}}
    found: dict[str, frozenset[str]] = {}
    for word in wanted:
        what, _, name = word.partition(":")
        if what == "any":
            found[word] = frozenset().union(*of_book.values())
        elif what in ("book", "group") and names.fold(name) in by_name:
            book = by_name[names.fold(name)]
            own = groups.member_addresses(connection, book) if what == "group" and book is not None else set()
            found[word] = frozenset(of_book[book] | own)
        else:
            found[word] = frozenset()
    return found

"""What may stand in a list, read as people write it: `Jean Dupont`, `list:family`, `+32475123456`, `a@example.org`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select

from gateway import contacts, groups, mail_address, names, numbers
from gateway.failure import RefusedError
from gateway.store import schema

_CONTACT, _LIST = "contact:", "list:"


class MemberKind(StrEnum):
    """What a member of a list is."""

    CONTACT = "contact"
    LIST = "list"
    NUMBER = "number"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Member:
    """A member to be: `identity` is what makes two members the same one."""

    kind: MemberKind
    identity: str
    contact: int | None = None
    child: int | None = None
    address: str | None = None
    sms: bool = False

    @property
    def row(self) -> dict[str, Any]:
        """The columns of `list_member`, without list and place."""
        return {
            "kind": self.kind.value,
            "identity": self.identity,
            "contact_id": self.contact,
            "child_id": self.child,
            "address": self.address,
            "sms": self.sms,
        }


def read(connection: Connection, account: int, members: Sequence[str], region: str | None) -> list[Member]:
    """The members these words stand for; `RefusedError` says which cannot be one, and why."""
    reader = _Reader(connection, account, region)
    return [reader.read(written.strip()) for written in members]


@dataclass(slots=True)
class _Reader:
    """Reads many members; what names stand for is looked up once, when the first name comes."""

    connection: Connection
    account: int
    region: str | None
    _people: dict[str, list[tuple[int, str]]] | None = field(default=None)
    _lists: dict[str, int] | None = field(default=None)

    def read(self, written: str) -> Member:
        if names.is_number(written):
            found = numbers.read(written, self.region)
            if found.e164 is None:
                raise RefusedError(found.advice or f"{written} is no telephone number")
            return Member(MemberKind.NUMBER, found.e164, address=found.e164, sms=found.can_get_sms)
        if "@" in written:
            address = mail_address.checked(written)
            return Member(MemberKind.ADDRESS, address.lower(), address=address)
        return self._named(written)

    def _named(self, written: str) -> Member:
        prefix = next((one for one in (_CONTACT, _LIST) if written.lower().startswith(one)), "")
        name = written[len(prefix) :].strip()
        child = self.lists.get(names.fold(name)) if prefix != _CONTACT else None
        people = self._called(name) if prefix != _LIST else []
        if child is not None and people:
            raise RefusedError(f"{name} is a list and a contact: write {_LIST}{name} or {_CONTACT}{name}")
        if child is not None:
            return Member(MemberKind.LIST, f"{_LIST}{child}", child=child)
        if len(people) > 1:
            several = contacts.by_ids(self.connection, self.account, (number for number, _ in people))
            raise contacts.ambiguous(name, list(several.values()))
        if people:
            return Member(MemberKind.CONTACT, f"{_CONTACT}{people[0][0]}", contact=people[0][0])
        what = prefix.rstrip(":") or "contact and no list"
        known = [called for some in self.people.values() for _, called in some]
        raise RefusedError(f"there is no {what} {name}{names.nearest(name, known)}")

    def _called(self, name: str) -> list[tuple[int, str]]:
        found = self.people.get(names.fold(name), [])
        return [one for one in found if one[1] == name] or found

    @property
    def people(self) -> dict[str, list[tuple[int, str]]]:
        """The contacts the account can read, ids and names, by folded name."""
        if self._people is None:
            self._people = {}
            contact = schema.contact
            mine = groups.of_account(self.connection, self.account)
            statement = select(contact.c.fold, contact.c.id, contact.c.name)
            for row in self.connection.execute(statement.where(contacts.readable(mine, self.account))):
                self._people.setdefault(row.fold, []).append((row.id, row.name))
        return self._people

    @property
    def lists(self) -> dict[str, int]:
        """The account's lists, ids by folded name."""
        if self._lists is None:
            table = schema.recipient_list
            rows = self.connection.execute(select(table.c.fold, table.c.id).where(table.c.account_id == self.account))
            self._lists = {row.fold: row.id for row in rows}
        return self._lists

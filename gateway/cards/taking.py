"""Cards taken into a book: who is there already is brought up to date, and nobody is mistaken for somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from gateway import contacts, names
from gateway.cards.reading import Card, Fault
from gateway.contacts import Book, Contact, Entry, Mailbox, Telephone
from gateway.failure import RefusedError


@dataclass(slots=True)
class Taken:
    """What became of cards; `faults` are those that could not be taken after all."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    faults: list[Fault] = field(default_factory=list)


def take(connection: Connection, book: Book, cards: Sequence[Card], *, now: datetime) -> Taken:
    """Take cards into a book. One with a UID that is there replaces that contact.

    One without a UID that is known is somebody who is there only where the name is the same and a number or an address
    is, too, or either has none; then what is new of it is added. Else it is somebody new, even of a name that is there.
    """
    standing = _Standing(connection, book)
    done = Taken()
    for card in cards:
        known = standing.find(card.entry)
        try:
            if known is None:
                entry = replace(card.entry, uid=card.entry.uid or contacts.new_uid())
                standing.add(_as_contact(contacts.store(connection, book, entry, now=now), book, entry, now))
                done.added += 1
            elif (becomes := _changed(known, card.entry)) is None:
                done.unchanged += 1
            else:
                contacts.change(
                    connection,
                    known,
                    now=now,
                    name=becomes.name,
                    telephones=becomes.numbers,
                    addresses=becomes.addresses,
                    card=becomes.card,
                )
                standing.add(_as_contact(known.id, book, becomes, now))
                done.changed += 1
        except RefusedError as error:
            done.faults.append(Fault(card.line, str(error)))
    return done


def _as_contact(number: int, book: Book, entry: Entry, now: datetime) -> Contact:
    """The contact as it is from now on."""
    ways = tuple(contacts.once(entry.numbers)), tuple(contacts.once(entry.addresses))
    return Contact(number, book.name, entry.uid, entry.name, *ways, now, now, entry.card)


class _Standing:
    """The contacts of the book, as they become."""

    def __init__(self, connection: Connection, book: Book) -> None:
        self._by_uid: dict[str, Contact] = {}
        self._by_name: dict[str, dict[int, Contact]] = {}
        for contact in contacts.where(connection, book.account, book.here):
            self.add(contact)

    def add(self, contact: Contact) -> None:
        self._by_uid[contact.uid] = contact
        self._by_name.setdefault(names.fold(contact.name), {})[contact.id] = contact

    def find(self, entry: Entry) -> Contact | None:
        if entry.uid in self._by_uid:
            return self._by_uid[entry.uid]
        for contact in self._by_name.get(names.fold(entry.name), {}).values():
            if entry.uid and not contact.uid.startswith(contacts.OUR_UID):
                continue
            if _same_person(contact, entry):
                return contact
        return None


def _same_person(contact: Contact, entry: Entry) -> bool:
    here, there = _ways(contact.numbers, contact.addresses), _ways(entry.numbers, entry.addresses)
    return not here or not there or bool(here & there)


def _ways(telephones: Sequence[Telephone], boxes: Sequence[Mailbox]) -> set[str]:
    return {one.identity for one in telephones} | {one.identity for one in boxes}


def _changed(known: Contact, entry: Entry) -> Entry | None:
    """What the contact becomes by this card; None where it stays as it is."""
    telephones, boxes, card = tuple(entry.numbers), tuple(entry.addresses), entry.card
    if entry.uid != known.uid:
        telephones = tuple(contacts.once([*known.numbers, *telephones]))
        boxes = tuple(contacts.once([*known.addresses, *boxes]))
        card = known.card or card
    name = entry.name if entry.uid == known.uid else known.name
    changed = Entry(name, telephones, boxes, known.uid, card)
    was = Entry(known.name, known.numbers, known.addresses, known.uid, known.card)
    return None if _essence(changed) == _essence(was) else changed


def _essence(entry: Entry) -> tuple[object, ...]:
    """What makes a difference: not how a number happens to be written."""
    telephones = [(one.kind, one.identity) for one in entry.numbers]
    return entry.name, telephones, list(entry.addresses), entry.card

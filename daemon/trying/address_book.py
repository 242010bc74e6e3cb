"""A file of vCards as a filter that is tried sees it: who is in it, and how the people in it are reached."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from filters.folding import fold
from gateway import numbers
from gateway.failure import RefusedError

#: Octets of a file that are read.
LARGEST = 20_000_000


@dataclass(frozen=True, slots=True)
class Card:
    """One card: its names, addresses in the order written, numbers with their types; of a group also its members."""

    uid: str
    name: str
    addresses: tuple[str, ...]
    numbers: tuple[tuple[str, frozenset[str]], ...]
    categories: tuple[str, ...] = ()
    group: bool = False
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddressBook:
    """The cards of a file by folded name. Groups and categories stand for groups and lists of their name."""

    people: Mapping[str, tuple[Card, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[Card, ...]] = field(default_factory=dict)

    def addresses(self, word: str) -> frozenset[str]:
        """The addresses a word of `sender_in` stands for; whatever a book is called, it is this one."""
        what, _, name = word.partition(":")
        if what in ("group", "list"):
            cards = self.groups.get(fold(name), ())
        else:
            cards = tuple(card for some in self.people.values() for card in some)
        return frozenset(address.lower() for card in cards for address in card.addresses)

    def by_name(self) -> dict[str, frozenset[str]]:
        """The addresses of people by their folded names."""
        return {
            name: frozenset(address.lower() for card in cards for address in card.addresses)
            for name, cards in self.people.items()
        }

    def reached(self, channel: str, to: str, region: str | None) -> list[str]:
        """The numbers or addresses that `contact:NAME` or `list:NAME` stands for; none where the file has none."""
        what, _, name = to.partition(":")
        cards = (self.people if what == "contact" else self.groups).get(fold(name), ())
        found = (_way(channel, card, region) for card in cards)
        return list(dict.fromkeys(way for way in found if way))


def _way(channel: str, card: Card, region: str | None) -> str:
    """How one person is reached over a channel; empty where he is not."""
    if channel == "email":
        return next(iter(card.addresses), "")
    wanted = "fax" if channel == "fax" else "cell"
    typed = [written for written, types in card.numbers if wanted in types]
    others = [written for written, types in card.numbers if not types & {wanted, "fax", "pager"}]
    for written in typed if channel == "fax" else typed + others:
        found = numbers.read(written, region)
        if found.e164 is not None and (channel == "fax" or found.can_get_sms):
            return found.e164
    return ""


def read(octets: bytes) -> AddressBook:
    """The address book of a file of vCards, of any version; `RefusedError` for what is none."""
    if len(octets) > LARGEST:
        raise RefusedError(f"the file of contacts is larger than {LARGEST} octets")
    cards = list(_cards(octets.decode("utf-8-sig", "replace")))
    if not cards and octets.strip():
        raise RefusedError("the file of contacts holds no card: a card begins with BEGIN:VCARD")
    people: dict[str, list[Card]] = {}
    groups: dict[str, dict[str, Card]] = {}
    by_reference = {f"urn:uuid:{card.uid.removeprefix('urn:uuid:')}": card for card in cards if card.uid}
    by_reference |= {f"mailto:{address.lower()}": card for card in cards for address in card.addresses}
    for card in cards:
        if card.group:
            held = groups.setdefault(fold(card.name), {})
            for member in card.members:
                found = by_reference.get(member) or by_reference.get(member.lower()) or _stranger(member)
                held[member] = found
        else:
            people.setdefault(fold(card.name), []).append(card)
            for category in card.categories:
                groups.setdefault(fold(category), {})[card.uid or card.name] = card
    return AddressBook(
        {name: tuple(found) for name, found in people.items()},
        {name: tuple(found.values()) for name, found in groups.items()},
    )


def _stranger(member: str) -> Card:
    """A member who has no card: an address or a number."""
    kind, _, rest = member.partition(":")
    addresses = (rest,) if kind.lower() == "mailto" else ()
    tels = ((_number(member), frozenset({"cell"})),) if kind.lower() == "tel" else ()
    return Card("", rest, addresses, tels)


def _cards(text: str) -> Iterator[Card]:
    import vobject
    from vobject.base import ParseError, VObjectError

    try:
        for component in vobject.readComponents(io.StringIO(text), allowQP=True, ignoreUnreadable=True):
            if component.name == "VCARD":
                yield _card(component.contents)
    except (ParseError, VObjectError, ValueError, LookupError) as error:
        raise RefusedError(f"the file of contacts cannot be read: {str(error)[:200]}") from None


def _card(contents: Mapping[str, list[Any]]) -> Card:
    kind = _first(contents, "kind") or _first(contents, "x-addressbookserver-kind")
    members = (*contents.get("member", ()), *contents.get("x-addressbookserver-member", ()))
    telephones = ((_number(_plain(one.value)), _types(one)) for one in contents.get("tel", ()))
    categories = (word for one in contents.get("categories", ()) for word in _several(one.value))
    return Card(
        uid=_first(contents, "uid"),
        name=_first(contents, "fn") or _first(contents, "nickname") or _first(contents, "org"),
        addresses=tuple(found for one in contents.get("email", ()) if "@" in (found := _plain(one.value))),
        numbers=tuple((number, types) for number, types in telephones if number),
        categories=tuple(word for word in categories if word),
        group=kind.lower() == "group",
        members=tuple(_plain(one.value) for one in members),
    )


def _number(value: str) -> str:
    """A number as written, of a URI without what only a telephone needs (RFC 3966): `tel:+32-475;ext=5`."""
    return value[4:].partition(";")[0] if value.lower().startswith("tel:") else value


def _types(line: Any) -> frozenset[str]:
    """What a number is, in lower case: `TYPE=cell`, or as vCard 2.1 writes it."""
    said = [*line.params.get("TYPE", ()), *(line.singletonparams or ())]
    return frozenset(word.strip(' "').lower() for one in said for word in str(one).split(","))


def _several(value: Any) -> list[str]:
    return [_plain(one) for one in value] if isinstance(value, list) else [_plain(one) for one in str(value).split(",")]


def _first(contents: Mapping[str, list[Any]], name: str) -> str:
    return next((_plain(one.value) for one in contents.get(name, ())), "")


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)).strip()
    return " ".join(str(value).split())

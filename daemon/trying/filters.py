"""`tocsin try filter`: filters against one mail, without an account, a store or a configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from daemon.trying.address_book import AddressBook
from filters.context import Context
from filters.evaluation import Rule, evaluate
from filters.mail import Mail
from filters.verdict import Decided, Verdict

#: How many parts an SMS has at most where neither the filter nor an account says so: what a new account gets.
MOST_PARTS = 6


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says of whose filters these are. `now` is aware, in his zone; `mobile` is E.164."""

    now: datetime
    me: tuple[str, ...] = ()
    mobile: str | None = None
    region: str | None = None
    book: AddressBook | None = None
    authserv_id: str | None = None
    several: bool = field(default=False, kw_only=True)


def tried(rules: Sequence[Rule], octets: bytes, given: Given) -> dict[str, Any]:
    """What the filters found out and decided, as CONTRACT writes it; of several also each by itself."""
    mail = Mail.read(octets)
    context = _context(rules, mail, given)
    verdicts = [_addressed(one, given) for one in evaluate(rules, mail, context, octets)]
    if not given.several:
        return verdicts[0].document()
    whole = Verdict(
        "",
        any(one.matched for one in verdicts),
        tuple(found for one in verdicts for found in one.hits),
        tuple(found for one in verdicts for found in one.misses),
        tuple(action for one in verdicts for action in one.actions),
        tuple(f"{one.filter}: {note}" for one in verdicts for note in one.notes),
        any(one.stopped for one in verdicts),
    )
    return {**whole.document(), "filters": [{"name": one.filter, **one.document()} for one in verdicts]}


def _context(rules: Iterable[Rule], mail: Mail, given: Given) -> Context:
    """The mail's own header stands for the envelope: Return-Path, which one server writes, and Delivered-To."""
    paths = mail.header("return-path")
    delivered = tuple(value.strip("<> ") for value in mail.header("delivered-to") if value.strip("<> "))
    books: dict[str, frozenset[str]] = {}
    if given.book is not None:
        named = {word for rule in rules for word in rule.books}
        books = {word: given.book.addresses(word) for word in (*named, "any")}
    return Context(
        now=given.now,
        envelope_from=paths[0].strip("<> ") if paths else None,
        envelope_to=delivered,
        me=frozenset(address.lower() for address in given.me or delivered),
        books=books,
        people=given.book.by_name() if given.book is not None else {},
        authserv_id=given.authserv_id,
    )


def _addressed(verdict: Verdict, given: Given) -> Verdict:
    """The verdict with destinations as numbers and addresses, as far as is known, and texts that fit."""
    actions: list[Decided] = []
    notes = list(verdict.notes)
    for action in verdict.actions:
        found, note = _resolved(action, given)
        text = _fitted(action)
        actions += [replace(action, to=to, text=text) for to in found]
        if note:
            notes.append(note)
    once: dict[tuple[str, str, str], Decided] = {}
    for one in actions:
        once.setdefault((one.channel, one.to, one.text), one)
    return replace(verdict, actions=tuple(once.values()), notes=tuple(dict.fromkeys(notes)))


def _resolved(action: Decided, given: Given) -> tuple[list[str], str]:
    """Whom a destination stands for, or itself; and what is wrong with it."""
    to = action.to
    if to == "me":
        mine = {"sms": [given.mobile] if given.mobile else [], "email": list(given.me[:1])}
        return mine.get(action.channel) or [to], ""
    if to.startswith(("contact:", "list:")):
        found = given.book.reached(action.channel, to, given.region) if given.book is not None else []
        if found or given.book is None:
            return found or [to], ""
        return [to], f"{to} stands as written: the contacts given know nobody of that name with {_WAYS[action.channel]}"
    return _written(action, given.region)


_WAYS = {"sms": "a number that can get an SMS", "fax": "a fax number", "email": "an e-mail address"}


def _written(action: Decided, region: str | None) -> tuple[list[str], str]:
    """A number in its international form, where it can be read; an address as it is."""
    if action.channel == "email":
        return [action.to], ""
    from gateway import numbers

    number = numbers.read(action.to.removeprefix("tel:"), region)
    advice = number.advice if action.channel == "sms" or not number.e164 else None  # a fixed line gets faxes
    return [number.e164 or action.to], advice or ""


def _fitted(action: Decided) -> str:
    """The text of an SMS, cut to the parts it may have."""
    if action.channel != "sms":
        return action.text
    from gateway import text

    return text.fit(action.text, action.max_parts or MOST_PARTS)

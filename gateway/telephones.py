"""How a contact is reached: numbers with a kind, each judged for SMS, and e-mail addresses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from gateway import numbers
from gateway.failure import RefusedError
from gateway.numbers import Number


class Kind(StrEnum):
    """What a number is for."""

    MOBILE = "mobile"
    HOME = "home"
    WORK = "work"
    FAX = "fax"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Telephone:
    """A number of a contact: as written, in E.164 (None where no numbering plan has it), and whether it serves for SMS.

    A fax number does not, whatever it is.
    """

    kind: Kind
    written: str
    e164: str | None
    sms: bool

    @property
    def identity(self) -> str:
        """What makes two of them the same number."""
        return self.e164 or self.written

    def judge(self, region: str | None = None) -> Number:
        """What is to be said of it: its advice is None exactly where it serves for SMS."""
        return numbers.read(self.e164 or self.written, region)

    def advice(self, region: str | None = None) -> str | None:
        """Why it cannot get an SMS and what to change, in one sentence; None where it can."""
        if self.sms:
            return None
        found = self.judge(region)
        if found.can_get_sms:
            return f"{self.e164} is kept as a fax number, which gets no SMS: add a mobile number."
        return found.advice


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An e-mail address of a contact; `kind` is home, work or nothing."""

    address: str
    kind: str = ""

    @property
    def identity(self) -> str:
        """What makes two of them the same address."""
        return self.address.lower()


Way = TypeVar("Way", Telephone, Mailbox)


def once(ways: Iterable[Way]) -> list[Way]:
    """Each number or address once, in the order of the first of each."""
    found: dict[str, Way] = {}
    for one in ways:
        found.setdefault(one.identity, one)
    return list(found.values())


def telephone(written: str, kind: str, region: str | None) -> Telephone:
    """A number as written; taken whatever it is, for `Telephone.advice` to tell."""
    found = numbers.read(written, region)
    return Telephone(Kind(kind), written.strip(), found.e164, found.can_get_sms and kind != Kind.FAX)


def telephone_of(text: str, region: str | None) -> Telephone:
    """A number written `KIND:NUMBER`, mobile where no kind is said; `RefusedError` for what is no number or kind."""
    before, colon, after = text.partition(":")
    kind, written = (before.strip().lower(), after) if colon else (Kind.MOBILE.value, text)
    if kind not in set(Kind):
        raise RefusedError(f"{before!r} is no kind of number: write {', '.join(Kind)}, as in mobile:+32475123456")
    found = telephone(written, kind, region)
    if found.e164 is None:
        raise RefusedError(found.advice(region) or f"{written} is no telephone number")
    return found

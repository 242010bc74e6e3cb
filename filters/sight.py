"""A mail and its circumstances as tests of filters look at them: each thing is worked out once, when first asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

from filters import authentication_results, domains, excerpt
from filters.authentication_results import AuthenticationResults
from filters.context import Context
from filters.excerpt import Excerpt
from filters.folding import fold
from filters.mail import Mail
from filters.verdict import Json

if TYPE_CHECKING:
    from filters.sieve.message import Message  # scripts look at a sight in turn

#: How much of one value is looked at (characters), and shown in a trace; how many of several are shown.
LOOKED_AT, SHOWN, MANY = 256 * 1024, 200, 10

#: What of each value of a field a comparison is given: the text as it is compared, the domain in it, the value itself.
Takes: TypeAlias = Literal["folded", "domain", "value"]


@dataclass(frozen=True, slots=True)
class Looked:
    """What a field of a mail holds: its values; whether it is there at all; why not, where only this place lacks it."""

    values: tuple[Any, ...] = ()
    present: bool = False
    unknown: str = ""


class Seen(NamedTuple):
    """What comparisons are given of a field, the values themselves, and what a trace says of them."""

    given: tuple[Any, ...]
    values: tuple[Any, ...]
    shown: Json


class Look(Protocol):
    """A field, as far as it is looked at."""

    @property
    def name(self) -> str:
        """What it is called, suffix and all."""

    @property
    def look(self) -> Callable[[Sight], Looked]:
        """How it is looked at."""


class Sight:
    """One mail for one account, shared by all its filters. `octets` are the mail as it came, where they are at hand."""

    def __init__(self, mail: Mail, context: Context, octets: bytes = b"") -> None:
        self.mail = mail
        self.context = context
        self.octets = octets
        self._looked: dict[str, Looked] = {}
        #: What was seen before, by what was asked: a thousand filters ask the same of one mail.
        self.seen: dict[str, Seen] = {}
        #: What was asked for and is not known here, by the name of the field.
        self.unknown: dict[str, str] = {}

    def look(self, field: Look) -> Looked:
        """What a field holds; texts at most as long as is looked at."""
        found = self._looked.get(field.name)
        if found is None:
            found = field.look(self)
            if any(isinstance(value, str) and len(value) > LOOKED_AT for value in found.values):
                cut = tuple(value[:LOOKED_AT] if isinstance(value, str) else value for value in found.values)
                found = Looked(cut, found.present)
            self._looked[field.name] = found
            if found.unknown:
                self.unknown[field.name] = found.unknown
        return found

    def see(self, asked: str, field: Look, takes: Takes, *, accents: bool) -> Seen:
        """What a comparison is given of a field; kept as `asked`."""
        values = given = self.look(field).values
        if takes == "folded":
            given = tuple(fold(value, accents=accents) for value in values)
        elif takes == "domain":
            lower = [value.rpartition("@")[2].lower() for value in values]
            given = tuple(domains.canonical(one) or one for one in lower)
        found = self.seen[asked] = Seen(given, values, self.shown(field))
        return found

    def shown(self, field: Look) -> Json:
        """What a trace says a field holds: its value, a list of several, None where there is none."""
        values = [show(value) for value in self.look(field).values[:MANY]]
        return values[0] if len(values) == 1 else (values or None)

    @cached_property
    def message(self) -> Message:
        """The mail as Sieve looks at it."""
        from filters.sieve.message import Message

        return Message(self.octets, size=self.mail.size) if self.octets else Message.of(self.mail)

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of the header's fields, in lower case."""
        return frozenset(field.name for field in self.mail.fields)

    @cached_property
    def own_text(self) -> str:
        """The sender's own words, as he wrote them."""
        return excerpt.own_text(self.mail)

    @cached_property
    def excerpt(self) -> Excerpt:
        """The sender's own words."""
        return excerpt.excerpt(self.mail, self.own_text)

    @cached_property
    def believed(self) -> AuthenticationResults | None:
        """The Authentication-Results that counts, if there is one."""
        if not self.context.authserv_id:
            return None
        return authentication_results.topmost(self.mail.fields, self.context.authserv_id)


def show(value: Json) -> Json:
    """A value as a trace shows it: a text shortly."""
    return f"{value[: SHOWN - 1]}…" if isinstance(value, str) and len(value) > SHOWN else value


def show_around(text: str, start: int, end: int) -> str:
    """The part of a text around what was found in it, shortly."""
    if len(text) <= SHOWN:
        return text
    room = max(SHOWN - (end - start), 0) // 2
    first, last = max(start - room, 0), min(end + room, start + SHOWN)
    return ("…" if first else "") + text[first:last].strip() + ("…" if last < len(text) else "")

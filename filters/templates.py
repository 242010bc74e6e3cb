"""The texts of filters: names in braces are replaced by what the mail says; `{{` and `}}` are braces."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from filters import excerpt
from filters.fields import near
from filters.punctuation import plain
from filters.sight import Sight
from filters.verdict import Need

#: Longest text with its names in braces, and longest text made of it (characters); names and addresses of one kind.
LONGEST, LARGEST, _NAMED = 2000, 100_000, 5

_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class TemplateError(ValueError):
    """A text that cannot be filled in, with what is wrong with it."""


def _from(sight: Sight) -> str:
    return next((address or name for name, address in sight.mail.from_), "")


def _to(sight: Sight) -> str:
    return _listed([address or name for name, address in sight.mail.to])


def _attachments(sight: Sight) -> str:
    return _listed([one.name or one.type for one in sight.mail.attachments])


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown}, ..." if len(names) > _NAMED else shown


def _size(sight: Sight) -> str:
    size = sight.mail.size
    for unit, octets in (("GB", 10**9), ("MB", 10**6), ("kB", 1000)):
        if size >= octets:
            number = size / octets
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{size} B"


def _written(sight: Sight) -> datetime:
    """When the mail was written, in the account's zone; now, where it does not say so."""
    now, date = sight.context.now, sight.mail.date
    try:
        return date.astimezone(now.tzinfo) if date is not None else now
    except (OverflowError, ValueError):  # a year no zone reaches
        return now


def _folder(sight: Sight) -> str:
    return sight.context.source.folder if sight.context.source is not None else ""


#: What each name stands for, and what of the mail must be at hand for it.
NAMES: Mapping[str, tuple[Callable[[Sight], str], frozenset[Need]]] = {
    "from": (_from, frozenset({"headers"})),
    "from_name": (lambda sight: excerpt.sender(sight.mail), frozenset({"headers"})),
    "to": (_to, frozenset({"headers"})),
    "subject": (lambda sight: plain(sight.mail.subject), frozenset({"headers"})),
    "excerpt": (lambda sight: sight.excerpt.said, frozenset({"headers", "structure", "body"})),
    "size": (_size, frozenset()),
    "attachments": (_attachments, frozenset({"structure"})),
    "folder": (_folder, frozenset()),
    "date": (lambda sight: f"{_written(sight):%Y-%m-%d}", frozenset({"headers"})),
    "time": (lambda sight: f"{_written(sight):%H:%M}", frozenset({"headers"})),
    "link": (lambda sight: sight.context.link, frozenset()),
}


def names(text: str) -> list[str]:
    """The names in a text, in order; `TemplateError` for one that is unknown, or a brace that belongs to none."""
    found: list[str] = []
    for piece in _PIECE.finditer(text):
        name = piece[1]
        if name is not None:
            if name not in NAMES:
                known = ", ".join(f"{{{one}}}" for one in NAMES)
                hint = near(name, list(NAMES))
                raise TemplateError(f"there is no {{{name[:60]}}}{hint or f': there are {known}'}")
            found.append(name)
        elif piece[0] in ("{", "}"):
            raise TemplateError(f"a single {piece[0]} stands for nothing: for the brace itself write it twice")
    return found


def needs(text: str | None) -> frozenset[Need]:
    """What of a mail must be at hand to fill in this text, or the usual one."""
    used = names(text) if text is not None else ["from_name", "subject", "excerpt"]
    return frozenset().union(*(NAMES[name][1] for name in used))


def render(text: str | None, sight: Sight) -> str:
    """The text filled in; without one the usual text: who, the subject, and below it what the mail says.

    What the mail says is never read as a template. Lines that end up blank at either end go. Where nothing is left,
    the sender is named: somebody is to be told that a mail came.
    """
    if text is None:
        said = _usual(sight)
    else:
        said = _PIECE.sub(lambda piece: _filled(piece, sight), text)
    said = "\n".join(map(str.rstrip, said.split("\n"))).strip()[:LARGEST]
    return said or excerpt.sender(sight.mail) or "A mail without sender and text"


def _filled(piece: re.Match[str], sight: Sight) -> str:
    return NAMES[piece[1]][0](sight) if piece[1] is not None else piece[0][0]


def _usual(sight: Sight) -> str:
    said = sight.excerpt
    first = ": ".join(filter(None, (said.sender, said.subject)))
    return "\n".join(filter(None, (first, said.said)))

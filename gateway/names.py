"""Names people give to contacts, groups and lists: what may be one, and when two are the same."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable

from gateway.failure import RefusedError

#: The longest name, in characters.
LONGEST = 200
#: A number as somebody may write it: digits, at least one, and nothing else but what stands between them.
_NUMBER = re.compile(r"(?=\D*\d)[\s(]*\+?[\d\s().\-/]+\Z")
_BETWEEN = re.compile(r"[\s._\-]+")


def fold(name: str) -> str:
    """What a name is found by: case, accents and width do not count; dots, underscores and hyphens are spaces."""
    if name.isascii():
        return " ".join(_BETWEEN.split(name.lower())).strip()
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return " ".join(_BETWEEN.split("".join(one for one in plain if not unicodedata.combining(one)))).strip()


def is_number(text: str) -> bool:
    """Whether a text is written as a telephone number, rather than as a name."""
    return _NUMBER.match(text) is not None


def are_numbers(texts: Iterable[str]) -> bool:
    """Whether each of these is written as a telephone number."""
    return all(map(_NUMBER.match, texts))


def checked(name: str, what: str) -> str:
    """A name without white space around it; `RefusedError` where it cannot be one. `what` is what it names."""
    clean = " ".join(unicodedata.normalize("NFC", name).split())
    if not clean or len(clean) > LONGEST or not clean.isprintable() or not fold(clean):
        raise RefusedError(
            f"{clean[:50]!r} cannot be the name of a {what}: use 1 to {LONGEST} characters, some letters"
        )
    if is_number(clean):
        raise RefusedError(f"{clean} cannot be the name of a {what}: it would be taken for a telephone number")
    return clean


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` where one of the known names is close, else nothing."""
    by_fold = {fold(one): one for one in known}
    found = difflib.get_close_matches(fold(name), list(by_fold)[:2000], n=1, cutoff=0.7)
    return f"; did you mean {by_fold[found[0]]}?" if found else ""

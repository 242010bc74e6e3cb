"""How strings are compared: comparators (RFC 4790, RFC 5051), relations (RFC 5231), wildcards (RFC 5228)."""

from __future__ import annotations

import operator
import re
import string
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_DIGITS = re.compile(r"[0-9]+")
#: Digits of a number that are looked at; more make it infinite.
_LONGEST_NUMBER = 400

RELATIONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Comparator:
    """A comparator: `fold` makes strings that are equal, or ordered, by it so in Python.

    `parts` says that parts of strings can be looked for; `even` that a folded string is as long as it was.
    """

    name: str
    fold: Callable[[str], Any]
    parts: bool = True
    even: bool = True


def ascii_folded(text: str) -> str:
    """With the capitals of ASCII small (i;ascii-casemap)."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


def unicode_folded(text: str) -> str:
    """In title case and decomposed (i;unicode-casemap, RFC 5051 section 2)."""
    if text.isascii():
        return text.upper()
    return unicodedata.normalize("NFKD", "".join(map(_titled, text)))


@lru_cache(4096)
def _titled(character: str) -> str:
    title = character.title()
    return title if len(title) == 1 else character


def number(text: str) -> int | float:
    """The number the string begins with; infinity where it begins with none (i;ascii-numeric, RFC 4790 section 9.1)."""
    found = _DIGITS.match(text)
    if found is None:
        return float("inf")
    digits = found[0].lstrip("0") or "0"
    return int(digits) if len(digits) < _LONGEST_NUMBER else float("inf")


def _octets(text: str) -> str:
    return text  # code points are ordered as their octets in UTF-8 are


COMPARATORS: Mapping[str, Comparator] = {
    "i;ascii-casemap": Comparator("i;ascii-casemap", ascii_folded),
    "i;octet": Comparator("i;octet", _octets),
    "i;unicode-casemap": Comparator("i;unicode-casemap", unicode_folded, even=False),
    "i;ascii-numeric": Comparator("i;ascii-numeric", number, parts=False),
}

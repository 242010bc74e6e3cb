"""Patterns of users on RE2, whose time is linear in the text: expressions, wildcards, and words.

What a pattern costs is its size times the length of the text, so its size is bounded as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2
import regex

from filters.folding import fold_piece

#: Instructions of one compiled pattern (a thousand of them take 50 ms on 100,000 characters at worst).
LARGEST = 2000
#: What one pattern may keep in memory (octets).
_MEMORY = 1024 * 1024

#: Scripts that put no space between words: every character of theirs is a boundary.
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_PART_OF_WORD = regex.compile(rf"(?V1)[\w--{_UNSPACED.pattern}]")

Search = Callable[[str], tuple[int, int] | None]


class PatternError(ValueError):
    """A pattern that cannot be run, with what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern: a search for it, which gives a span or None, and its size in instructions."""

    search: Search
    size: int


def expression(pattern: str) -> Pattern:
    """An RE2 expression, anywhere in a text, without regard to case."""
    return _made(_compiled(pattern, False))


def wildcard(pattern: str, *, accents: bool) -> Pattern:
    """A pattern that fits a whole folded text: `*` any characters, `?` one. The pattern is folded piece by piece."""
    pieces = regex.split(r"([*?])", " ".join(pattern.split()))
    translated = {"*": ".*", "?": "."}
    source = "".join(translated.get(piece) or re2.escape(fold_piece(piece, accents=accents)) for piece in pieces)
    return _made(_compiled(rf"\A(?:{source})\z", True))


def find_word(text: str, needle: str) -> tuple[int, int] | None:
    """Where a word stands in a folded text: no letter, mark, digit or underscore touches it on either side."""
    start = text.find(needle)
    while start >= 0:
        end = start + len(needle)
        if not (
            (start and _joined(text[start - 1], needle[0])) or (end < len(text) and _joined(text[end], needle[-1]))
        ):
            return start, end
        start = text.find(needle, start + 1)
    return None


def _joined(neighbour: str, edge: str) -> bool:
    """Whether a character beside the end of a needle makes another word of it."""
    if neighbour.isascii():
        part = neighbour.isalnum() or neighbour == "_"
    else:
        part = _PART_OF_WORD.match(neighbour) is not None
    return part and not (not edge.isascii() and _UNSPACED.match(edge))


def _made(compiled: Any) -> Pattern:
    def search(text: str) -> tuple[int, int] | None:
        try:
            found = compiled.search(text)
        except UnicodeEncodeError:  # half a surrogate pair
            found = compiled.search(text.encode("utf-8", "replace").decode())
        return found.span() if found is not None else None

    return Pattern(search, compiled.programsize)


@lru_cache(1024)
def _compiled(pattern: str, cased: bool) -> Any:
    options = re2.Options()
    options.case_sensitive = cased
    options.dot_nl = cased
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        raise PatternError(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)) from None
    if compiled.programsize > LARGEST:
        raise PatternError("pattern too large: repeat less often, or write it as several patterns")
    return compiled

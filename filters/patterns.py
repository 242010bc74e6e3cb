"""Patterns of users on RE2, whose time is linear in the text: expressions, wildcards, and words.

What a pattern costs is its size times the length of the text, so its size is bounded as well.
"""

from __future__ import annotations

from collections.abc import Callable
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
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"

Search = Callable[[str], tuple[int, int] | None]


class PatternError(ValueError):
    """A pattern that cannot be run, with what is wrong with it."""


def expression(pattern: str) -> Search:
    """A search for an RE2 expression, anywhere in a text, without regard to case; its span, or None."""
    return _search(_compiled(pattern, False))


def wildcard(pattern: str, *, accents: bool) -> Search:
    """A search that fits a whole folded text: `*` any characters, `?` one. The pattern is folded piece by piece."""
    pieces = regex.split(r"([*?])", " ".join(pattern.split()))
    translated = {"*": ".*", "?": "."}
    source = "".join(translated.get(piece) or re2.escape(fold_piece(piece, accents=accents)) for piece in pieces)
    return _search(_compiled(rf"\A(?:{source})\z", True))


def words(needles: list[str]) -> Callable[[str], bool]:
    """A search for whole words in a folded text: no letter, mark, digit or underscore touches them on either side."""
    patterns = [_word(needle) for needle in needles]
    pairs = list(zip(needles, patterns, strict=True))
    return lambda text: any(needle in text and pattern.search(text) is not None for needle, pattern in pairs)


def _word(needle: str) -> regex.Pattern[str]:
    before = "" if regex.match(f"[{_UNSPACED}]", needle) else rf"(?<![\w--[{_UNSPACED}]])"
    after = "" if regex.search(rf"[{_UNSPACED}]\Z", needle) else rf"(?![\w--[{_UNSPACED}]])"
    return regex.compile(f"{before}{regex.escape(needle, special_only=True)}{after}", regex.V1)


def _search(compiled: Any) -> Search:
    def search(text: str) -> tuple[int, int] | None:
        try:
            found = compiled.search(text)
        except UnicodeEncodeError:  # half a surrogate pair
            found = compiled.search(text.encode("utf-8", "replace").decode())
        return found.span() if found is not None else None

    return search


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

"""What an operator is made of: how it compares, and what is wrong with a value it cannot use."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from filters.sight import Takes
from filters.verdict import Json

#: Longest list of values.
MOST = 1000


class ValueFaultError(ValueError):
    """A value an operator cannot use; `index` is which of a list."""

    def __init__(self, problem: str, index: int | None = None) -> None:
        super().__init__(problem)
        self.index = index


@dataclass(frozen=True, slots=True)
class Comparison:
    """A test's operator with its value: whether something fits it, and for texts which part of a long one did.

    `size` is that of its patterns, in instructions: what they may cost.
    """

    takes: Takes
    fits: Callable[[Any], bool]
    spot: Callable[[str], tuple[int, int] | None] | None = None
    size: int = 0


def several(value: Json) -> list[Json]:
    """A value as a list, of which any counts."""
    if not isinstance(value, list):
        return [value]
    if not value:
        raise ValueFaultError("is an empty list, which nothing fits")
    if len(value) > MOST:
        raise ValueFaultError(f"has {len(value)} entries: {MOST} are the most")
    return value


def said(value: Json) -> str:
    """What kind of thing a value is, for people."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    if isinstance(value, int | float):
        return f"the number {value:.15g}" if abs(value) < 10**15 else "such a number"
    return "a list" if isinstance(value, list) else "an object"


def place_of(value: Json, number: int) -> int | None:
    """Which of a list a value is; None where it stands alone."""
    return number if isinstance(value, list) else None


def single(value: Json) -> Json:
    """A value that must not be a list."""
    if isinstance(value, list):
        raise ValueFaultError("must be one value: for none of several, write not around a test with is")
    return value


def check_text(text: str, longest: int, index: int | None = None) -> None:
    """`ValueFaultError` where a text is too long, or holds half a surrogate pair or a null."""
    if len(text) > longest:
        raise ValueFaultError(f"has {len(text)} characters: {longest} are the most", index)
    if "\0" in text or re.search("[\ud800-\udfff]", text):
        raise ValueFaultError("holds a character no text has", index)

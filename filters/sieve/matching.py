"""Match types: how the values that a test looks at are held against its keys (RFC 5228 section 2.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from filters.sieve import expressions
from filters.sieve.comparators import COMPARATORS, RELATIONS, Comparator
from filters.sieve.wildcards import wildcard

#: A function that pays for work in characters looked at, and raises where it is too much.
Pay = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Match:
    """How one test compares: `type` is the tag's name, `relation` that of :value and :count."""

    type: str = "is"
    comparator: Comparator = COMPARATORS["i;ascii-casemap"]
    relation: str = "eq"

    def find(self, values: Iterable[str], keys: Sequence[str], pay: Pay, *, captures: bool) -> Found | None:
        """The first value that fits a key, each value held against every key in turn; None where none fits.

        `ExpressionError` for a key that is no regular expression RE2 can run, which only variables can bring about.
        """
        if self.type == "count":
            return self._count(sum(1 for _ in values), keys)
        fits = _FITS[self.type]
        for value in values:
            for key in keys:
                found = fits(self, value, key, pay, captures)
                if found is not None:
                    return Found(value, found)
        return None

    def _count(self, count: int, keys: Sequence[str]) -> Found | None:
        fold = self.comparator.fold
        relation = RELATIONS[self.relation]
        fits = any(relation(fold(str(count)), fold(key)) for key in keys)
        return Found(str(count), ()) if fits else None


@dataclass(frozen=True, slots=True)
class Found:
    """The value that fits; `captures` are what `${0}` and those after it become, none where they stay."""

    value: str
    captures: Sequence[str]


_NONE: Sequence[str] = ()


def _is(match: Match, value: str, key: str, pay: Pay, captures: bool) -> Sequence[str] | None:
    fold = match.comparator.fold
    pay(len(value))
    return _NONE if fold(value) == fold(key) else None


def _contains(match: Match, value: str, key: str, pay: Pay, captures: bool) -> Sequence[str] | None:
    fold = match.comparator.fold
    pay(len(value) + len(key))
    return _NONE if fold(key) in fold(value) else None


def _value(match: Match, value: str, key: str, pay: Pay, captures: bool) -> Sequence[str] | None:
    fold = match.comparator.fold
    pay(len(value))
    return _NONE if RELATIONS[match.relation](fold(value), fold(key)) else None


def _matches(match: Match, value: str, key: str, pay: Pay, captures: bool) -> Sequence[str] | None:
    pattern = wildcard(key, match.comparator)
    pay(len(value) * pattern.cost)
    spans = pattern.match(match.comparator.fold(value))
    if spans is None or not captures:
        return _NONE if spans is not None else None
    if not match.comparator.even:
        spans = _unfolded(value, match.comparator, spans)
    return [value, *(value[begin:end] for begin, end in spans)]


def _unfolded(value: str, comparator: Comparator, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same stretches in the string before it was folded, a character at a time."""
    origin = [index for index, mark in enumerate(value) for _ in comparator.fold(mark)]
    origin.append(len(value))
    return [(origin[begin], origin[end]) for begin, end in spans]


def _regex(match: Match, value: str, key: str, pay: Pay, captures: bool) -> Sequence[str] | None:
    expression = expressions.compiled(key, fold=match.comparator.name != "i;octet")
    if not captures:
        pay(len(value) * 4)
        return _NONE if expression.fits(value) else None
    pay(len(value) * expression.cost)
    return expression.search(value)


_FITS: dict[str, Callable[[Match, str, str, Pay, bool], Sequence[str] | None]] = {
    "is": _is,
    "contains": _contains,
    "matches": _matches,
    "regex": _regex,
    "value": _value,
}

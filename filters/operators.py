"""How a test compares: a table of operators for each kind of field, and what values each of them takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from filters import domains, patterns
from filters.comparison import Comparison, ValueFaultError, check_text, place_of, said, several, single
from filters.fields import MEMBERS, PREFIXES, Field, Kind, near
from filters.folding import fold, fold_piece
from filters.orders import ordered
from filters.sight import Takes
from filters.verdict import Json

#: Longest text of a value (characters).
LONGEST = 1000


_ORDERED = ("=", "!=", "<", "<=", ">", ">=", "between", "is", "in", "exists")
_TEXT = ("contains", "word", "is", "begins", "ends", "wildcard", "regex", "in", "empty", "exists")
#: The operators each kind of field takes.
OPERATORS: Mapping[Kind, tuple[str, ...]] = {
    "text": _TEXT,
    "domain": (*_TEXT, "under"),
    "number": _ORDERED,
    "importance": _ORDERED,
    "weekday": _ORDERED,
    "hour": _ORDERED,
    "date": _ORDERED,
    "truth": ("is", "=", "!=", "exists"),
    "set": ("in", "is", "empty", "exists"),
}
_ALL = tuple(dict.fromkeys(op for ops in OPERATORS.values() for op in ops))
#: What people write who know other programs.
_MEANT = {
    "==": "=",
    "equals": "is",
    "matches": "wildcard",
    "startswith": "begins",
    "endswith": "ends",
    "ends_with": "ends",
    "starts_with": "begins",
    "has": "contains",
    "includes": "contains",
}


def wrong(field: Field, op: str) -> str:
    """Why a field does not take this operator, or empty where it does."""
    takes = OPERATORS[field.kind]
    if op in takes:
        return ""
    listed = f"{field.name} takes {', '.join(takes)}"
    if op in _ALL:
        return f"{field.name} does not take {op!r}: {listed}"
    meant = _MEANT.get(op.lower(), "")
    hint = f"; did you mean {meant}?" if meant in takes else near(op, takes)
    return f"there is no operator {op!r}{hint or f': {listed}'}"


def comparison(field: Field, op: str, value: Json, *, accents: bool) -> Comparison:
    """The operator with its value; `ValueFaultError` where it cannot use the value. `op` is one the field takes."""
    if field.kind in ("text", "domain"):
        return _text(op, value, accents=accents)
    if field.kind == "set":
        return _set(field, value)
    if field.kind == "truth":
        return _truth(op, value)
    return ordered(field.kind, op, value)


# Texts


def _text(op: str, value: Json, *, accents: bool) -> Comparison:
    written = _texts(value, blank=op in ("is", "in", "wildcard"))
    if op == "regex":
        return _patterns("value", [_pattern(patterns.expression, one, n, value) for n, one in enumerate(written)])
    if op == "wildcard":
        return _patterns(
            "folded",
            [_pattern(lambda p: patterns.wildcard(p, accents=accents), one, n, value) for n, one in enumerate(written)],
        )
    if op == "under":
        return _under(written, value)
    needles = [fold(one, accents=accents) for one in written]
    for number, needle in enumerate(needles):
        if not needle and op not in ("is", "in"):
            raise ValueFaultError("nothing is left of it to look for", place_of(value, number))
    if op == "word":
        return _searches("folded", [partial(patterns.find_word, needle=needle) for needle in needles])
    if op in ("contains", "begins", "ends"):
        return _within(op, [_edged(one, accents=accents) for one in written])
    return Comparison("folded", frozenset(needles).__contains__)


def _edged(text: str, *, accents: bool) -> str:
    """The text as it is compared, with one space where it begins or ends with white space: " am " is not in "team"."""
    return re.sub(r"\s+", " ", fold_piece(text, accents=accents))


def _within(op: str, needles: list[str]) -> Comparison:
    """A text that has one of these at its beginning, at its end, or anywhere; its own ends count as white space."""
    if op == "contains":
        fits, spot = _contains(needles), _spot([needle.strip() for needle in needles])
        if any(needle != needle.strip() for needle in needles):
            return Comparison("folded", lambda text: fits(f" {text} "), spot)
        return Comparison("folded", fits, spot)
    if op == "begins":
        starts = tuple(needle.lstrip() for needle in needles)
        return Comparison("folded", lambda text: f"{text} ".startswith(starts))
    ends = tuple(needle.rstrip() for needle in needles)
    return Comparison("folded", lambda text: f" {text}".endswith(ends))


def _contains(needles: list[str]) -> Callable[[str], bool]:
    if len(needles) == 1:
        needle = needles[0]
        return lambda text: needle in text
    return lambda text: any(one in text for one in needles)


def _spot(needles: list[str]) -> Callable[[str], tuple[int, int] | None]:
    def spot(text: str) -> tuple[int, int] | None:
        return next(((at, at + len(one)) for one in needles if (at := text.find(one)) >= 0), None)

    return spot


def _pattern(make: Callable[[str], patterns.Pattern], written: str, number: int, value: Json) -> patterns.Pattern:
    try:
        return make(written)
    except patterns.PatternError as error:
        raise ValueFaultError(f"RE2 cannot run this pattern: {error}", place_of(value, number)) from None


def _patterns(takes: Takes, some: list[patterns.Pattern]) -> Comparison:
    return replace(_searches(takes, [one.search for one in some]), size=sum(one.size for one in some))


def _searches(takes: Takes, searches: list[patterns.Search]) -> Comparison:
    def spot(text: str) -> tuple[int, int] | None:
        return next((found for search in searches if (found := search(text)) is not None), None)

    if len(searches) == 1:
        alone = searches[0]
        return Comparison(takes, lambda text: alone(text) is not None, spot)
    return Comparison(takes, lambda text: any(search(text) is not None for search in searches), spot)


def _under(written: list[str], value: Json) -> Comparison:
    wanted: list[str] = []
    for number, one in enumerate(written):
        wanted.append(domains.canonical(one.strip().lower().lstrip("@.")))
        if not wanted[-1]:
            raise ValueFaultError(f"{one!r} is no domain: write one such as example.org", place_of(value, number))
    below = tuple(f".{one}" for one in wanted)
    whole = frozenset(wanted)

    return Comparison("domain", lambda domain: domain in whole or domain.endswith(below))


def _texts(value: Json, *, blank: bool = False) -> list[str]:
    """The texts of a value: one, or a list of which any counts."""
    found: list[str] = []
    for number, one in enumerate(several(value)):
        index = place_of(value, number)
        if not isinstance(one, str):
            raise ValueFaultError(f"must be a text, not {said(one)}", index)
        check_text(one, LONGEST, index)
        if not one and not blank:
            raise ValueFaultError("is empty: to ask whether a field is, write op empty", index)
        found.append(one)
    return found


# Sets


def _set(field: Field, value: Json) -> Comparison:
    wanted: set[str] = set()
    for number, one in enumerate(_texts(value)):
        index = place_of(value, number)
        known, starts = MEMBERS.get(field.name), PREFIXES.get(field.name)
        if known and one.lower() not in known:
            raise ValueFaultError(f"{one!r} is none of {', '.join(known)}{near(one, known)}", index)
        if starts and not _begins_well(one.lower(), starts):
            forms = ", ".join(f"{start}NAME" if start.endswith(":") else start for start in starts)
            raise ValueFaultError(f"{one!r} is none of {forms}{near(one, starts)}", index)
        wanted.add(member(one))
    return Comparison("value", lambda name: member(name) in wanted)


def _begins_well(word: str, starts: tuple[str, ...]) -> bool:
    return any(word.startswith(start) and word != start if start.endswith(":") else word == start for start in starts)


def member(name: str) -> str:
    """A name of a set as it is compared; flags with or without their backslash or dollar sign."""
    return fold(name).lstrip("\\$")


# Truth


def _truth(op: str, value: Json) -> Comparison:
    wanted = several(value)
    for number, one in enumerate(wanted):
        if not isinstance(one, bool):
            raise ValueFaultError(f"must be true or false, not {said(one)}", place_of(value, number))
    if op == "!=":
        return Comparison("value", lambda truth: truth is not single(value))
    return Comparison("value", lambda truth: truth in wanted)

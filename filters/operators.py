"""How a test compares: a table of operators for each kind of field, and what values each of them takes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from filters import domains, patterns
from filters.fields import IMPORTANCE, MEMBERS, PREFIXES, WEEKDAYS, Field, Kind, near
from filters.folding import fold
from filters.sight import Takes
from filters.verdict import Json

#: Longest text of a value (characters), and longest list.
LONGEST, MOST = 1000, 1000


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
_RELATIONS: Mapping[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge, "=": eq, "!=": ne}
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
    return _ordered(field.kind, op, value)


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
            raise ValueFaultError("nothing is left of it to look for", _index(value, number))
    if op == "word":
        return _searches("folded", [partial(patterns.find_word, needle=needle) for needle in needles])
    if op == "contains":
        return Comparison("folded", _contains(needles), _spot(needles))
    if op in ("begins", "ends"):
        ends = tuple(needles)
        return Comparison("folded", lambda text: text.startswith(ends) if op == "begins" else text.endswith(ends))
    return Comparison("folded", frozenset(needles).__contains__)


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
        raise ValueFaultError(f"RE2 cannot run this pattern: {error}", _index(value, number)) from None


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
            raise ValueFaultError(f"{one!r} is no domain: write one such as example.org", _index(value, number))
    below = tuple(f".{one}" for one in wanted)
    whole = frozenset(wanted)

    return Comparison("domain", lambda domain: domain in whole or domain.endswith(below))


def _texts(value: Json, *, blank: bool = False) -> list[str]:
    """The texts of a value: one, or a list of which any counts."""
    found: list[str] = []
    for number, one in enumerate(several(value)):
        index = _index(value, number)
        if not isinstance(one, str):
            raise ValueFaultError(f"must be a text, not {said(one)}", index)
        check_text(one, LONGEST, index)
        if not one and not blank:
            raise ValueFaultError("is empty: to ask whether a field is, write op empty", index)
        found.append(one)
    return found


def check_text(text: str, longest: int, index: int | None = None) -> None:
    """`ValueFaultError` where a text is too long, or holds half a surrogate pair or a null."""
    if len(text) > longest:
        raise ValueFaultError(f"has {len(text)} characters: {longest} are the most", index)
    if "\0" in text or re.search("[\ud800-\udfff]", text):
        raise ValueFaultError("holds a character no text has", index)


# Sets


def _set(field: Field, value: Json) -> Comparison:
    wanted: set[str] = set()
    for number, one in enumerate(_texts(value)):
        index = _index(value, number)
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
            raise ValueFaultError(f"must be true or false, not {said(one)}", _index(value, number))
    if op == "!=":
        return Comparison("value", lambda truth: truth is not _single(value))
    return Comparison("value", lambda truth: truth in wanted)


def _single(value: Json) -> Json:
    if isinstance(value, list):
        raise ValueFaultError("must be one value: for none of several, write not around a test with is")
    return value


# What has an order


@dataclass(frozen=True, slots=True)
class _Bound:
    """Something to compare with: `scale` is what the field's number is divided by before, for whole hours."""

    number: float
    scale: int = 1


def _number(value: Json) -> _Bound:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueFaultError(f"must be a number, not {said(value)}")
    if abs(value) > 10**15 or math.isnan(value):
        raise ValueFaultError("is beyond what is counted")
    return _Bound(value)


def _named(names: tuple[str, ...]) -> Callable[[Json], _Bound]:
    def read(value: Json) -> _Bound:
        if not isinstance(value, str):
            raise ValueFaultError(f"must be one of {', '.join(names)}, not {said(value)}")
        if value.lower() not in names:
            raise ValueFaultError(f"{value[:60]!r} is none of {', '.join(names)}{near(value[:3], names)}")
        return _Bound(names.index(value.lower()))

    return read


def _hour(value: Json) -> _Bound:
    """A time of day in minutes; a bare number is a whole hour."""
    advice = "write a time of day such as 08:30, or a whole hour such as 8"
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 24:
        return _Bound(value, 60)
    found = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})", value) if isinstance(value, str) else None
    if found is None:
        raise ValueFaultError(f"{value[:60]!r} is no time: {advice}" if isinstance(value, str) else advice)
    minutes = int(found[1]) * 60 + int(found[2])
    if int(found[2]) > 59 or minutes > 1440:
        raise ValueFaultError(f"{value} is no time of a day: {advice}")
    return _Bound(minutes)


def _date(value: Json) -> _Bound:
    advice = "write a day such as 2026-12-31"
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueFaultError(f"{value[:60]!r} is no day: {advice}" if isinstance(value, str) else advice)
    try:
        return _Bound(date.fromisoformat(value).toordinal())
    except ValueError:
        raise ValueFaultError(f"there is no day {value}: {advice}") from None


def _minutes(shown: str) -> int:
    return int(shown[:2]) * 60 + int(shown[3:])


@dataclass(frozen=True, slots=True)
class _Order:
    """How an ordered kind reads a test's value and its own; `wraps` where it goes round: after sun comes mon."""

    bound: Callable[[Json], _Bound]
    place: Callable[[Any], float]
    wraps: bool = False


_ORDERS: Mapping[Kind, _Order] = {
    "number": _Order(_number, float),
    "importance": _Order(_named(IMPORTANCE), IMPORTANCE.index),
    "weekday": _Order(_named(WEEKDAYS), WEEKDAYS.index, wraps=True),
    "hour": _Order(_hour, _minutes, wraps=True),
    "date": _Order(_date, lambda shown: date.fromisoformat(shown).toordinal()),
}


def _ordered(kind: Kind, op: str, value: Json) -> Comparison:
    order = _ORDERS[kind]
    if op == "between":
        pairs = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
        ranges = [_range(order, pair) for pair in pairs]
        return Comparison("value", lambda found: any(inside(order.place(found)) for inside in ranges))
    if op == "!=":
        _single(value)
    relation = _RELATIONS.get(op, eq)
    bounds = []
    for number, one in enumerate(several(value)):
        try:
            bounds.append(order.bound(one))
        except ValueFaultError as error:
            raise ValueFaultError(str(error), _index(value, number)) from None
    return Comparison("value", lambda found: any(_holds(relation, order.place(found), bound) for bound in bounds))


def _holds(relation: Callable[[Any, Any], bool], place: float, bound: _Bound) -> bool:
    return relation(place // bound.scale if bound.scale > 1 else place, bound.number)


def _range(order: _Order, pair: Json) -> Callable[[float], bool]:
    """From the first of a pair on, to before the second; round the clock or the week where the second is earlier."""
    if not isinstance(pair, list) or len(pair) != 2:
        raise ValueFaultError("between takes two values, from and to: from is included, to is not")
    ends = []
    for number, one in enumerate(pair):
        try:
            ends.append(order.bound(one))
        except ValueFaultError as error:
            raise ValueFaultError(str(error), number) from None
    low, high = ends
    first, last = low.number * low.scale, high.number * high.scale
    if first == last:
        raise ValueFaultError("nothing lies between these: from is included, to is not")
    if first > last and not order.wraps:
        raise ValueFaultError("from is after to: nothing lies between them")
    if first < last:
        return lambda place: first <= place < last
    return lambda place: place >= first or place < last


# Values


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


def _index(value: Json, number: int) -> int | None:
    return number if isinstance(value, list) else None

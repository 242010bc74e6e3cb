"""Values that have an order: numbers, times of day, days, weekdays, importance."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from filters.comparison import Comparison, ValueFaultError, place_of, said, several, single
from filters.fields import IMPORTANCE, WEEKDAYS, Kind, near
from filters.verdict import Json

_RELATIONS: Mapping[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge, "=": eq, "!=": ne}


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


def ordered(kind: Kind, op: str, value: Json) -> Comparison:
    """The comparison of a kind that has an order."""
    order = _ORDERS[kind]
    if op == "between":
        pairs = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
        ranges = [_range(order, pair) for pair in pairs]
        return Comparison("value", lambda found: any(inside(order.place(found)) for inside in ranges))
    if op == "!=":
        single(value)
    relation = _RELATIONS.get(op, eq)
    bounds = []
    for number, one in enumerate(several(value)):
        try:
            bounds.append(order.bound(one))
        except ValueFaultError as error:
            raise ValueFaultError(str(error), place_of(value, number)) from None
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

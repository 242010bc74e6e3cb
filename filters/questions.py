"""A test made ready: a function that looks at a mail, says whether the test holds, and what it found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from filters.comparison import Comparison, ValueFaultError, said
from filters.fields import Field
from filters.operators import comparison
from filters.sight import SHOWN, Sight, show, show_around
from filters.verdict import Json

#: Whether the test holds, and what was found.
Ask: TypeAlias = Callable[[Sight], tuple[bool, Json]]


def question(field: Field, op: str, value: Json, *, accents: bool) -> tuple[Ask, int]:
    """The test as a function, and the size of its patterns; `ValueFaultError` for a value the operator cannot use."""
    if op in ("exists", "empty"):
        if value is not None and not isinstance(value, bool):
            raise ValueFaultError(f"{op} takes no value, or true or false, not {said(value)}")
        return (_exists if op == "exists" else _empty)(field, value is not False), 0
    compared = comparison(field, op, value, accents=accents)
    return _compared(field, compared, accents=accents), compared.size


def _exists(field: Field, wanted: bool) -> Ask:
    def ask(sight: Sight) -> tuple[bool, Json]:
        looked = sight.look(field)
        if looked.unknown:
            return False, None
        return looked.present is wanted, sight.shown(field)

    return ask


def _empty(field: Field, wanted: bool) -> Ask:
    """Of a header that is missing, both `empty` and `empty` false are false; a set is never missing, only empty."""

    def ask(sight: Sight) -> tuple[bool, Json]:
        looked = sight.look(field)
        if looked.unknown or not (looked.values or field.kind == "set"):
            return False, None
        blank = not any(value.strip() for value in looked.values)
        return blank is wanted, sight.shown(field)

    return ask


def _compared(field: Field, compared: Comparison, *, accents: bool) -> Ask:
    """Of several values, one that fits is enough."""
    fits, takes = compared.fits, compared.takes
    asked = f"{field.name} {takes} {accents}"

    def ask(sight: Sight) -> tuple[bool, Json]:
        seen = sight.seen.get(asked)
        if seen is None:
            seen = sight.see(asked, field, takes, accents=accents)
        for number, value in enumerate(seen.given):
            if fits(value):
                return True, _found(seen.values[number], value, compared)
        return False, seen.shown

    return ask


def _found(written: Json, given: Json, compared: Comparison) -> Json:
    """A value as it is written; of a long text the part that fits, as it was compared."""
    if compared.spot is None or not isinstance(written, str) or len(written) <= SHOWN:
        return show(written)
    spot = compared.spot(given)
    return show(written) if spot is None else show_around(given, *spot)

"""A test made ready: a function that looks at a mail, says whether the test holds, and what it found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from filters.fields import Field
from filters.operators import Comparison, ValueFaultError, comparison, said
from filters.sight import SHOWN, Sight, show, show_around
from filters.verdict import Json

#: Whether the test holds, and what was found.
Ask: TypeAlias = Callable[[Sight], tuple[bool, Json]]


def question(field: Field, op: str, value: Json, *, accents: bool) -> Ask:
    """The test as a function; `ValueFaultError` where the operator cannot use the value."""
    if op in ("exists", "empty"):
        if value is not None and not isinstance(value, bool):
            raise ValueFaultError(f"{op} takes no value, or true or false, not {said(value)}")
        return (_exists if op == "exists" else _empty)(field, value is not False)
    compared = comparison(field, op, value, accents=accents)
    if compared.takes == "value":
        return _of_values(field, compared)
    return _of_texts(field, compared, accents=accents)


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


def _of_values(field: Field, compared: Comparison) -> Ask:
    fits = compared.fits

    def ask(sight: Sight) -> tuple[bool, Json]:
        for value in sight.look(field).values:
            if fits(value):
                return True, show(value)
        return False, sight.shown(field)

    return ask


def _of_texts(field: Field, compared: Comparison, *, accents: bool) -> Ask:
    fits, folded = compared.fits, compared.takes == "folded"

    def ask(sight: Sight) -> tuple[bool, Json]:
        texts = sight.folded(field, accents=accents) if folded else sight.look(field).values
        for number, text in enumerate(texts):
            if fits(text):
                return True, _found(sight.look(field).values[number], text, compared)
        return False, sight.shown(field)

    return ask


def _found(written: str, text: str, compared: Comparison) -> str:
    """A short text as it is written; of a long one the part that fits, as it was compared."""
    spot = compared.spot(text) if compared.spot is not None and len(written) > SHOWN else None
    return show(written) if spot is None else show_around(text, *spot)

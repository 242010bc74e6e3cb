"""The ids SMS centres give: written one way in submit_sm_resp and another in the receipt.

Seen in the field: `39f99dd5` answered and `0972660181` in the receipt (the same number, in decimal, padded); another
case; leading zeros lost; UUIDs; numbers beyond 2^63. A segment is kept under the folded form of what was answered, and
looked for under every folded form that what the receipt says may have had.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import StrEnum
from functools import lru_cache

_HEX = re.compile(r"[0-9a-f]{1,32}")
_DECIMAL = re.compile(r"[0-9]{1,39}")


class Habit(StrEnum):
    """How a centre writes an id in its receipts that it wrote otherwise in its answers."""

    HEX_AS_DECIMAL = "hexadecimal as decimal"
    DECIMAL_AS_HEX = "decimal as hexadecimal"


def fold(written: str) -> str:
    """Lower case, without blanks and leading zeros: `00B8BE19` and `b8be19` are the same."""
    return written.strip().lower().lstrip("0") or "0"


@lru_cache(maxsize=1024)  # one receipt's id is asked for again and again
def folded_forms(written: str) -> tuple[str, ...]:
    """What the other side may have written for this id, likeliest first: the same, hex for decimal, decimal for hex."""
    same = fold(written)
    hexadecimal, decimal = _HEX.fullmatch(same), _DECIMAL.fullmatch(same)
    if hexadecimal is None and decimal is None:
        return (same,)
    forms = [same]
    if decimal is not None:
        forms.append(f"{int(same):x}")
    if hexadecimal is not None:
        forms.append(str(int(same, 16)))
    return tuple(dict.fromkeys(forms))


#: How unlikely it has to be that ids of a kind that has letters show none.
_CHANCE = 0.05


def habit(answered: Collection[str], told: Collection[str]) -> Habit | None:
    """The habit that ids lately answered and ids lately told in receipts show: one kind has letters, the other none.

    None where they show nothing, or are of one kind: then an id is meant as it is written.
    """
    if _has_letters(answered) and _is_decimal(told) and _is_no_chance(len(told), answered):
        return Habit.HEX_AS_DECIMAL
    if _has_letters(told) and _is_decimal(answered) and _is_no_chance(len(answered), told):
        return Habit.DECIMAL_AS_HEX
    return None


def meant(written: str, by: Habit | None) -> str:
    """The folded id that a receipt's means, by its centre's habit."""
    same = fold(written)
    if by is Habit.HEX_AS_DECIMAL and _DECIMAL.fullmatch(same):
        return f"{int(same):x}"
    if by is Habit.DECIMAL_AS_HEX and _HEX.fullmatch(same):
        return str(int(same, 16))
    return same


def _is_decimal(ids: Collection[str]) -> bool:
    return all(_DECIMAL.fullmatch(fold(one)) for one in ids)


def _has_letters(ids: Collection[str]) -> bool:
    return not _is_decimal(ids) and all(_HEX.fullmatch(fold(one)) for one in ids)


def _is_no_chance(count: int, lettered: Collection[str]) -> bool:
    """Whether so many ids would hardly be without letters, were they of the same kind as these."""
    without = sum(_is_decimal([one]) for one in lettered) / len(lettered)
    return without**count < _CHANCE

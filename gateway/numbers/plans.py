"""The numbering plans: what answers at a number, told by one regular expression a country.

phonenumbers tests a number against some ten descriptions of its country, one after the other. Here those of them that
have numbers of so many digits, from the same metadata and in the same order of precedence, are alternatives of one
expression, which is made when the first number of a country code and a length comes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from typing import Any

import phonenumbers
from phonenumbers import PhoneMetadata

from gateway.value import value


class Kind(StrEnum):
    """What answers at a number."""

    MOBILE = "mobile"
    FIXED = "fixed"
    FIXED_OR_MOBILE = "fixed_or_mobile"
    VOIP = "voip"
    TOLL_FREE = "toll_free"
    PREMIUM = "premium"
    SHARED_COST = "shared_cost"
    EMERGENCY = "emergency"
    SHORT = "short"
    UNKNOWN = "unknown"


#: The kinds an SMS can reach. In North America and a few other plans nothing tells a mobile from a fixed line.
CAN_GET_SMS = frozenset({Kind.MOBILE, Kind.FIXED_OR_MOBILE})

_COUNTRY_CODES = frozenset(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))
#: Descriptions that go before fixed lines and mobiles, the first that fits first (phonenumbers' `number_type`).
_SPECIAL = (
    ("premium_rate", Kind.PREMIUM),
    ("toll_free", Kind.TOLL_FREE),
    ("shared_cost", Kind.SHARED_COST),
    ("voip", Kind.VOIP),
    ("personal_number", Kind.UNKNOWN),
    ("pager", Kind.UNKNOWN),
    ("uan", Kind.UNKNOWN),
    ("voicemail", Kind.UNKNOWN),
)


@value
class _Plan:
    """What a country, or a service that belongs to none, has of numbers of a length.

    `kinds` are those of the groups of `numbers`, in their order. `leading` tells, where countries share a code, which
    of them a number is in; None where only `numbers` does.
    """

    country: str | None
    leading: re.Pattern[str] | None
    numbers: re.Pattern[str]
    kinds: Sequence[Kind]


def country_code(digits: str) -> str:
    """The country code these digits begin with, or nothing. No code is the beginning of another (ITU-T E.164)."""
    for length in (1, 2, 3):
        if digits[:length] in _COUNTRY_CODES:
            return digits[:length]
    return ""


def judge(digits: str) -> tuple[Kind, str | None] | None:
    """The kind and the country (ISO 3166) of the number these digits are with a + before them; None: no such number."""
    code = country_code(digits)
    if not code:
        return None
    significant = digits[len(code) :]
    for plan in _plans(code, len(significant)):
        if plan.leading is not None and plan.leading.match(significant) is None:
            continue
        found = plan.numbers.match(significant)
        if found is not None and found.lastindex is not None:
            return plan.kinds[found.lastindex - 1], plan.country
        if plan.leading is not None:
            return None
    return None


@cache
def _plans(code: str, length: int) -> tuple[_Plan, ...]:
    """The plans of a country code for numbers with so many digits after it."""
    number = int(code)
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(number, ())
    shared = len(regions) > 1
    found = ((one, PhoneMetadata.metadata_for_region_or_calling_code(number, one)) for one in regions)
    return tuple(_plan(region, metadata, length, shared=shared) for region, metadata in found)


def _plan(region: str, metadata: Any, length: int, *, shared: bool) -> _Plan:
    kinds = [(_whole(getattr(metadata, name), length), kind) for name, kind in _SPECIAL]
    fixed, mobile = _whole(metadata.fixed_line, length), _whole(metadata.mobile, length)
    if metadata.same_mobile_and_fixed_line_pattern:
        kinds.append((fixed, Kind.FIXED_OR_MOBILE))
    else:
        both = f"(?={fixed}){mobile}" if fixed and mobile else ""
        kinds += [(both, Kind.FIXED_OR_MOBILE), (fixed, Kind.FIXED), (mobile, Kind.MOBILE)]
    general = _whole(metadata.general_desc, length)
    kinds = [(pattern, kind) for pattern, kind in kinds if general and pattern]
    # An empty group at the end of each alternative: the last group that matched says which it was. A number of nothing
    # but zeros is none: phonenumbers cannot write it.
    alternatives = "|".join(f"{pattern}()" for pattern, _ in kinds) or "(?!)"
    return _Plan(
        None if region == "001" else region,
        re.compile(metadata.leading_digits) if shared and metadata.leading_digits is not None else None,
        re.compile(rf"(?!0*\Z)(?={general})(?:{alternatives})"),
        [kind for _, kind in kinds],
    )


def _whole(description: Any, length: int) -> str:
    """An expression for the numbers of this length that are described, whole; nothing where there are none."""
    if description is None or not description.national_number_pattern:
        return ""
    lengths = description.possible_length
    return rf"(?:{description.national_number_pattern})\Z" if not lengths or length in lengths else ""

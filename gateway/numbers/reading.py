"""One way to read digits as a telephone number, judged by the numbering plans."""

from __future__ import annotations

from enum import StrEnum

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, ValidationResult

from gateway.numbers import plans
from gateway.numbers.plans import Kind, country_code
from gateway.value import value

#: ITU-T E.164, clause 6.1: at most 15 digits, country code included.
MOST_DIGITS = 15
# Handsets take these for emergency calls wherever they are (3GPP TS 22.101, clause 10.1).
_EMERGENCY_EVERYWHERE = frozenset({"112", "911"})


@value
class Reading:
    """A valid number: E.164, its kind, and its country's ISO 3166 code if it belongs to one.

    `zero` says that a zero after the country code was left out, `changed` that digits were otherwise rewritten.
    """

    e164: str
    kind: Kind
    country: str | None
    zero: bool = False
    changed: bool = False

    @property
    def pretty(self) -> str:
        """The number in groups, as people of its country write it for abroad (ITU-T E.123): `+32 475 12 34 56`."""
        return phonenumbers.format_number(phonenumbers.parse(self.e164), PhoneNumberFormat.INTERNATIONAL)


def international(digits: str) -> Reading | None:
    """The number these digits are with a + before them, exactly as they stand, or None if there is no such number."""
    return _judged(digits)


def mended(digits: str) -> Reading | None:
    """The number these digits are meant to be with a + before them, where a trunk prefix was left in: `+320475...`."""
    code = country_code(digits)
    if not code or len(digits) > MOST_DIGITS + 2:
        return None
    significant = digits[len(code) :]
    if significant.startswith("0"):
        found = _judged(code + significant.lstrip("0"), zero=True)
        if found is not None:
            return found
    return _parsed("+" + digits, None, changed=True)


def national(digits: str, region: str) -> Reading | None:
    """The number that is dialled so in a region, or None if there is no such number."""
    return _parsed(digits, region) if len(digits) <= MOST_DIGITS + 3 else None


def country(code: str) -> str | None:
    """The ISO 3166 code of the country that has this country code, None where several share it or none has it."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(code), ())
    return regions[0] if len(regions) == 1 and regions[0] != "001" else None


def code_of(region: str) -> str:
    """The country code of a region."""
    return str(phonenumbers.country_code_for_region(region))


def without_trunk_prefix(digits: str, region: str) -> str:
    """The digits without what is dialled before numbers inside a region (a zero in Belgium, nothing in Italy)."""
    return digits.removeprefix(phonenumbers.ndd_prefix_for_region(region, True) or "")


def dials(digits: str, region: str) -> bool:
    """Whether digits that begin with a zero, or without one, are how a region's numbers are written in it."""
    has_zero = phonenumbers.ndd_prefix_for_region(region, True) == "0"
    return digits.startswith("0") == has_zero


def short(digits: str, region: str | None) -> Kind | None:
    """Whether these digits are an emergency number or a short code in a region (None: in general)."""
    if digits in _EMERGENCY_EVERYWHERE:
        return Kind.EMERGENCY
    if region is None:
        return Kind.SHORT if 3 <= len(digits) <= 6 else None
    if len(digits) > 8:
        return None
    if phonenumbers.is_emergency_number(digits, region):
        return Kind.EMERGENCY
    number = _number(code_of(region), digits)
    if number is not None and phonenumbers.is_valid_short_number_for_region(number, region):
        return Kind.SHORT
    return None


class Length(StrEnum):
    """What is wrong with the length of a number, as far as can be told."""

    SHORT = "too short"
    LONG = "too long"


def length(digits: str) -> Length | None:
    """Whether an invalid number, written with its country code, has too few digits or too many."""
    code = country_code(digits)
    number = _number(code, digits[len(code) :]) if code else None
    if number is None:
        return Length.LONG if len(digits) > MOST_DIGITS else None
    reason = phonenumbers.is_possible_number_with_reason(number)
    if reason in (ValidationResult.TOO_SHORT, ValidationResult.IS_POSSIBLE_LOCAL_ONLY):
        return Length.SHORT
    if reason == ValidationResult.TOO_LONG:
        return Length.LONG
    # Plans with numbers of several lengths call it possible: see whether a digit more or less makes a number.
    if any(international(digits + more) for more in ("0", "5", "00", "55")):
        return Length.SHORT
    return Length.LONG if international(digits[:-1]) else None


def _number(code: str, significant: str) -> PhoneNumber | None:
    """A number as it stands. Leading zeros are part of it (they are in Italy), and phonenumbers counts them apart."""
    if not significant or len(code) + len(significant) > MOST_DIGITS:
        return None
    number = PhoneNumber(country_code=int(code), national_number=int(significant))
    zeros = len(significant) - len(significant.lstrip("0"))
    if zeros:
        number.italian_leading_zero = True
        if zeros > 1:
            number.number_of_leading_zeros = zeros
    return number


def _parsed(text: str, region: str | None, *, changed: bool = False) -> Reading | None:
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        return None
    return _judged(f"{number.country_code}{phonenumbers.national_significant_number(number)}", changed=changed)


def _judged(digits: str, *, zero: bool = False, changed: bool = False) -> Reading | None:
    """The reading of a number with its country code, or None if no plan has it."""
    judged = plans.judge(digits) if len(digits) <= MOST_DIGITS else None
    return Reading(f"+{digits}", *judged, zero, changed) if judged is not None else None

"""One way to read digits as a telephone number, judged by the numbering plans."""

from __future__ import annotations

from enum import StrEnum

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, PhoneNumberType, ValidationResult

from gateway.value import value

#: ITU-T E.164, clause 6.1: at most 15 digits, country code included.
MOST_DIGITS = 15


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

_KINDS = {
    PhoneNumberType.MOBILE: Kind.MOBILE,
    PhoneNumberType.FIXED_LINE: Kind.FIXED,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Kind.FIXED_OR_MOBILE,
    PhoneNumberType.VOIP: Kind.VOIP,
    PhoneNumberType.TOLL_FREE: Kind.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: Kind.PREMIUM,
    PhoneNumberType.SHARED_COST: Kind.SHARED_COST,
}
_COUNTRY_CODES = frozenset(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))
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
    code = country_code(digits)
    return _judged(_number(code, digits[len(code) :])) if code else None


def mended(digits: str) -> Reading | None:
    """The number these digits are meant to be with a + before them, where a trunk prefix was left in: `+320475...`."""
    code = country_code(digits)
    if not code or len(digits) > MOST_DIGITS + 2:
        return None
    significant = digits[len(code) :]
    if significant.startswith("0"):
        found = _judged(_number(code, significant.lstrip("0")), zero=True)
        if found is not None:
            return found
    return _parsed("+" + digits, None, changed=True)


def national(digits: str, region: str) -> Reading | None:
    """The number that is dialled so in a region, or None if there is no such number."""
    return _parsed(digits, region) if len(digits) <= MOST_DIGITS + 3 else None


def country_code(digits: str) -> str:
    """The country code these digits begin with, or nothing. No code is the beginning of another (ITU-T E.164)."""
    for length in (1, 2, 3):
        if digits[:length] in _COUNTRY_CODES:
            return digits[:length]
    return ""


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
        return _judged(phonenumbers.parse(text, region), changed=changed)
    except NumberParseException:
        return None


def _judged(number: PhoneNumber | None, *, zero: bool = False, changed: bool = False) -> Reading | None:
    """The reading of a number, or None if no plan has it; valid numbers are those that have a type."""
    kind = PhoneNumberType.UNKNOWN if number is None else phonenumbers.number_type(number)
    if number is None or kind == PhoneNumberType.UNKNOWN:
        return None
    region = phonenumbers.region_code_for_number(number)
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return Reading(e164, _KINDS.get(kind, Kind.UNKNOWN), region if region != "001" else None, zero, changed)

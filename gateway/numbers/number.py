"""Which number is meant: the readings that are possible, the one that is taken, or what to tell whoever wrote it."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Any

import phonenumbers

from gateway.failure import RefusedError
from gateway.numbers import advice, plans, reading
from gateway.numbers.plans import CAN_GET_SMS, Kind
from gateway.numbers.reading import Reading
from gateway.numbers.written import Written, written
from gateway.value import value

# Where nothing says which country is meant, these are tried, to show what the full form could be.
_LIKELY = ("BE", "FR", "NL", "DE", "GB", "IT", "ES", "US")
_MOST_SHOWN = 3


class Fault(StrEnum):
    """What is wrong with a number."""

    NOT_A_NUMBER = "not_a_number"
    NO_COUNTRY_CODE = "no_country_code"
    ZERO_BEFORE_COUNTRY_CODE = "zero_before_country_code"
    WRITTEN_WRONGLY = "written_wrongly"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NO_SUCH_NUMBER = "no_such_number"
    AMBIGUOUS = "ambiguous"
    CANNOT_GET_SMS = "cannot_get_sms"


@value
class Number:
    """A judged number.

    `e164` is None where there is no number, or no single one. `advice` is a sentence (ASCII, one line) exactly where
    there is a `fault`; a number can be understood and yet have one (WRITTEN_WRONGLY, CANNOT_GET_SMS).
    """

    e164: str | None
    kind: Kind
    country: str | None
    fault: Fault | None = None
    advice: str | None = None

    @property
    def valid(self) -> bool:
        """Whether a numbering plan has it."""
        return self.e164 is not None

    @property
    def can_get_sms(self) -> bool:
        """Whether an SMS can be sent to it, which is so even if it is written a little wrongly."""
        return self.e164 is not None and self.kind in CAN_GET_SMS


def read(text: str, region: str | None = None) -> Number:
    """Judge a number as somebody wrote it; `region` (ISO 3166) is where numbers without a country code are dialled.

    `+` and `00` begin international numbers, whatever the region. Bare digits are read internationally, then
    nationally; of the readings those are kept that can get an SMS, and two different ones are ambiguous.
    Raises ValueError for a region that is none.
    """
    if region is not None:
        region = region.upper()
        if not known_region(region):
            raise ValueError(f"{region!r} is not the two-letter code of a country, such as BE")
    was = written(text)
    if was.rubbish:
        return _faulty(Fault.NOT_A_NUMBER, advice.rubbish(was.shown, was.rubbish, region))
    return _with_plus(was, region) if was.plus else _bare(was, region)


#: The same handsets are written to again and again, by some as people write numbers: what was made of so many short
#: texts is remembered (some 10 MB).
_known = lru_cache(maxsize=32_768)(read)
_SHORT = 32


def sms_number(text: str, region: str | None = None) -> str:
    """The E.164 form of a number that can get an SMS; else RefusedError (550 5.1.1) says what is wrong with it."""
    if text.startswith("+") and text.isascii() and len(text) <= reading.MOST_DIGITS + 1 and text[1:].isdigit():
        judged = plans.judge(text[1:])
        if judged is not None and judged[0] in CAN_GET_SMS:
            return text  # most are written so: there is nothing to mend, and nothing to advise
    number = _known(text, region) if len(text) <= _SHORT else read(text, region)
    if number.e164 is not None and number.kind in CAN_GET_SMS:
        return number.e164
    raise RefusedError(number.advice or "This number cannot get an SMS.", smtp="550 5.1.1")


def known_region(region: str) -> bool:
    """Whether numbering plans know this country (ISO 3166, upper case)."""
    return region in phonenumbers.SUPPORTED_REGIONS


def describe(number: Number) -> dict[str, Any]:
    """A judged number as `tocsin try number` prints it."""
    return {
        "valid": number.valid,
        "e164": number.e164,
        "kind": str(number.kind),
        "country": number.country,
        "advice": number.advice,
    }


def _with_plus(was: Written, region: str | None) -> Number:
    found = reading.international(was.digits) or reading.mended(was.digits)
    if found is not None:
        return _found(was, found)
    here = reading.national(was.digits, region) if region is not None and not was.digits.startswith("00") else None
    if here is not None and here.kind in CAN_GET_SMS:
        return _faulty(Fault.NO_COUNTRY_CODE, advice.no_country_code_here(was.shown, here))
    return _zero_in_front(was, region) or _no_such_number(was, region)


def _bare(was: Written, region: str | None) -> Number:
    kind = reading.short(was.digits, region)
    if kind is Kind.EMERGENCY:
        return _short(was, kind, region)
    readings = [reading.international(was.digits)]
    if region is not None:
        if was.digits.startswith(reading.code_of(region)):
            readings.append(reading.mended(was.digits))
        readings.append(reading.national(was.digits, region))
    found: dict[str, Reading] = {}
    for each in readings:
        if each is not None:
            found.setdefault(each.e164, each)
    usable = [each for each in found.values() if each.kind in CAN_GET_SMS]
    if len(usable) > 1:
        return _faulty(Fault.AMBIGUOUS, advice.ambiguous(was.shown, *usable))
    taken = next(iter(usable or found.values()), None) or reading.mended(was.digits)
    if taken is not None:
        return _found(was, taken)
    if kind is not None:
        return _short(was, kind, region)
    if region is None:
        return _without_country(was)
    if was.digits.startswith(reading.code_of(region)):
        return _no_such_number(was, region)
    return _zero_in_front(was, region) or _not_in_region(was, region)


def _found(was: Written, found: Reading) -> Number:
    if found.kind not in CAN_GET_SMS:
        return Number(found.e164, found.kind, found.country, Fault.CANNOT_GET_SMS, advice.no_sms(found))
    if found.zero or found.changed:
        sentence = advice.mended(was.shown, found)
        return Number(found.e164, found.kind, found.country, Fault.WRITTEN_WRONGLY, sentence)
    return Number(found.e164, found.kind, found.country)


def _short(was: Written, kind: Kind, region: str | None) -> Number:
    sentence = advice.emergency(was.shown) if kind is Kind.EMERGENCY else advice.short(was.shown, region)
    return Number(None, kind, region, Fault.CANNOT_GET_SMS, sentence)


def _zero_in_front(was: Written, region: str | None) -> Number | None:
    """Advice on a zero before the country code, or before a number of a country that has no zero there."""
    if not was.digits.startswith("0"):
        return None
    rest = was.digits.lstrip("0")
    meant = reading.international(rest)
    if meant is not None and not _is_one_digit_too_long(was, meant, region):
        return _faulty(Fault.ZERO_BEFORE_COUNTRY_CODE, advice.zero_before_country_code(was.shown, meant))
    meant = reading.national(rest, region) if region is not None else None
    if meant is not None and not was.plus:
        return _faulty(Fault.WRITTEN_WRONGLY, advice.zero_too_many(was.shown, meant))
    return None


def _is_one_digit_too_long(was: Written, meant: Reading, region: str | None) -> bool:
    """A number of one's own country with a digit too many, rather than a foreign one with a zero before its code."""
    if was.plus or region is None or meant.country == region:
        return False
    return reading.national(was.digits[:-1], region) is not None


def _no_such_number(was: Written, region: str | None) -> Number:
    """Advice on a number with a country code that no numbering plan has."""
    code = plans.country_code(was.digits)
    if reading.short(was.digits, None) is Kind.EMERGENCY:
        return _short(was, Kind.EMERGENCY, region)
    if not code:
        return _faulty(Fault.NO_COUNTRY_CODE, advice.no_such_country_code(was.shown, region))
    country = reading.country(code)
    kind = reading.short(was.digits[len(code) :], country) if country is not None else None
    if kind is not None:
        return _short(was, kind, country)
    length = reading.length(was.digits)
    sentence = advice.invalid(was.shown, length, code, country)
    return _faulty(_of_length(length), sentence, country)


def _not_in_region(was: Written, region: str) -> Number:
    """Advice on a number without a country code that its sender's country does not have."""
    code = reading.code_of(region)
    length = reading.length(code + reading.without_trunk_prefix(was.digits, region))
    return _faulty(_of_length(length), advice.not_in_region(was.shown, length, code, region))


def _without_country(was: Written) -> Number:
    """Advice on a number without a country code where nothing says in which country it is dialled."""
    meant = [reading.national(was.digits, region) for region in _LIKELY if reading.dials(was.digits, region)]
    usable = [each for each in meant if each is not None and each.kind in CAN_GET_SMS]
    if usable or was.digits.startswith("0"):
        zero = None if usable else _zero_in_front(was, None)
        return zero or _faulty(Fault.NO_COUNTRY_CODE, advice.no_country_code(was.shown, usable[:_MOST_SHOWN]))
    return _no_such_number(was, None)


def _of_length(length: reading.Length | None) -> Fault:
    if length is None:
        return Fault.NO_SUCH_NUMBER
    return Fault.TOO_SHORT if length is reading.Length.SHORT else Fault.TOO_LONG


def _faulty(fault: Fault, sentence: str, country: str | None = None) -> Number:
    return Number(None, Kind.UNKNOWN, country, fault, sentence)

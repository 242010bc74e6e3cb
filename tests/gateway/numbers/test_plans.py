"""The numbering plans as one expression a country say of every number what phonenumbers says of it."""

from __future__ import annotations

import random

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata, PhoneNumber, PhoneNumberType

from gateway import numbers
from gateway.failure import RefusedError
from gateway.numbers import Kind, plans

CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
KINDS = {
    PhoneNumberType.MOBILE: Kind.MOBILE,
    PhoneNumberType.FIXED_LINE: Kind.FIXED,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Kind.FIXED_OR_MOBILE,
    PhoneNumberType.VOIP: Kind.VOIP,
    PhoneNumberType.TOLL_FREE: Kind.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: Kind.PREMIUM,
    PhoneNumberType.SHARED_COST: Kind.SHARED_COST,
}
DESCRIBED = ("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost", "personal_number", "voip", "pager")


def by_the_library(code: int, significant: str) -> tuple[Kind, str | None] | None:
    """What phonenumbers says of a number."""
    number = PhoneNumber(country_code=code, national_number=int(significant))
    zeros = len(significant) - len(significant.lstrip("0"))
    if zeros:
        number.italian_leading_zero, number.number_of_leading_zeros = True, zeros
    kind = phonenumbers.number_type(number)
    if kind == PhoneNumberType.UNKNOWN:
        return None
    region = phonenumbers.region_code_for_number(number)
    return KINDS.get(kind, Kind.UNKNOWN), None if region == "001" else region


def examples(code: int) -> list[str]:
    """A number of every kind of every country that has this code."""
    found = set()
    for region in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code]:
        metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
        described = [getattr(metadata, name) for name in (*DESCRIBED, "uan", "voicemail")]
        found |= {one.example_number for one in described if one is not None and one.example_number}
    return sorted(found)


@pytest.mark.parametrize("seed", range(3))
def test_numbers_near_those_of_every_country_are_judged_as_phonenumbers_judges_them(seed: int) -> None:
    source, valid = random.Random(seed), 0
    for code in CODES:
        for example in examples(code):
            for changes in (0, 1, 1, 2, 3, 5):
                digits = list(example)
                for _ in range(changes):
                    digits[source.randrange(len(digits))] = source.choice("0123456789")
                number = "".join(digits)[source.choice((0, 0, 0, 0, 1)) :] + source.choice(("", "", "", "", "7"))
                expected = by_the_library(code, number) if number.strip("0") else None
                assert plans.judge(f"{code}{number}") == expected, (code, number)
                valid += expected is not None
    assert valid > 2000


@given(st.sampled_from(CODES), st.text("0123456789", min_size=1, max_size=14))
def test_any_digits_are_judged_as_phonenumbers_judges_them(code: int, significant: str) -> None:
    expected = by_the_library(code, significant) if significant.strip("0") else None
    assert plans.judge(f"{code}{significant}") == expected


def test_no_number_has_more_than_fifteen_digits() -> None:
    assert numbers.read("030" + "1" * 10, "DE").e164 == "+4930" + "1" * 10
    assert numbers.read("030" + "1" * 12, "DE").e164 is None
    assert numbers.read("+4930" + "1" * 12).e164 is None


@given(st.sampled_from(CODES), st.data(), st.sampled_from([None, "BE", "IT", "US"]))
def test_a_number_in_its_right_form_is_taken_at_once_as_it_would_be_after_reading_it(
    code: int, data: st.DataObject, region: str | None
) -> None:
    digits = data.draw(st.one_of(st.sampled_from(examples(code)), st.text("0123456789", max_size=14)))
    written = f"+{code}{digits}"
    number = numbers.read(written, region)
    if number.can_get_sms:
        assert numbers.sms_number(written, region) == number.e164
    else:
        with pytest.raises(RefusedError) as refused:
            numbers.sms_number(written, region)
        assert str(refused.value) == number.advice

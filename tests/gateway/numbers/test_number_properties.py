"""What holds for every text somebody may write as a number, and for every numbering plan."""

from __future__ import annotations

import re
import time

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from gateway import numbers
from gateway.failure import RefusedError
from gateway.numbers import CAN_GET_SMS, Fault, reading

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
KINDS = {
    PhoneNumberType.FIXED_LINE: "fixed",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_or_mobile",
    PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.PREMIUM_RATE: "premium",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.VOIP: "voip",
}
digits = st.text("0123456789", max_size=18)
texts = st.one_of(
    st.text(max_size=80),
    st.text("+0123456789-. ()/", max_size=24),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["", "+", "00", "+0", "0", "011"]),
        st.sampled_from(["", "32", "39", "1", "44"]),
        digits,
    ),
)
regions = st.sampled_from([None, "BE", "FR", "IT", "US", "CN", "DE", "AR", "MX", "HU", "RU"])


@given(texts, regions)
def test_whatever_is_written_there_is_a_number_or_advice_in_one_plain_line(text: str, region: str | None) -> None:
    number = numbers.read(text, region)
    assert number.valid == (number.e164 is not None)
    assert (number.fault is None) == (number.advice is None)
    if number.e164 is not None:
        assert re.fullmatch(r"\+[1-9][0-9]{4,14}", number.e164)
        assert phonenumbers.is_valid_number(phonenumbers.parse(number.e164))
    if number.advice is not None:
        assert re.fullmatch(r"[ -~]{10,300}\.", number.advice)


@given(texts, regions)
def test_a_number_that_can_get_an_sms_is_given_and_any_other_is_refused(text: str, region: str | None) -> None:
    number = numbers.read(text, region)
    if number.can_get_sms:
        e164 = numbers.sms_number(text, region)
        assert e164 == number.e164
        again = numbers.read(e164, region)
        assert (again.e164, again.kind, again.advice) == (e164, number.kind, None)
    else:
        with pytest.raises(RefusedError) as refused:
            numbers.sms_number(text, region)
        assert (refused.value.smtp, str(refused.value)) == ("550 5.1.1", number.advice)


@given(st.text("0123456789", min_size=1, max_size=17))
def test_digits_are_read_as_phonenumbers_reads_them_where_nothing_is_to_be_mended(text: str) -> None:
    found = reading.international(text)
    if found is not None:
        parsed = phonenumbers.parse("+" + text)
        assert found.e164 == "+" + text == phonenumbers.format_number(parsed, PhoneNumberFormat.E164)
        assert found.country in (phonenumbers.region_code_for_number(parsed), None)


@pytest.mark.parametrize("kind", sorted(PhoneNumberType.values()))
def test_the_example_numbers_of_every_country_are_read_as_what_they_are(kind: int) -> None:
    seen = 0
    for region in REGIONS:
        number = phonenumbers.example_number_for_type(region, kind)
        if number is None or kind == PhoneNumberType.UNKNOWN:
            continue
        seen += 1
        e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
        for text in (e164, "00" + e164[1:], phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)):
            read = numbers.read(text)
            assert (read.e164, read.kind) == (e164, KINDS.get(phonenumbers.number_type(number), "unknown"))
            assert read.country == phonenumbers.region_code_for_number(number)
    assert seen or kind == PhoneNumberType.UNKNOWN


def test_the_mobile_numbers_of_every_country_are_understood_as_they_are_dialled_there() -> None:
    ambiguous = []
    for region in REGIONS:
        number = phonenumbers.example_number_for_type(region, PhoneNumberType.MOBILE)
        if number is None or phonenumbers.number_type(number) not in (1, 2):
            continue
        read = numbers.read(phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL), region)
        if read.fault is Fault.AMBIGUOUS:
            ambiguous.append(region)
        else:
            assert read.e164 == phonenumbers.format_number(number, PhoneNumberFormat.E164)
            assert read.kind in CAN_GET_SMS
    assert ambiguous == ["CN"]  # Chinese mobiles are dialled as they begin, with 1: some look North American


@pytest.mark.parametrize(
    "text", ["1" * 10_000, "+" * 10_000, "x" * 10_000, "٣" * 10_000, "0" * 64, "1-" * 32, "+" + "39" * 30]
)
def test_hostile_texts_cost_next_to_nothing(text: str) -> None:
    numbers.read("0" * 64, "BE")  # loads the numbering plans
    began = time.process_time()
    for region in (None, "BE"):
        number = numbers.read(text, region)
        assert not number.valid
        assert number.advice is not None
        assert len(number.advice) < 300
    assert time.process_time() - began < 0.1

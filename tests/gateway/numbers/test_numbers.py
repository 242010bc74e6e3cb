"""Numbers as people write them: which is meant, and what they are told."""

from __future__ import annotations

import pytest

from gateway import numbers
from gateway.failure import RefusedError
from gateway.numbers import Fault, Kind

MOBILE = "+32475123456"


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("+32475123456", None),
        ("+32475123456", "US"),
        ("0032475123456", None),
        ("0032475123456", "US"),
        ("32475123456", None),
        ("32475123456", "BE"),
        ("32475123456", "IT"),
        ("0475123456", "BE"),
        ("0475123456", "be"),
        ("475123456", "BE"),
        ("01132475123456", "US"),
        ("+32-475-12-34-56", None),
        ("+32.475.12.34.56", None),
        ("0475-12.34.56", "BE"),
        ("0475/12 34 56", "BE"),
        ("(0475) 12 34 56", "BE"),
        (" +32 475 12 34 56 ", None),
        ("\u202a+32\u00a0475\u202f12\u201134\u201356\u202c", None),
        ("＋３２４７５１２３４５６", None),
        ("٠٤٧٥١٢٣٤٥٦", "BE"),
    ],
)
def test_every_way_to_write_a_number_is_understood(text: str, region: str | None) -> None:
    number = numbers.read(text, region)
    assert (number.e164, number.kind, number.country, number.advice) == (MOBILE, Kind.MOBILE, "BE", None)
    assert numbers.sms_number(text, region) == MOBILE


@pytest.mark.parametrize(
    ("text", "region", "e164", "advice"),
    [
        (
            "+320475123456",
            None,
            MOBILE,
            "a 0 after the country code that does not belong there: write +32 475 12 34 56.",
        ),
        ("00320475123456", "BE", MOBILE, "write +32 475 12 34 56."),
        ("320475123456", "BE", MOBILE, "write +32 475 12 34 56."),
        ("+32 (0)475 12 34 56", None, MOBILE, "write +32 475 12 34 56."),
        ("+4407400123456", None, "+447400123456", "write +44 7400 123456."),
        ("+3903471234567", None, "+393471234567", "write +39 347 123 4567."),
        ("+340612345678", None, "+34612345678", "write +34 612 34 56 78."),
        ("+7 8 912 345 67 89", None, "+79123456789", "was read as +7 912 345-67-89"),
        ("+36 06 20 123 4567", None, "+36201234567", "was read as +36 20 123 4567"),
    ],
)
def test_a_trunk_prefix_left_after_the_country_code_is_taken_with_advice(
    text: str, region: str | None, e164: str, advice: str
) -> None:
    number = numbers.read(text, region)
    assert number.e164 == e164
    assert number.fault is Fault.WRITTEN_WRONGLY
    assert number.advice is not None
    assert number.advice.startswith(text)
    assert advice in number.advice
    assert numbers.sms_number(text, region) == e164


@pytest.mark.parametrize(
    ("text", "region", "fault", "sentence"),
    [
        # No country code.
        ("+0475123456", "BE", Fault.NO_COUNTRY_CODE, "+0475123456 has no country code: write +32 475 12 34 56."),
        ("+475123456", "BE", Fault.NO_COUNTRY_CODE, "+475123456 has no country code: write +32 475 12 34 56."),
        ("00475123456", "BE", Fault.NO_COUNTRY_CODE, "00475123456 has no country code: write +32 475 12 34 56."),
        ("+2125550123", "US", Fault.NO_COUNTRY_CODE, "write +1 212-555-0123."),
        ("0475 12 34 56", None, Fault.NO_COUNTRY_CODE, "0475 12 34 56 has no country code: write +32 475 12 34 56 if"),
        ("0612345678", None, Fault.NO_COUNTRY_CODE, "+33 6 12 34 56 78 (France) or +31 6 12345678 (Netherlands)"),
        ("07400123456", None, Fault.NO_COUNTRY_CODE, "write +44 7400 123456 if it is in Britain (UK)."),
        ("015112345678", None, Fault.NO_COUNTRY_CODE, "write +49 1511 2345678 if it is in Germany."),
        ("3471234567", None, Fault.NO_COUNTRY_CODE, "write +39 347 123 4567 if it is in Italy."),
        ("612345678", None, Fault.NO_COUNTRY_CODE, "write +34 612 34 56 78 if it is in Spain."),
        ("2125550123", None, Fault.NO_COUNTRY_CODE, "write +1 212-555-0123 if it is in the United States."),
        ("0811234567", None, Fault.NO_COUNTRY_CODE, "has no country code: write +, the country code"),
        ("+999123456", None, Fault.NO_COUNTRY_CODE, "does not begin with the code of any country"),
        # A zero too many.
        ("032475123456", "BE", Fault.ZERO_BEFORE_COUNTRY_CODE, "a 0 before the country code: write +32 475 12 34 56."),
        ("032475123456", None, Fault.ZERO_BEFORE_COUNTRY_CODE, "write +32 475 12 34 56."),
        ("+032475123456", None, Fault.ZERO_BEFORE_COUNTRY_CODE, "write +32 475 12 34 56."),
        ("+0032475123456", "BE", Fault.ZERO_BEFORE_COUNTRY_CODE, "write +32 475 12 34 56."),
        ("033612345678", "BE", Fault.ZERO_BEFORE_COUNTRY_CODE, "write +33 6 12 34 56 78."),
        (
            "03471234567",
            "IT",
            Fault.WRITTEN_WRONGLY,
            "a 0 in front that does not belong there: write +39 347 123 4567.",
        ),
        ("0612345678", "ES", Fault.WRITTEN_WRONGLY, "a 0 in front that does not belong there: write +34 612 34 56 78."),
        # Length.
        ("+3247512345", None, Fault.TOO_SHORT, "+3247512345 is too short for a number in Belgium (+32)."),
        ("3247512345", "BE", Fault.TOO_SHORT, "3247512345 is too short for a number in Belgium (+32)."),
        ("047512345", "BE", Fault.TOO_SHORT, "047512345 is too short for a number in Belgium (+32)."),
        ("+31 6 1234567", None, Fault.TOO_SHORT, "too short for a number in the Netherlands (+31)."),
        ("06123456", "FR", Fault.TOO_SHORT, "A mobile number there looks like +33 6 12 34 56 78"),
        ("5551234", "US", Fault.TOO_SHORT, "too short for a number in the United States (+1)."),
        ("+44740012345", None, Fault.TOO_SHORT, "too short for a number beginning with +44."),
        ("+324751234567", None, Fault.TOO_LONG, "too long for a number in Belgium (+32)."),
        ("04751234567", "BE", Fault.TOO_LONG, "too long for a number in Belgium (+32)."),
        ("04791234567", "BE", Fault.TOO_LONG, "too long for a number in Belgium (+32)."),
        ("0612345678", "BE", Fault.TOO_LONG, "if yours is in another country, write + and its country code."),
        ("+33333333333333333333333333333", None, Fault.TOO_LONG, "too long for a number in France (+33)."),
        ("+491511234", None, Fault.NO_SUCH_NUMBER, "is not a number in Germany (+49): check its digits."),
        # No number at all.
        ("Jean.Dupont", "BE", Fault.NOT_A_NUMBER, '"Jean.Dupont" is not a telephone number: it contains letters.'),
        ("1-800-FLOWERS", "US", Fault.NOT_A_NUMBER, "it contains letters. Write digits"),
        ("+32475123456x12", None, Fault.NOT_A_NUMBER, "it contains letters."),
        ("0475_123456", "BE", Fault.NOT_A_NUMBER, "it contains the character _."),
        ("+32+475123456", None, Fault.NOT_A_NUMBER, "it has a + that is not in front."),
        ("0475\r\n123456", "BE", Fault.NOT_A_NUMBER, '"0475??123456" is not a telephone number'),
        ("²³", "BE", Fault.NOT_A_NUMBER, "characters that have no place in one."),
        ("", None, Fault.NOT_A_NUMBER, "it has no digits."),
        ("+", None, Fault.NOT_A_NUMBER, "it has no digits."),
        ("00", None, Fault.NOT_A_NUMBER, "it has no digits after 00."),
    ],
)
def test_what_is_no_number_is_refused_with_the_right_form(
    text: str, region: str | None, fault: Fault, sentence: str
) -> None:
    number = numbers.read(text, region)
    assert (number.valid, number.e164, number.kind, number.fault) == (False, None, Kind.UNKNOWN, fault)
    assert number.advice is not None
    assert sentence in number.advice
    with pytest.raises(RefusedError) as refused:
        numbers.sms_number(text, region)
    assert refused.value.smtp == "550 5.1.1"
    assert str(refused.value) == number.advice


@pytest.mark.parametrize(
    ("text", "region", "e164", "kind", "country", "sentence"),
    [
        ("022123456", "BE", "+3222123456", "fixed", "BE", "+32 2 212 34 56 is a fixed line, and a fixed line cannot"),
        ("3222123456", None, "+3222123456", "fixed", "BE", "give a mobile number."),
        ("0612345678", "IT", "+390612345678", "fixed", "IT", "+39 06 1234 5678 is a fixed line"),
        ("+3290012345", None, "+3290012345", "premium", "BE", "is a premium-rate number"),
        ("+18005551234", None, "+18005551234", "toll_free", "US", "is a toll-free number"),
        ("+80012345678", None, "+80012345678", "toll_free", None, "is a toll-free number"),
        ("+491801234567", None, "+491801234567", "shared_cost", "DE", "is a shared-cost number"),
        ("+445612345678", None, "+445612345678", "voip", "GB", "is an internet telephone number"),
        ("078150000", "BE", "+3278150000", "unknown", "BE", "is a number of a special service"),
        (
            "112",
            "BE",
            None,
            "emergency",
            "BE",
            "112 is an emergency number, which no SMS from here can reach: call it.",
        ),
        ("112", None, None, "emergency", None, "112 is an emergency number"),
        ("911", "BE", None, "emergency", "BE", "911 is an emergency number"),
        ("999", "GB", None, "emergency", "GB", "999 is an emergency number"),
        ("+32112", None, None, "emergency", "BE", "+32112 is an emergency number"),
        ("+112", None, None, "emergency", None, "+112 is an emergency number"),
        ("8850", "BE", None, "short", "BE", "8850 is a short code in Belgium, which no SMS from here can reach"),
        ("8850", None, None, "short", None, "8850 is a short code, which no SMS"),
        ("+328850", None, None, "short", "BE", "short code in Belgium"),
    ],
)
def test_what_cannot_get_an_sms_is_refused_and_named(
    text: str, region: str | None, e164: str | None, kind: str, country: str | None, sentence: str
) -> None:
    number = numbers.read(text, region)
    assert (number.e164, number.kind, number.country) == (e164, kind, country)
    assert number.fault is Fault.CANNOT_GET_SMS
    assert not number.can_get_sms
    with pytest.raises(RefusedError) as refused:
        numbers.sms_number(text, region)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("text", "region", "e164", "kind"),
    [
        ("+12125550123", None, "+12125550123", Kind.FIXED_OR_MOBILE),
        ("4165550123", "CA", "+14165550123", Kind.FIXED_OR_MOBILE),
        ("06-12345678", "NL", "+31612345678", Kind.MOBILE),
        ("612 34 56 78", "ES", "+34612345678", Kind.MOBILE),
        ("347 123 4567", "IT", "+393471234567", Kind.MOBILE),
        ("07400 123456", "GB", "+447400123456", Kind.MOBILE),
        ("0151/12345678", "DE", "+4915112345678", Kind.MOBILE),
        ("+881612345678", None, "+881612345678", Kind.MOBILE),
    ],
)
def test_what_can_get_an_sms_in_other_countries(text: str, region: str | None, e164: str, kind: Kind) -> None:
    number = numbers.read(text, region)
    assert (number.e164, number.kind, number.advice) == (e164, kind, None)
    assert number.can_get_sms


@pytest.mark.parametrize(
    ("text", "region", "one", "other"),
    [
        ("3584012345", "IT", "+358 40 12345 (Finland)", "+39 358 401 2345 (Italy)"),
        ("131 2345 6789", "CN", "+1 312-345-6789 (United States)", "+86 131 2345 6789 (China)"),
    ],
)
def test_bare_digits_that_can_be_two_numbers_are_refused_showing_both(
    text: str, region: str, one: str, other: str
) -> None:
    number = numbers.read(text, region)
    assert (number.valid, number.fault) == (False, Fault.AMBIGUOUS)
    assert number.advice == f"{text} can be read as {one} and as {other}: write the one you mean, with its +."


def test_a_reading_that_cannot_get_an_sms_does_not_make_a_number_ambiguous() -> None:
    assert numbers.read("+3212345678", None).kind is Kind.FIXED
    assert numbers.read("3212345678", "IT").e164 == "+393212345678"


def test_describes_a_number_as_try_number_prints_it() -> None:
    assert numbers.describe(numbers.read("0475123456", "BE")) == {
        "valid": True,
        "e164": "+32475123456",
        "kind": "mobile",
        "country": "BE",
        "advice": None,
    }
    assert numbers.describe(numbers.read("112", "BE")) == {
        "valid": False,
        "e164": None,
        "kind": "emergency",
        "country": "BE",
        "advice": "112 is an emergency number, which no SMS from here can reach: call it.",
    }


@pytest.mark.parametrize("region", ["ZZ", "Belgium", "", "001"])
def test_an_unknown_region_is_a_wrong_call(region: str) -> None:
    assert not numbers.known_region(region)
    with pytest.raises(ValueError, match="two-letter code"):
        numbers.read("0475123456", region)

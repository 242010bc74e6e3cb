"""What to tell people about a number: what is wrong, with which number, and the right form.

Every sentence is ASCII in one line, so that it can stand in an SMTP reply.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib import resources

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from gateway.numbers.plans import Kind
from gateway.numbers.reading import Length, Reading

# Shown where nothing tells which country is meant.
_ANY_REGION = "BE"

_WITH_ARTICLE = frozenset({"BS", "CD", "CF", "CG", "CZ", "DO", "GM", "IM", "KM", "MV", "NL", "PH"})

_NO_SMS = {
    Kind.FIXED: "is a fixed line, and a fixed line cannot get an SMS",
    Kind.VOIP: "is an internet telephone number, and those cannot get an SMS",
    Kind.TOLL_FREE: "is a toll-free number, and those cannot get an SMS",
    Kind.PREMIUM: "is a premium-rate number, and nothing is sent to those",
    Kind.SHARED_COST: "is a shared-cost number, and those cannot get an SMS",
    Kind.UNKNOWN: "is a number of a special service, and those cannot get an SMS",
}


def rubbish(shown: str, why: str, region: str | None) -> str:
    """The text is no number at all."""
    return (
        f'"{shown}" is not a telephone number: it {why}. '
        f"Write digits, with + and the country code in front, like {_example(region)}."
    )


def no_country_code(shown: str, meant: list[Reading]) -> str:
    """The country code is missing; `meant` are the numbers it could be."""
    if len(meant) == 1:
        return f"{shown} has no country code: write {meant[0].pretty} if it is in {_inside(meant[0].country)}."
    if meant:
        forms = " or ".join(f"{reading.pretty} ({_country(reading.country)})" for reading in meant)
        return f"{shown} has no country code: write it with its code, as in {forms}."
    return (
        f"{shown} has no country code: write +, the country code, and the number as it is dialled from abroad, "
        f"like {_example(None)}."
    )


def no_country_code_here(shown: str, meant: Reading) -> str:
    """There is a +, but what follows is the number as it is dialled in its own country."""
    return f"{shown} has no country code: write {meant.pretty}."


def no_such_country_code(shown: str, region: str | None) -> str:
    """No country has the code that the digits begin with."""
    return f"{shown} does not begin with the code of any country: write it like {_example(region)}."


def zero_before_country_code(shown: str, meant: Reading) -> str:
    """`032475...`, `+032475...`"""
    return f"{shown} has a 0 before the country code: write {meant.pretty}."


def mended(shown: str, meant: Reading) -> str:
    """The number was understood, but is written wrongly."""
    if meant.zero:
        return f"{shown} has a 0 after the country code that does not belong there: write {meant.pretty}."
    return f"{shown} was read as {meant.pretty}: write it so."


def zero_too_many(shown: str, meant: Reading) -> str:
    """A zero in front, in a country that has none there."""
    return f"{shown} has a 0 in front that does not belong there: write {meant.pretty}."


def invalid(shown: str, length: Length | None, code: str, region: str | None) -> str:
    """No numbering plan has the number; `region` is the country it would be in, None where several share the code."""
    where = f"in {_inside(region)} (+{code})" if region is not None else f"beginning with +{code}"
    like = f"A mobile number {'there ' if region else ''}looks like {_example(region, code)}."
    if length is not None:
        return f"{shown} is {length} for a number {where}. {like}"
    return f"{shown} is not a number {where}: check its digits. {like}"


def not_in_region(shown: str, length: Length | None, code: str, region: str) -> str:
    """A number without country code that its sender's own country does not have."""
    what = f"{length} for a number" if length is not None else "not a number"
    return (
        f"{shown} is {what} in {_inside(region)} (+{code}). A mobile number there looks like {_example(region)}; "
        f"if yours is in another country, write + and its country code."
    )


def emergency(shown: str) -> str:
    """112 and its like."""
    return f"{shown} is an emergency number, which no SMS from here can reach: call it."


def short(shown: str, region: str | None) -> str:
    """A short code."""
    where = f" in {_inside(region)}" if region is not None else ""
    return (
        f"{shown} is a short code{where}, which no SMS from here can reach: "
        f"write a mobile number like {_example(region)}."
    )


def no_sms(reading: Reading) -> str:
    """The number is valid and cannot get an SMS."""
    return f"{reading.pretty} {_NO_SMS[reading.kind]}: give a mobile number."


def ambiguous(shown: str, one: Reading, other: Reading) -> str:
    """Two readings can both get an SMS."""
    return (
        f"{shown} can be read as {one.pretty} ({_country(one.country)}) and as {other.pretty} "
        f"({_country(other.country)}): write the one you mean, with its +."
    )


def _example(region: str | None, code: str = "") -> str:
    """A mobile number as one writes it for abroad: of a region, else of a country code, else of any country."""
    main = region or (phonenumbers.region_code_for_country_code(int(code)) if code else _ANY_REGION)
    for candidate in (main, _ANY_REGION):
        number = phonenumbers.example_number_for_type(candidate, PhoneNumberType.MOBILE)
        if number is not None:
            return phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    raise LookupError(f"phonenumbers has no mobile number of {_ANY_REGION} to show")


def _country(region: str | None) -> str:
    return "no single country" if region is None else _names().get(region, region)


def _inside(region: str | None) -> str:
    """The country's name as it stands after `in`."""
    name = _country(region)
    article = region in _WITH_ARTICLE or name.startswith("United") or name.endswith("Islands")
    return f"the {name}" if article else name


@cache
def _names() -> dict[str, str]:
    """ISO 3166 code -> English name in ASCII, from the table that comes with the time zones."""
    table = resources.files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    lines = (line.split("\t") for line in table.splitlines() if line and not line.startswith("#"))
    return {code: _ascii(name) for code, name in lines}


def _ascii(name: str) -> str:
    plain = name.replace("\u2019", "'")
    return unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode("ascii")

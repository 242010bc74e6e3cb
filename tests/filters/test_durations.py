"""ISO 8601 durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.durations import Duration, parse, parse_fixed


@pytest.mark.parametrize(
    ("text", "months", "fixed"),
    [
        ("P1Y", 12, timedelta()),
        ("P1Y2M", 14, timedelta()),
        ("P1M", 1, timedelta()),
        ("PT1M", 0, timedelta(minutes=1)),
        ("P2W", 0, timedelta(days=14)),
        ("P1DT12H", 0, timedelta(hours=36)),
        ("PT24H", 0, timedelta(days=1)),
        ("PT0.5S", 0, timedelta(milliseconds=500)),
        ("PT0,25S", 0, timedelta(milliseconds=250)),
        ("p1dt1h1m1s", 0, timedelta(days=1, hours=1, minutes=1, seconds=1)),
        (" P1D ", 0, timedelta(days=1)),
        ("PT0S", 0, timedelta()),
    ],
)
def test_durations_are_read(text: str, months: int, fixed: timedelta) -> None:
    assert parse(text) == Duration(months, fixed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1",
        "1D",
        "P1DT",
        "PT1D",
        "P1H",
        "PT1H1H",
        "P-1D",
        "-P1D",
        "P1.5D",
        "P1S",
        "5 minutes",
        "P١D",
    ],
)
def test_what_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="PT5M"):
        parse(text)


def test_longer_than_can_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="longer"):
        parse("P999999999W")


@pytest.mark.parametrize("text", ["P1Y", "P1M", "P1M1D"])
def test_what_the_clock_measures_has_no_months(text: str) -> None:
    with pytest.raises(ValueError, match="P30D"):
        parse_fixed(text)


def test_months_are_the_calendars() -> None:
    march = datetime(2028, 3, 31, 12, tzinfo=UTC)
    assert parse("P1M").before(march) == datetime(2028, 2, 29, 12, tzinfo=UTC)
    assert parse("P1Y1M").before(march) == datetime(2027, 2, 28, 12, tzinfo=UTC)
    assert parse("P1M").after(march) == datetime(2028, 4, 30, 12, tzinfo=UTC)
    assert parse("P10M").after(march) == datetime(2029, 1, 31, 12, tzinfo=UTC)
    assert parse("P1MT1H").after(march) == datetime(2028, 4, 30, 13, tzinfo=UTC)


@given(st.integers(0, 1200), st.timedeltas(timedelta(), timedelta(days=100_000)))
def test_what_is_written_is_read_again(months: int, fixed: timedelta) -> None:
    duration = Duration(months, fixed)
    assert parse(str(duration)) == duration

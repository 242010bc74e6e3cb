"""Quiet hours by the clock on the wall, held against a model that looks at every minute."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.filter import Quiet
from gateway import quiet_hours

MINUTE = timedelta(minutes=1)
BRUSSELS = ZoneInfo("Europe/Brussels")
NIGHT = Quiet(time(22), time(7))

ZONES = (
    "UTC",
    "Europe/Brussels",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour
    "America/Havana",  # at midnight
    "Asia/Beirut",
    "Africa/Casablanca",
    "Pacific/Apia",  # skipped a day
    "Asia/Kathmandu",
)
#: About when clocks were or will be changed, somewhere.
CHANGES = (
    datetime(2026, 3, 29, tzinfo=UTC),
    datetime(2026, 10, 25, tzinfo=UTC),
    datetime(2026, 3, 8, tzinfo=UTC),
    datetime(2026, 11, 1, tzinfo=UTC),
    datetime(2026, 4, 4, 12, tzinfo=UTC),
    datetime(2026, 10, 3, 12, tzinfo=UTC),
    datetime(2011, 12, 30, tzinfo=UTC),
    datetime(2026, 2, 15, tzinfo=UTC),
    datetime(2026, 6, 15, tzinfo=UTC),
)
times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
moments = st.builds(
    lambda change, minutes: change + minutes * MINUTE, st.sampled_from(CHANGES), st.integers(-30 * 60, 30 * 60)
)


def slowly(quiet: Quiet, now: datetime, zone: ZoneInfo) -> datetime | None:
    """The same as `quiet_hours.until`, minute by minute."""
    at = now
    while True:
        wall = at.astimezone(zone).time()
        inside = quiet.from_ <= wall < quiet.to if quiet.from_ < quiet.to else not quiet.to <= wall < quiet.from_
        if not inside:
            return at if at != now else None
        at += MINUTE


@settings(max_examples=300, deadline=None)
@given(times, times, moments, st.sampled_from(ZONES))
def test_they_end_when_the_wall_says_so(from_: time, to: time, now: datetime, zone: str) -> None:
    if from_ != to:
        quiet = Quiet(from_, to)
        assert quiet_hours.until(quiet, now, ZoneInfo(zone)) == slowly(quiet, now, ZoneInfo(zone))


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        (datetime(2026, 3, 10, 21, 30, tzinfo=UTC), datetime(2026, 3, 11, 6, tzinfo=UTC)),
        # The night in which clocks are put forward is an hour shorter, the other one an hour longer.
        (datetime(2026, 3, 28, 22, tzinfo=UTC), datetime(2026, 3, 29, 5, tzinfo=UTC)),
        (datetime(2026, 10, 24, 21, tzinfo=UTC), datetime(2026, 10, 25, 6, tzinfo=UTC)),
        # In the hour that comes twice it is quiet both times.
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 6, tzinfo=UTC)),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), datetime(2026, 10, 25, 6, tzinfo=UTC)),
        (datetime(2026, 3, 10, 12, tzinfo=UTC), None),
    ],
)
def test_a_night_in_brussels(now: datetime, ends: datetime | None) -> None:
    assert quiet_hours.until(NIGHT, now, BRUSSELS) == ends


def test_hours_that_end_in_the_hour_that_is_skipped_end_when_it_is() -> None:
    quiet = Quiet(time(22), time(2, 30))
    assert quiet_hours.until(quiet, datetime(2026, 3, 29, 0, 59, tzinfo=UTC), BRUSSELS) == datetime(
        2026, 3, 29, 1, tzinfo=UTC
    )


def test_the_first_moment_is_quiet_and_the_last_is_not() -> None:
    assert quiet_hours.until(NIGHT, datetime(2026, 6, 1, 20, tzinfo=UTC), BRUSSELS) is not None
    assert quiet_hours.until(NIGHT, datetime(2026, 6, 1, 5, tzinfo=UTC), BRUSSELS) is None


@pytest.mark.parametrize("text", ["22:00-07:00", "0:30-12:00", " 22:00 - 07:00 "])
def test_hours_are_read_and_written(text: str) -> None:
    assert quiet_hours.parse(quiet_hours.write(quiet_hours.parse(text))) == quiet_hours.parse(text)


@pytest.mark.parametrize("text", ["", "22-7", "22:00-22:00", "25:00-07:00", "22:60-07:00", "night"])
def test_what_are_no_hours_is_refused_with_how_to_write_them(text: str) -> None:
    with pytest.raises(ValueError, match=r"write"):
        quiet_hours.parse(text)

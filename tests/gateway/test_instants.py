"""Instants as people and programs write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from gateway import instants
from gateway.failure import RefusedError

BRUSSELS = ZoneInfo("Europe/Brussels")


def test_instants_are_written_in_utc() -> None:
    local = datetime(2026, 5, 1, 14, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    assert instants.write(local) == "2026-05-01T12:00:00.123Z"
    assert instants.write_or_none(None) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-05-01T14:30", "2026-05-01T12:30:00.000Z"),
        ("2026-05-01 14:30", "2026-05-01T12:30:00.000Z"),
        ("2026-05-01", "2026-04-30T22:00:00.000Z"),
        ("2026-05-01T14:30:15Z", "2026-05-01T14:30:15.000Z"),
        ("2026-05-01T14:30:15-05:00", "2026-05-01T19:30:15.000Z"),
        ("2026-12-01T14:30", "2026-12-01T13:30:00.000Z"),
    ],
)
def test_times_are_read_in_the_zone_unless_they_say_their_own(text: str, meant: str) -> None:
    assert instants.write(instants.read(text, BRUSSELS)) == meant


def test_what_was_written_is_read_again() -> None:
    now = datetime(2026, 5, 1, 12, 0, 0, 123000, tzinfo=UTC)
    assert instants.read(instants.write(now), BRUSSELS) == now


def test_a_time_that_the_clocks_pass_twice_is_the_first() -> None:
    assert instants.write(instants.read("2026-10-25T02:30", BRUSSELS)) == "2026-10-25T00:30:00.000Z"


def test_a_time_that_the_clocks_skip_is_refused_with_the_zone() -> None:
    with pytest.raises(RefusedError, match="2026-03-29T02:30 does not exist in Europe/Brussels"):
        instants.read("2026-03-29T02:30", BRUSSELS)


@pytest.mark.parametrize("text", ["", "tomorrow", "14:30", "2026-13-01", "2026-05-01T25:00"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RefusedError, match="2026-05-01T14:30"):
        instants.read(text, BRUSSELS)


def test_without_a_zone_the_machines_own_counts() -> None:
    assert instants.read("2026-05-01T14:30") == datetime(2026, 5, 1, 14, 30).astimezone(UTC)

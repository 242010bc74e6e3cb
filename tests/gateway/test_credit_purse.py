"""Credit in plain code: months in every zone, what a reservation draws on, and the ledger that tells every unit."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from gateway import credit
from gateway.credit import NotEnoughError, Period, Purse, Reserved

ZONES = sorted(zoneinfo.available_timezones())
BRUSSELS = ZoneInfo("Europe/Brussels")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def instants(first: int, last: int) -> st.SearchStrategy[datetime]:
    """Any microsecond from the beginning of one year to that of another."""
    start, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last, 1, 1, tzinfo=UTC)
    return st.timedeltas(timedelta(0), end - start).map(lambda passed: start + passed)


def purse(monthly: int = 10, bought: int = 0, now: datetime | None = None, zone: str = "Europe/Brussels") -> Purse:
    one = Purse(1, ZoneInfo(zone), monthly, bought, 0, 0, {})
    one.open_first(now or utc("2026-03-10T12:00"))
    return one


def told(one: Purse) -> list[tuple[str, str, int]]:
    return [(entry.kind, entry.pot, entry.units) for entry in one.entries]


# Months ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "now", "end"),
    [
        ("Europe/Brussels", "2026-03-10T12:00", "2026-03-31T22:00"),  # summer time begins within the month
        ("Europe/Brussels", "2026-10-10T12:00", "2026-10-31T23:00"),  # and ends
        ("Europe/Brussels", "2026-03-31T21:59:59.999999", "2026-03-31T22:00"),
        ("Europe/Brussels", "2026-03-31T22:00", "2026-04-30T22:00"),
        ("Europe/Brussels", "2026-12-31T22:59", "2026-12-31T23:00"),
        ("UTC", "2024-02-29T23:59", "2024-03-01T00:00"),
        ("Pacific/Kiritimati", "2026-01-31T09:59", "2026-01-31T10:00"),  # fourteen hours ahead
        ("Pacific/Pago_Pago", "2026-02-01T10:59", "2026-02-01T11:00"),
        ("Asia/Kathmandu", "2026-05-01T00:00", "2026-05-31T18:15"),
        ("America/Asuncion", "2017-09-10T00:00", "2017-10-01T04:00"),  # 1 October 2017 began at one o'clock
        ("America/Havana", "2015-10-10T00:00", "2015-11-01T04:00"),  # its midnight came twice: the first counts
        ("Pacific/Apia", "2011-12-29T12:00", "2011-12-31T10:00"),  # the 30th did not take place
    ],
)
def test_a_month_ends_with_the_first_instant_of_the_next_in_its_zone(zone: str, now: str, end: str) -> None:
    assert credit.month_end(utc(now), ZoneInfo(zone)) == utc(end)


@settings(max_examples=300)
@given(
    zone=st.sampled_from(ZONES),
    now=instants(1995, 2037),
)
def test_in_every_zone_a_month_ends_on_the_first_and_no_month_is_left_out(zone: str, now: datetime) -> None:
    place = ZoneInfo(zone)
    end = credit.month_end(now, place)
    here, there = now.astimezone(place), end.astimezone(place)
    assert now < end <= now + timedelta(days=32)
    assert there.day == 1
    assert (there.year * 12 + there.month) - (here.year * 12 + here.month) == 1
    assert (end - timedelta(microseconds=1)).astimezone(place).month == here.month


@settings(max_examples=300)
@given(
    start=instants(2020, 2035),
    zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=6),
)
def test_whatever_zones_an_account_moves_through_each_period_is_about_a_month(
    start: datetime, zones: Sequence[str]
) -> None:
    ends = credit.month_end(start, ZoneInfo(zones[0]))
    for zone in zones:
        before, ends = ends, credit.next_month(ends, ZoneInfo(zone))
        assert timedelta(days=26) < ends - before < timedelta(days=33)
        assert ends.astimezone(ZoneInfo(zone)).day == 1


# Rolling --------------------------------------------------------------------------------------------------------------


def test_the_first_period_goes_from_now_to_the_end_of_the_month_even_on_the_31st() -> None:
    one = purse(now=utc("2026-01-31T22:30"))
    assert one.current == Period(utc("2026-01-31T22:30"), utc("2026-01-31T23:00"), 10, new=True)
    one.roll(utc("2026-01-31T23:00"))
    assert one.current == Period(utc("2026-01-31T23:00"), utc("2026-02-28T23:00"), 10, new=True)


def test_what_is_left_lapses_when_the_period_ends_and_the_next_starts_where_it_ended() -> None:
    one = purse(monthly=10)
    one.reserve(3, now=utc("2026-03-11T00:00"), due=utc("2026-03-11T00:00"), message=7, reason="")
    one.roll(utc("2026-03-31T21:59"))
    assert one.left(utc("2026-03-31T21:59")) == 7
    one.roll(utc("2026-04-05T00:00"))
    assert one.left(utc("2026-04-05T00:00")) == 10
    assert told(one) == [
        ("grant", "allotment", 10),
        ("reserve", "allotment", -3),
        ("lapse", "allotment", -7),
        ("grant", "allotment", 10),
    ]
    assert [entry.at for entry in one.entries[2:]] == [utc("2026-03-31T22:00")] * 2


def test_thirteen_months_untouched_are_thirteen_periods_each_granted_and_lapsed() -> None:
    one = purse(monthly=10, now=utc("2025-02-15T00:00"))
    one.roll(utc("2026-03-15T00:00"))
    periods = sorted(one.periods.values(), key=lambda period: period.starts)
    assert len(periods) == 14
    assert all(before.ends == after.starts for before, after in pairwise(periods))
    assert [period.left for period in periods] == [0] * 13 + [10]
    assert sum(entry.units for entry in one.entries) == 10


def test_a_plan_without_units_still_has_periods_and_says_nothing_of_nothing() -> None:
    one = purse(monthly=0)
    one.roll(utc("2026-06-01T00:00"))
    assert one.entries == []
    assert one.current is not None
    assert one.current.starts == utc("2026-05-31T22:00")


# Reserve, charge, give back -------------------------------------------------------------------------------------------

NOW = utc("2026-03-10T12:00")
LATER = utc("2026-04-02T00:00")  # after the period's end


def test_the_allotment_is_drawn_on_first_then_the_provision() -> None:
    one = purse(monthly=10, bought=5)
    assert one.reserve(12, now=NOW, due=NOW, message=1, reason="") == Reserved(12, 10, NOW)
    assert told(one)[1:] == [("reserve", "allotment", -10), ("reserve", "provision", -2)]
    assert one.reserve(3, now=NOW, due=NOW, message=2, reason="") == Reserved(3, 0, None)
    with pytest.raises(NotEnoughError, match=r"^not enough credit: 1 unit needed, 0 left$"):
        one.reserve(1, now=NOW, due=NOW, message=3, reason="")


def test_a_refusal_takes_nothing() -> None:
    one = purse(monthly=10, bought=5)
    before = told(one)
    with pytest.raises(NotEnoughError) as caught:
        one.reserve(16, now=NOW, due=NOW, message=1, reason="")
    assert (caught.value.needed, caught.value.left) == (16, 15)
    assert (caught.value.smtp, caught.value.http) == ("552 5.2.2", 402)
    assert told(one) == before
    assert one.left(NOW) == 15


def test_what_is_due_after_the_periods_end_draws_on_the_provision_only_and_a_refusal_says_so() -> None:
    one = purse(monthly=10, bought=5)
    assert one.reserve(4, now=NOW, due=LATER, message=1, reason="") == Reserved(4, 0, None)
    with pytest.raises(NotEnoughError, match=r"2 units needed, 1 left .*due after this period's end.*10 units"):
        one.reserve(2, now=NOW, due=LATER, message=2, reason="")
    assert one.left(LATER) == 1
    assert one.left(NOW) == 11


def test_the_periods_end_itself_is_the_next_periods() -> None:
    one = purse(monthly=10)
    assert one.current is not None
    with pytest.raises(NotEnoughError):
        one.reserve(1, now=NOW, due=one.current.ends, message=1, reason="")
    one.reserve(1, now=NOW, due=one.current.ends - timedelta(microseconds=1), message=1, reason="")


def test_a_charge_is_a_line_of_zero_for_each_pot_for_its_units_were_taken_before() -> None:
    one = purse(monthly=2, bought=5)
    part = one.reserve(3, now=NOW, due=NOW, message=1, reason="")
    one.charge(part, now=NOW, message=1, reason="sent")
    assert told(one)[3:] == [("charge", "allotment", 0), ("charge", "provision", 0)]
    assert one.current is not None
    assert (one.current.used, one.current.reserved, one.used, one.reserved) == (2, 0, 1, 0)
    assert one.left(NOW) == 4


def test_a_return_goes_back_where_it_came_from() -> None:
    one = purse(monthly=2, bought=5)
    part = one.reserve(3, now=NOW, due=NOW, message=1, reason="")
    one.give_back(part, now=NOW, message=1, reason="failed")
    assert told(one)[3:] == [("return", "allotment", 2), ("return", "provision", 1)]
    assert one.left(NOW) == 7


def test_a_return_to_a_period_that_is_over_is_written_as_return_and_lapse() -> None:
    one = purse(monthly=2, bought=5)
    part = one.reserve(3, now=NOW, due=NOW, message=1, reason="")
    one.roll(LATER)
    before = one.left(LATER)
    one.give_back(part, now=LATER, message=1, reason="failed")
    assert told(one)[-3:] == [("return", "allotment", 2), ("lapse", "allotment", -2), ("return", "provision", 1)]
    assert one.left(LATER) == before + 1


def test_a_charge_after_the_periods_end_is_its_own_periods() -> None:
    one = purse(monthly=2)
    part = one.reserve(2, now=NOW, due=NOW, message=1, reason="")
    one.roll(LATER)
    one.charge(part, now=LATER, message=1, reason="sent")
    assert one.left(LATER) == 2
    assert one.periods[NOW].used == 2


def test_what_costs_nothing_writes_nothing() -> None:
    one = purse(monthly=0)
    part = one.reserve(0, now=NOW, due=LATER, message=1, reason="")
    one.charge(part, now=NOW, message=1, reason="sent")
    assert one.entries == []


# Anything in any order ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Open:
    """A reservation not settled yet."""

    message: int
    part: Reserved


class AnyLife(RuleBasedStateMachine):
    """An account's life in any order; the machine keeps its own books, in another way than the purse."""

    unsettled = Bundle("unsettled")

    @initialize(monthly=st.integers(0, 30), now=instants(2023, 2030))
    def begin(self, monthly: int, now: datetime) -> None:
        self.now = now
        self.purse = purse(monthly=monthly, now=self.now)
        self.messages = 0
        self.outstanding: dict[int, Reserved] = {}
        self.spent = {"allotment": 0, "provision": 0}
        self.bought = 0

    @rule(hours=st.one_of(st.integers(0, 48), st.integers(0, 24 * 70), st.integers(0, 24 * 420)))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.purse.roll(self.now)

    @rule(zone=st.sampled_from(ZONES))
    def moves(self, zone: str) -> None:
        self.purse.zone = ZoneInfo(zone)

    @rule(monthly=st.integers(0, 30))
    def changes_plan(self, monthly: int) -> None:
        self.purse.monthly = monthly

    @rule(units=st.integers(1, 20))
    def buys(self, units: int) -> None:
        self.purse.buy(units, now=self.now, reason="")
        self.bought += units

    @rule(target=unsettled, units=st.integers(0, 25), wait=st.integers(0, 40))
    def reserves(self, units: int, wait: int) -> Open:
        self.messages += 1
        due = self.now + timedelta(days=wait)
        current = self.purse.current
        assert current is not None
        in_period = current.left if due < current.ends else 0
        enough = units <= in_period + self.purse.provision
        try:
            part = self.purse.reserve(units, now=self.now, due=due, message=self.messages, reason="")
        except NotEnoughError:
            assert not enough
            return Open(self.messages, Reserved(0, 0, None))
        assert enough
        assert part.allotment == min(units, in_period)
        self.outstanding[self.messages] = part
        return Open(self.messages, part)

    @rule(one=consumes(unsettled))
    def is_accepted(self, one: Open) -> None:
        self.purse.charge(one.part, now=self.now, message=one.message, reason="")
        self.outstanding.pop(one.message, None)
        self.spent["allotment"] += one.part.allotment
        self.spent["provision"] += one.part.units - one.part.allotment

    @rule(one=consumes(unsettled))
    def fails(self, one: Open) -> None:
        self.purse.give_back(one.part, now=self.now, message=one.message, reason="")
        self.outstanding.pop(one.message, None)

    @precondition(lambda self: hasattr(self, "purse"))
    @invariant()
    def the_ledger_adds_up_to_what_is_left(self) -> None:
        assume(self.purse.current is not None)
        current = self.purse.current
        assert current is not None
        pots = {"allotment": 0, "provision": 0}
        for entry in self.purse.entries:
            pots[entry.pot] += entry.units
        assert pots == {"allotment": current.left, "provision": self.purse.provision}

    @precondition(lambda self: hasattr(self, "purse"))
    @invariant()
    def nothing_is_below_zero_and_every_unit_is_somewhere(self) -> None:
        one = self.purse
        assert min(one.bought, one.used, one.reserved, one.provision) >= 0
        assert one.bought == self.bought
        assert one.used == self.spent["provision"]
        assert one.reserved == sum(part.units - part.allotment for part in self.outstanding.values())
        for period in one.periods.values():
            assert min(period.used, period.reserved, period.lapsed, period.left) >= 0
        assert sum(period.used for period in one.periods.values()) == self.spent["allotment"]
        assert sum(period.reserved for period in one.periods.values()) == sum(
            part.allotment for part in self.outstanding.values()
        )

    @precondition(lambda self: hasattr(self, "purse"))
    @invariant()
    def periods_follow_each_other_and_none_is_reopened(self) -> None:
        periods = sorted(self.purse.periods.values(), key=lambda period: period.starts)
        for before, after in pairwise(periods):
            assert before.ends == after.starts
            assert before.left == 0
        assert periods[-1].starts <= self.now < periods[-1].ends


AnyLife.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestAnyLife = AnyLife.TestCase

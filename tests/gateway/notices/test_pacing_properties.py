"""Whatever comes whenever: no more is told than is allowed, nothing in quiet hours, and nothing is ever lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from filters.filter import MaxPer, Quiet
from gateway import pacing
from gateway.pacing import ACCOUNT, WAITING, Limits, Pace, Ruling, Spoken, Standing, State, Waiting

SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@dataclass
class World:
    """An account with everything it was ever told, kept in plain lists."""

    limits: Limits
    spoken: Spoken = field(default_factory=lambda: Spoken(lambda of, n: None))
    waiting: dict[int, Waiting] = field(default_factory=dict)
    ended: dict[int, tuple[State, str]] = field(default_factory=dict)
    said: list[tuple[datetime, tuple[Pace, ...]]] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.standing = Standing(self.spoken)

    def stand(self, paces: list[Pace]) -> None:
        """What the store would tell, found out from the lists."""
        self.standing.capped = any(one.state is State.CAPPED for one in self.waiting.values())
        limited = {one.pace.filter for one in self.waiting.values() if one.state is State.LIMITED}
        self.standing.limited = limited & {pace.filter for pace in paces if pace.max_per is not None}

    def come(self, paces: list[Pace], now: datetime) -> None:
        """A mail that fits these filters."""
        self.stand(paces)
        mail = next(self.numbers).to_bytes(8, "big")
        for pace, ruling in zip(paces, pacing.arrive(self.standing, self.limits, paces, now), strict=True):
            self.settle(Waiting(next(self.numbers), mail, pace, ruling.state, now, ruling.due), ruling, now)

    def settle(self, one: Waiting, ruling: Ruling, now: datetime) -> None:
        assert one.id not in self.ended, "what is over is decided again"
        if ruling.state in WAITING:
            assert ruling.due is not None
            self.waiting[one.id] = Waiting(one.id, one.mail, one.pace, ruling.state, one.since, ruling.due)
            return
        self.waiting.pop(one.id, None)
        self.ended[one.id] = (ruling.state, ruling.why)
        if ruling.state is State.SENT:
            self.said.append((now, (one.pace,)))

    def look(self, now: datetime) -> datetime | None:
        """The planner looks; when it is to look again."""
        waiting = [self.waiting[number] for number in sorted(self.waiting)]
        self.stand([one.pace for one in waiting])
        done = pacing.release(self.standing, self.limits, waiting, now)
        for one in done.alone:
            self.settle(one, Ruling(State.SENT), now)
        if done.together:
            self.said.append((now, tuple(one.pace for one in done.together)))
            for one in done.together:
                self.settle(one, Ruling(State.DIGESTED), now)
        for one, ruling in done.moved:
            self.settle(one, ruling, now)
        return done.due

    def until(self, now: datetime, end: datetime) -> None:
        """Let the planner look whenever it is due."""
        for _ in range(10_000):
            due = self.look(now)
            if due is None or due > end:
                return
            assert due >= now, "it is due in the past"
            now = due
        raise AssertionError("it goes round and round")


QUIETS = st.one_of(
    st.none(),
    st.builds(
        Quiet,
        st.sampled_from([time(22), time(1, 30), time(11)]),
        st.sampled_from([time(7), time(2, 30), time(13)]),
        st.sampled_from(["hold", "drop"]),
    ),
)
LIMITS = st.one_of(
    st.none(),
    st.builds(
        MaxPer,
        st.integers(1, 3),
        st.sampled_from([timedelta(minutes=10), HOUR, timedelta(hours=30)]),
        st.sampled_from(["digest", "drop"]),
    ),
)
FILTERS = st.lists(st.tuples(LIMITS, QUIETS), min_size=1, max_size=3)
GAPS = st.one_of(
    st.sampled_from([timedelta(), timedelta(milliseconds=25), SECOND, 2 * SECOND]),
    st.integers(3, 90 * 60).map(lambda seconds: seconds * SECOND),
)
STARTS = (datetime(2026, 3, 28, 18, tzinfo=UTC), datetime(2026, 10, 24, 18, tzinfo=UTC))


@settings(max_examples=150, deadline=None)
@given(
    FILTERS,
    QUIETS,
    st.integers(1, 6),
    st.integers(1, 12),
    st.lists(st.tuples(GAPS, st.integers(1, 30), st.integers(1, 7)), min_size=1, max_size=25),
    st.sampled_from(STARTS),
)
def test_caps_limits_and_quiet_hours_hold_and_nothing_is_lost(
    filters: list[tuple[MaxPer | None, Quiet | None]],
    quiet: Quiet | None,
    cap_hour: int,
    cap_day: int,
    comings: list[tuple[timedelta, int, int]],
    now: datetime,
) -> None:
    zone = ZoneInfo("Europe/Brussels")
    world = World(Limits(zone, cap_hour, cap_day, quiet))
    paces = [Pace(number, limit, hours) for number, (limit, hours) in enumerate(filters, start=1)]
    for gap, times, which in comings:
        world.until(now, now + gap)
        now += gap
        for _ in range(times):
            fitting = [pace for n, pace in enumerate(paces) if which >> n & 1]
            if fitting:
                world.come(fitting, now)
    world.until(now, now + timedelta(days=400))
    assert world.waiting == {}, "something waits for ever"
    moments = [at for at, _ in world.said]
    _at_most(moments, cap_hour, HOUR)
    _at_most(moments, cap_day, timedelta(days=1))
    for pace in paces:
        mine = [at for at, some in world.said if any(one.filter == pace.filter for one in some)]
        if pace.max_per is not None:
            _at_most(mine, pace.max_per.count, pace.max_per.window)
        hours = pace.quiet or quiet
        if hours is not None:
            for at in mine:
                wall = at.astimezone(zone).time()
                inside = (
                    hours.from_ <= wall < hours.to if hours.from_ < hours.to else not hours.to <= wall < hours.from_
                )
                assert not inside, f"told at {wall}"
    for state, why in world.ended.values():
        assert state in (State.SENT, State.DIGESTED) or (state is State.DROPPED and why)
    droppers = [pace for pace in paces if _drops(pace, quiet)]
    if not droppers:
        assert State.DROPPED not in Counter(state for state, _ in world.ended.values())


def _drops(pace: Pace, quiet: Quiet | None) -> bool:
    hours = pace.quiet or quiet
    return (pace.max_per is not None and pace.max_per.then == "drop") or (hours is not None and hours.then == "drop")


def _at_most(moments: list[datetime], most: int, window: timedelta) -> None:
    """Slowly: no stretch of this length, beginning wherever something was told, holds more."""
    for start in moments:
        inside = [at for at in moments if start <= at < start + window]
        assert len(inside) <= most, f"{len(inside)} in {window}, {most} are allowed: {inside}"


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 600), st.integers(1, 40))
def test_a_storm_is_one_sms_now_and_one_summary_later(mails: int, a_second: int) -> None:
    """Where the account's caps are no hindrance: however many come however fast, if they are many enough."""
    world = World(Limits(ZoneInfo("UTC"), 1000, 1000))
    now = datetime(2026, 3, 10, 12, tzinfo=UTC)
    step = SECOND / a_second
    for _ in range(mails):
        world.until(now, now)
        world.come([Pace(1)], now)
        world.until(now, now + step)
        now += step
    world.until(now, now + HOUR)
    fast = a_second * pacing.GAP.total_seconds() > pacing.STORM + 1
    if fast and mails > pacing.STORM and mails / a_second < pacing.STORM_PATIENCE.total_seconds():
        assert [len(some) for _, some in world.said] == [1, mails - 1]
    assert sum(len(some) for _, some in world.said) == mails


@given(st.lists(st.integers(0, 400), max_size=40), st.integers(1, 6), st.integers(1, 200))
def test_room_under_a_limit_is_found_as_by_counting(times: list[int], most: int, window: int) -> None:
    base = datetime(2026, 3, 10, 12, tzinfo=UTC)
    earlier = sorted(base + n * SECOND for n in times)
    spoken = Spoken(lambda of, n: earlier[-n] if n <= len(earlier) else None)
    now = base + 400 * SECOND
    found = spoken.free(ACCOUNT, most, window * SECOND, now)
    at = now
    while sum(at - window * SECOND < one <= at for one in earlier) >= most:
        at += SECOND
    assert (found or now) == at

"""The pace: the rate holds over any stretch of time, throttling slows it, success brings it back."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.transports.smpp.backoff import Backoff, Patience
from gateway.transports.smpp.pace import AHEAD, Pace


def pace(rate: float | None) -> Pace:
    return Pace(rate, Random(7))


def test_without_a_rate_there_is_no_limit() -> None:
    free = pace(None)
    assert free.room(0.0) is None
    assert free.take(1000, 0.0) == 1000
    assert free.wakes(0.0, waiting=True) is None


@given(
    st.floats(0.5, 5000),
    st.lists(st.tuples(st.floats(0, 0.5), st.integers(0, 500)), min_size=1, max_size=60),
)
def test_no_stretch_of_time_sees_more_than_the_rate(rate: float, steps: list[tuple[float, int]]) -> None:
    limited = pace(rate)
    now = 0.0
    went: list[tuple[float, int]] = []
    for wait, wanted in steps:
        now += wait
        went.append((now, limited.take(wanted, now)))
    for first, (begin, _) in enumerate(went):
        total = 0
        for end, count in went[first:]:
            total += count
            assert total <= rate * (end - begin + 0.02) + 1 + 1e-6


@given(st.floats(1, 5000), st.floats(0.0, 1.0))
def test_what_room_promises_goes_within_a_fifth_of_a_second(rate: float, begin: float) -> None:
    limited = pace(rate)
    limited.take(10**6, begin)
    room = limited.room(begin)
    assert room is not None
    assert room <= rate * AHEAD + 1
    now, gone = begin, 0
    while gone < room:
        wake = limited.wakes(now, waiting=True)
        assert wake is not None
        now = wake
        gone += limited.take(room - gone, now)
    assert now <= begin + AHEAD + 0.011


def test_a_slow_rate_has_room_again_when_its_slot_is_near() -> None:
    slow = pace(1.0)
    assert slow.room(0.0) == 1
    assert slow.take(1, 0.0) == 1
    assert slow.room(0.0) == 0
    wake = slow.wakes(0.0, waiting=False)
    assert wake == pytest.approx(0.78)
    assert slow.room(0.79) == 1


def test_a_throttle_pauses_the_route_and_halves_its_rate_once_for_everything_under_way() -> None:
    limited = pace(100.0)
    assert limited.throttled(written=1.0, now=1.1)
    assert limited.rate == 50.0
    assert limited.room(1.1) == 0
    assert limited.take(5, 1.1) == 0
    pause = limited.paused_until
    assert 1.1 + 0.07 < pause < 1.1 + 0.13
    assert not limited.throttled(written=1.05, now=1.12)
    assert (limited.rate, limited.paused_until) == (50.0, pause)
    assert limited.wakes(1.12, waiting=False) == pause
    assert limited.room(pause + 0.001) == 10


def test_each_throttle_in_a_row_makes_the_next_pause_longer_and_a_success_ends_the_row() -> None:
    limited = pace(100.0)
    now, pauses = 0.0, []
    for _ in range(14):
        if limited.throttled(now, now):
            pauses.append(limited.paused_until - now)
        now = max(now, limited.paused_until) + 0.01
    assert pauses[3] > 3 * pauses[0]
    assert 0.7 < pauses[-1] <= 1.3
    limited.accepted(now, now)
    for n in range(1, 4):
        limited.throttled(now + n, now + n)
    assert limited.paused_until - (now + 3) < 0.3


def test_one_refusal_between_successes_slows_the_route_and_does_not_stop_it() -> None:
    limited = pace(100.0)
    assert limited.throttled(0.0, 0.0)
    for n in range(1, 20):
        assert not limited.throttled(n, n)
        limited.accepted(n + 0.5, n + 0.5)


def test_what_was_written_before_a_pause_causes_no_other() -> None:
    limited = pace(1000.0)
    assert limited.throttled(1.0, 6.0)  # the way takes five seconds
    assert not any(limited.throttled(1.0 + n / 100, 6.0 + n / 100) for n in range(1, 500))


def test_an_idle_route_learns_nothing() -> None:
    limited = pace(100.0)
    limited.throttled(0.0, 0.0)
    for n in range(1, 200):
        limited.accepted(n * 1000.0, n * 1000.0)
    assert limited.rate == 50.0


def test_a_route_without_a_rate_gets_half_of_what_it_wrote_in_a_second() -> None:
    free = pace(None)
    for step in range(200):
        free.take(1, step / 100)
    assert free.throttled(2.0, 2.0)
    assert free.rate == pytest.approx(50.0, abs=1)
    assert free.is_throttled(4.0)
    assert not free.is_throttled(free.calm_at())


def test_a_route_that_has_just_begun_is_not_taken_for_a_slow_one() -> None:
    free = pace(None)
    free.take(60, 0.0)
    assert free.throttled(0.0, 0.05)
    assert free.rate == 600.0


def test_another_share_of_the_rate_keeps_what_was_learnt() -> None:
    limited = pace(100.0)
    limited.throttled(0.0, 0.0)
    limited.resize(50.0)
    assert limited.rate == 25.0
    limited.resize(None)
    assert (limited.rate, limited.level, limited.refused) == (None, None, 0.0)


def test_waits_grow_with_jitter_to_a_cap_and_begin_anew_after_success() -> None:
    backoff = Backoff(Patience(first=1.0, longest=30.0, first_refused=300.0, longest_refused=600.0), Random(1))
    waits = [backoff.wait() for _ in range(10)]
    assert 0.5 <= waits[0] <= 1.0
    assert 15.0 <= waits[-1] <= 30.0
    assert len(set(waits[5:])) > 1
    assert 225.0 <= backoff.refused() <= 300.0
    assert 450.0 <= backoff.refused() <= 600.0
    backoff.reset()
    assert backoff.wait() <= 1.0

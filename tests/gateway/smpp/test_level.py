"""The rate finds its level by itself, whatever the centre's way of throttling; simulated second by second."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.transports.smpp.level import Level
from gateway.transports.smpp.pace import Pace

#: Whether a centre takes what comes at this instant.
Centre = Callable[[float], bool]
_STEP = 0.002


class Run:
    """A route with always more to send than may go, to a centre of this kind, for so many seconds.

    `accepted` and `refused` count by the second in which the answer came.
    """

    def __init__(
        self, centre: Centre, seconds: int, *, rate: float | None = None, way: float = 0.002, window: int = 50
    ) -> None:
        self.pace = Pace(rate, Random(3))
        self.seconds = seconds
        self.accepted: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        answers: list[tuple[float, int, float, bool]] = []
        number = 0
        for step in range(int(seconds / _STEP)):
            now = step * _STEP
            while answers and answers[0][0] <= now:
                at, _, written, taken = heapq.heappop(answers)
                (self.accepted if taken else self.refused)[int(at)] += 1
                tell = self.pace.accepted if taken else self.pace.throttled
                tell(written, at)
            room = self.pace.room(now)
            wanted = window - len(answers)
            for _ in range(self.pace.take(wanted if room is None else min(wanted, room), now)):
                number += 1
                heapq.heappush(answers, (now + way, number, now, centre(now)))

    def accepted_after(self, begin: int) -> float:
        """Accepted a second, from this second on."""
        return sum(self.accepted[second] for second in range(begin, self.seconds)) / (self.seconds - begin)

    def refused_after(self, begin: int) -> float:
        """The share refused, from this second on."""
        refused = sum(self.refused[second] for second in range(begin, self.seconds))
        return refused / (refused + self.accepted_after(begin) * (self.seconds - begin))


def counting(allowed: int) -> Centre:
    """Takes so many in each second of its clock."""
    seen: Counter[int] = Counter()

    def takes(now: float) -> bool:
        seen[int(now)] += 1
        return seen[int(now)] <= allowed

    return takes


def bucket(allowed: float, burst: float) -> Centre:
    """A token bucket."""
    state = [0.0, burst]

    def takes(now: float) -> bool:
        state[1] = min(burst, state[1] + (now - state[0]) * allowed)
        state[0] = now
        if state[1] < 1:
            return False
        state[1] -= 1
        return True

    return takes


def by_chance(share: float, seed: int = 1) -> Centre:
    """Refuses this share of whatever comes."""
    chance = Random(seed)
    return lambda _now: chance.random() >= share


@pytest.mark.parametrize(
    ("allowed", "rate"), [(20, None), (100, None), (700, None), (100, 300.0), (95, 100.0), (10, 100.0), (2, 100.0)]
)
def test_a_centre_that_counts_each_second_is_used_nearly_in_full(allowed: int, rate: float | None) -> None:
    run = Run(counting(allowed), 60, rate=rate)
    assert run.accepted_after(10) >= 0.88 * allowed
    if allowed >= 10:
        assert run.refused_after(10) <= 0.15


@pytest.mark.parametrize(("allowed", "burst", "rate"), [(100, 10, None), (100, 100, 400.0), (30, 3, 100.0)])
def test_a_token_bucket_is_used_nearly_in_full(allowed: float, burst: float, rate: float | None) -> None:
    run = Run(bucket(allowed, burst), 60, rate=rate)
    assert run.accepted_after(10) >= 0.85 * allowed
    assert run.refused_after(10) <= 0.12


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("rate", "way", "window"), [(100.0, 0.002, 50), (1000.0, 0.002, 50), (300.0, 0.2, 100)])
def test_refusals_of_three_in_ten_by_chance_cost_three_in_ten(seed: int, rate: float, way: float, window: int) -> None:
    run = Run(by_chance(0.3, seed), 60, rate=rate, way=way, window=window)
    assert run.accepted_after(20) >= 0.75 * 0.7 * rate
    assert 0.2 < run.pace.refused < 0.4


def test_every_third_refused_costs_a_third_even_without_a_rate() -> None:
    turn = iter(range(10**7))
    run = Run(lambda _now: next(turn) % 10 >= 3, 60)
    assert run.accepted_after(10) >= 150


def test_both_a_limit_and_refusals_by_chance() -> None:
    limit, chance = counting(100), by_chance(0.3)
    run = Run(lambda now: chance(now) and limit(now), 60, rate=300.0)
    assert run.accepted_after(10) >= 50


def test_answers_that_take_five_seconds_do_not_drive_the_rate_down() -> None:
    run = Run(counting(50), 90, rate=100.0, way=5.0, window=1000)
    assert run.accepted_after(30) >= 0.6 * 50
    assert run.refused_after(30) <= 0.1


def test_a_route_recovers_after_a_centre_that_refused_everything_for_a_while() -> None:
    run = Run(lambda now: not 5 <= now < 9, 60, rate=100.0)
    assert sum(run.refused[second] for second in range(5, 9)) < 20, "a centre that refuses everything is hardly asked"
    assert min(run.accepted[second] for second in range(40, 60)) >= 99


def test_what_was_tolerated_is_forgotten_when_refusals_end() -> None:
    chance = by_chance(0.3)
    run = Run(lambda now: now > 20 or chance(now), 120, rate=100.0)
    assert run.pace.refused == 0.0
    assert (run.pace.rate, run.pace.level) == (100.0, None)


def test_a_limit_that_comes_down_is_followed_within_seconds() -> None:
    high, low = counting(100), counting(20)
    run = Run(lambda now: high(now) if now < 20 else low(now), 60, rate=100.0)
    assert run.refused_after(30) <= 0.15
    assert run.accepted_after(30) >= 17


@given(
    st.lists(st.tuples(st.floats(0, 0.5), st.booleans()), min_size=1, max_size=400),
    st.floats(1, 5000),
    st.booleans(),
)
@settings(max_examples=150)
def test_the_level_stays_between_its_floor_and_its_ceiling(
    answers: list[tuple[float, bool]], reached: float, limited: bool
) -> None:
    floor = reached / 10
    level = Level(reached, floor, reached if limited else None, 0.0)
    now = 0.0
    for wait, accepted in answers:
        before = level.rate
        now += wait
        level.answered(now, now, accepted=accepted)
        assert level.rate >= min(floor, before)
        assert 0.0 <= level.tolerance < 1.0
        if limited:
            assert level.rate <= reached
        if level.rate < before:
            assert level.rate >= before * 0.5 - 1e-9

"""How many requests an account may make: a bucket that fills as time goes by."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.console.rates import Rates


def test_a_second_s_worth_may_come_at_once_and_then_one_after_the_other() -> None:
    rates = Rates()
    assert [rates.wait(1, 2.0, 100.0) for _ in range(4)] == [0, 0, 0.5, 0.5]
    assert rates.wait(1, 2.0, 100.5) == 0
    assert rates.wait(1, 2.0, 100.5) > 0


def test_accounts_do_not_share() -> None:
    rates = Rates()
    assert rates.wait(1, 1.0, 0.0) == 0
    assert rates.wait(1, 1.0, 0.0) == 1
    assert rates.wait(2, 1.0, 0.0) == 0


def test_a_rate_below_one_lets_one_through() -> None:
    rates = Rates()
    assert rates.wait(1, 0.1, 0.0) == 0
    assert rates.wait(1, 0.1, 0.0) == 10
    assert rates.wait(1, 0.1, 10.0) == 0


@given(st.floats(0.1, 100), st.lists(st.floats(0, 5), max_size=200))
def test_no_more_get_through_than_the_rate_and_one_second_allow(rate: float, gaps: list[float]) -> None:
    rates, now, passed = Rates(), 0.0, 0
    for gap in gaps:
        now += gap
        wait = rates.wait(1, rate, now)
        assert wait >= 0
        passed += not wait
    assert passed <= max(rate, 1.0) + now * rate + 1e-6 * len(gaps)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_who_waits_as_long_as_he_is_told_gets_through(gaps: list[float]) -> None:
    rates, now = Rates(), 0.0
    for gap in gaps:
        now += gap
        if wait := rates.wait(1, 3.0, now):
            now += wait + 1e-9
            assert rates.wait(1, 3.0, now) == 0


def test_what_is_remembered_is_bounded() -> None:
    rates = Rates(most=100)
    for account in range(1000):
        rates.wait(account, 1.0, float(account))
    assert len(rates._buckets) == 100

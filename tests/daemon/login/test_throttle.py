"""Guessing passwords is slow, and nobody is locked out of his own desk by it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.throttle import Throttle

ATTACKER, DESK = "192.0.2.66", "192.0.2.1"


def fail(throttle: Throttle, times: int, *, peer: str = ATTACKER, account: object = 1, now: float = 0.0) -> list[float]:
    return [throttle.failed(peer, account, now) for _ in range(times)]


def test_answers_are_held_back_longer_and_longer() -> None:
    assert fail(Throttle(), 8) == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


def test_a_peer_that_fails_ten_times_waits_whatever_account_it_tries() -> None:
    throttle = Throttle()
    fail(throttle, 9)
    assert throttle.wait(ATTACKER, 2, 0.0) == 0
    fail(throttle, 1)
    assert throttle.wait(ATTACKER, 2, 0.0) == 90
    assert throttle.wait(ATTACKER, 2, 89.0) == pytest.approx(1)
    assert throttle.wait(ATTACKER, 2, 90.0) == 0
    assert throttle.wait(DESK, 1, 0.0) == 0


def test_an_account_that_is_tried_from_everywhere_waits_everywhere() -> None:
    throttle = Throttle()
    for n in range(20):
        fail(throttle, 1, peer=f"198.51.100.{n}")
    assert throttle.wait("203.0.113.1", 1, 0.0) > 0
    assert throttle.wait("203.0.113.1", 2, 0.0) == 0


def test_where_it_logged_in_before_an_account_does_not_wait_for_what_others_guess() -> None:
    throttle = Throttle()
    throttle.succeeded(DESK, 1)
    for n in range(40):
        fail(throttle, 1, peer=f"198.51.100.{n}")
    assert throttle.wait(DESK, 1, 0.0) == 0
    fail(throttle, 40, peer=DESK, account=2)
    assert throttle.wait(DESK, 1, 0.0) == 0
    assert throttle.wait(DESK, 3, 0.0) > 0


def test_a_known_desk_may_not_guess_for_ever() -> None:
    throttle = Throttle()
    throttle.succeeded(DESK, 1)
    fail(throttle, 10, peer=DESK)
    assert throttle.wait(DESK, 1, 0.0) == 90
    throttle.succeeded(DESK, 1)
    assert throttle.wait(DESK, 1, 0.0) == 0


def test_an_attacker_with_an_account_of_his_own_does_not_begin_anew() -> None:
    throttle = Throttle()
    for account in range(10):
        fail(throttle, 1, account=account)
        throttle.succeeded(ATTACKER, "his own")
    assert throttle.wait(ATTACKER, 5, 0.0) > 0


def test_tries_side_by_side_make_the_wait_longer_but_not_endless() -> None:
    throttle = Throttle()
    fail(throttle, 12)
    assert throttle.wait(ATTACKER, 2, 0.0) == 270
    fail(throttle, 1000)
    assert throttle.wait(ATTACKER, 2, 0.0) == 990


def test_an_ipv6_network_of_64_bits_is_one_peer() -> None:
    throttle = Throttle()
    for n in range(10):
        fail(throttle, 1, peer=f"2001:db8::{n:x}", account=n)
    assert throttle.wait("2001:db8::ffff", "new", 0.0) > 0
    assert throttle.wait("2001:db8:0:1::1", "new", 0.0) == 0


def test_peers_without_an_address_are_one() -> None:
    throttle = Throttle()
    fail(throttle, 10, peer="unix")
    assert throttle.wait("unix", 2, 0.0) > 0


def test_memory_is_bounded_and_the_quietest_is_forgotten_first() -> None:
    throttle = Throttle(most=100)
    for n in range(1000):
        throttle.failed(f"peer {n}", n, float(n))
        throttle.succeeded(f"peer {n}", n)
        throttle.failed(f"peer {n}", n, float(n))
    assert len(throttle) <= 400
    fail(throttle, 10, peer="peer 950", now=1000.0, account="x")
    assert throttle.wait("peer 950", "y", 1000.0) > 0


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([1, 2]), st.floats(0, 500), st.booleans()), max_size=200
    )
)
def test_no_peer_guesses_faster_than_the_leak(tries: list[tuple[str, int, float, bool]]) -> None:
    """Whatever the order, one peer gets no more than ten tries, and then one more every 90 seconds."""
    throttle, now = Throttle(), 0.0
    allowed = {"a": 0, "b": 0}
    for peer, account, pause, _ in tries:
        now += pause
        if not throttle.wait(peer, account, now):
            allowed[peer] += 1
            throttle.failed(peer, account, now)
    assert max(allowed.values()) <= 10 + now / 90 + 1e-6


@pytest.mark.parametrize("now", [0.0, 1e9])
def test_any_clock_that_goes_forward_will_do(now: float) -> None:
    throttle = Throttle()
    fail(throttle, 10, now=now)
    assert throttle.wait(ATTACKER, 1, now) == pytest.approx(90)

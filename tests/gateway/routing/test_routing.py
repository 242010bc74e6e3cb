"""Which route a number takes, and what is said of the others."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import routing
from gateway.draft import route_for
from gateway.failure import RefusedError
from gateway.message import Channel
from gateway.routing import Route

SMS = frozenset({Channel.SMS})
NUMBERS = [f"+3247{n:07}" for n in range(4000)]


def route(name: str, *prefixes: str, **changes: object) -> Route:
    return replace(Route(name, SMS, "smpp", prefixes=prefixes or ("+",)), **changes)  # type: ignore[arg-type]


def taken(*routes: Route, number: str = "+32475123456", channel: Channel = Channel.SMS) -> str | None:
    found = routing.choose(routes, channel, number)
    considered = routing.consider(routes, channel, number)
    assert {one.route.name for one in considered if one.taken} == ({found.name} if found else set())
    assert len(considered) == len(routes)
    assert all(one.why for one in considered)
    return found.name if found else None


def why(*routes: Route, name: str, number: str = "+32475123456") -> str:
    return next(one.why for one in routing.consider(routes, Channel.SMS, number) if one.route.name == name)


def shares(*routes: Route) -> dict[str, float]:
    counted = Counter(routing.choose(routes, Channel.SMS, number).name for number in NUMBERS)  # type: ignore[union-attr]
    return {name: count / len(NUMBERS) for name, count in counted.items()}


def test_the_longest_prefix_wins_whatever_the_weights() -> None:
    wide, narrow = route("wide", "+", "+3", weight=1000), route("narrow", "+324", weight=1)
    assert taken(wide, narrow) == taken(narrow, wide) == "narrow"
    assert taken(wide, narrow, number="+33612345678") == "wide"
    assert why(wide, narrow, name="wide") == "narrow has a longer prefix, +324"
    assert why(wide, narrow, name="narrow") == "its prefix +324 is the longest that fits"


def test_a_refused_prefix_is_refused_unless_a_longer_one_is_taken() -> None:
    all_but = route("all but", "+", "+3247", not_prefixes=("+1", "+32", "+324799"))
    assert taken(all_but, number="+32475123456") == "all but"
    assert taken(all_but, number="+32479912345") is None
    assert why(all_but, name="all but", number="+14155550123") == "it refuses numbers beginning with +1"
    assert why(route("france", "+33"), name="france") == "none of its prefixes (+33) fits"


def test_what_cannot_send_is_not_taken() -> None:
    ears, mail = route("ears", bind="receiver"), route("mail", channels=frozenset({Channel.EMAIL}))
    assert taken(ears, mail) is None
    assert why(ears, mail, name="ears") == "it only receives (bind = receiver)"
    assert why(ears, mail, name="mail") == "it does not carry sms"
    with pytest.raises(RefusedError, match="ears: it only receives"):
        route_for([ears, mail], Channel.SMS, "+32475123456")


def test_equal_prefixes_share_the_numbers_by_their_weights() -> None:
    found = shares(route("a", weight=3), route("b", weight=1))
    assert 0.71 < found["a"] < 0.79
    found = shares(route("a"), route("b"), route("c", weight=2))
    assert 0.22 < found["a"] < 0.28
    assert 0.46 < found["c"] < 0.54


def test_a_number_keeps_its_route_and_a_new_route_takes_only_its_share() -> None:
    two = [route("a"), route("b")]
    before = {number: routing.choose(two, Channel.SMS, number).name for number in NUMBERS}  # type: ignore[union-attr]
    assert before == {n: routing.choose(two[::-1], Channel.SMS, n).name for n in NUMBERS}  # type: ignore[union-attr]
    three = [*two, route("c")]
    after = {number: routing.choose(three, Channel.SMS, number).name for number in NUMBERS}  # type: ignore[union-attr]
    assert {after[number] for number in NUMBERS if after[number] != before[number]} == {"c"}


def test_a_route_of_weight_0_takes_what_no_other_takes() -> None:
    main, spare = route("main", not_prefixes=("+3247512",)), route("spare", weight=0)
    assert shares(route("main"), spare) == {"main": 1.0}
    assert why(route("main"), spare, name="spare").startswith("its weight is 0: it takes only what no other")
    assert taken(main, spare) == "spare"
    assert taken(route("main", ailing="no answer"), spare) == "spare"


def test_one_that_has_long_been_down_comes_after_those_of_equal_prefix_only() -> None:
    down = route("down", weight=1000, ailing="cannot reach 192.0.2.1:2775: Connection refused")
    up = route("up", weight=1)
    assert taken(down, up) == "up"
    assert why(down, up, name="down") == (
        "it has long been down (cannot reach 192.0.2.1:2775: Connection refused), and up is up"
    )
    longer = route("longer", "+324", ailing="refused")
    assert taken(longer, up) == "longer"
    assert "though it has long been down (refused)" in why(longer, up, name="longer")
    assert routing.able([down, up], Channel.SMS, "+32475123456") == [up, down]


def test_health_is_no_part_of_what_a_route_is() -> None:
    one = route("one")
    (ill,) = routing.with_health([one], {"one": "no answer", "two": "refused"})
    assert ill == one
    assert ill.ailing == "no answer"
    assert routing.with_health([ill], {})[0].ailing == ""


@given(
    st.lists(
        st.builds(
            lambda n, prefixes, refused, weight, ailing: route(
                n, *prefixes, not_prefixes=tuple(refused), weight=weight, ailing=ailing
            ),
            st.sampled_from("abcdef"),
            st.lists(st.sampled_from(["+", "+3", "+32", "+324", "+33", "+1"]), min_size=1, max_size=3),
            st.lists(st.sampled_from(["+3", "+32", "+3247", "+1"]), max_size=2),
            st.integers(0, 5),
            st.sampled_from(["", "down"]),
        ),
        max_size=6,
        unique_by=lambda one: one.name,
    ),
    st.sampled_from(["+32475123456", "+33612345678", "+14155550123", "+4915112345678"]),
)
def test_whatever_the_routes_one_at_most_is_taken_and_none_is_better(routes: list[Route], number: str) -> None:
    considered = routing.consider(routes, Channel.SMS, number)
    assert sorted(one.route.name for one in considered) == sorted(one.name for one in routes)
    assert [one.taken for one in considered[1:]] == [False] * len(considered[1:])
    able = routing.able(routes, Channel.SMS, number)
    assert [one.route.name for one in considered if one.taken] == [one.name for one in able[:1]]

    def longest(one: Route) -> int:
        return max(len(prefix) for prefix in one.prefixes if number.startswith(prefix))

    for better, worse in pairwise(able):
        assert (-longest(better), bool(better.ailing)) <= (-longest(worse), bool(worse.ailing))

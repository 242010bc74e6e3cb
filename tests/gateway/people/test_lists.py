"""Lists: no loops, nobody twice, a hundred thousand members."""

from __future__ import annotations

import contextlib
import threading
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from gateway import contacts, lists
from gateway.failure import RefusedError
from gateway.store import schema


def reached(office: Any, owner: int, name: str) -> list[str]:
    return [
        leaf.number or leaf.address or (leaf.contact.name if leaf.contact else "?")
        for leaf in office.leaves(owner, name)
    ]


def test_a_list_holds_contacts_numbers_addresses_and_lists(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "Jean Dupont", "0475123456")
    office.list(ann, "friends", "jean.dupont", "0475 00 00 01", "+32475000001", "a@Example.org", "a@example.org")
    office.list(ann, "All of us", "list:friends", "+32 475 00 00 02", "Jean Dupont")
    assert reached(office, ann, "all.of.us") == ["+32475000002", "Jean Dupont", "+32475000001", "a@example.org"]
    assert [leaf.list for leaf in office.leaves(ann, "ALL_OF-US")] == ["All of us", "All of us", "friends", "friends"]


@pytest.mark.parametrize(
    ("member", "why"),
    [
        ("Nobody", "there is no contact and no list Nobody"),
        ("list:nobody", "there is no list nobody"),
        ("contact:friends", "there is no contact friends"),
        ("0475 12", "too short"),
        ("a@b@c", "no e-mail address"),
        ("Both", "Both is a list and a contact: write list:Both or contact:Both"),
    ],
)
def test_a_member_that_cannot_be_one_is_named_and_nothing_is_added(office: Any, member: str, why: str) -> None:
    ann = office.account()
    office.contact(ann, "Both", "0475123456")
    office.list(ann, "friends", "0475000001")
    office.list(ann, "both")
    with pytest.raises(RefusedError, match=why):
        office.list(ann, "friends", "0475000002", member)
    assert reached(office, ann, "friends") == ["+32475000001"]


@pytest.mark.parametrize("name", ["postmaster", "Verdict", "a@b", "0475123456", ""])
def test_what_an_address_means_otherwise_cannot_be_a_list(office: Any, name: str) -> None:
    with pytest.raises(RefusedError):
        office.list(office.account(), name, "0475000001")


def test_a_loop_is_refused_showing_the_way_round(office: Any) -> None:
    ann = office.account()
    office.list(ann, "a")
    office.list(ann, "b", "list:a")
    office.list(ann, "c", "list:b", "0475000001")
    with pytest.raises(RefusedError, match="a list cannot contain itself: a > c > b > a"):
        office.list(ann, "a", "list:c")
    with pytest.raises(RefusedError, match="a list cannot contain itself: a > a"):
        office.list(ann, "a", "list:a")
    assert reached(office, ann, "a") == []


def test_a_loop_that_is_there_all_the_same_ends(office: Any) -> None:
    ann = office.account()
    one, two = office.list(ann, "one", "0475000001"), office.list(ann, "two", "0475000002", "list:one")
    row = {"list_id": one, "identity": f"list:{two}", "place": 9, "kind": "list", "child_id": two}
    office.store.run_now(lambda connection: connection.execute(insert(schema.list_member), row))
    assert sorted(reached(office, ann, "one")) == ["+32475000001", "+32475000002"]


def test_the_lists_of_another_account_are_not_there(office: Any) -> None:
    ann, bob = office.account("ann"), office.account("bob")
    office.list(ann, "friends", "0475000001")
    with pytest.raises(RefusedError, match="there is no list friends"):
        office.leaves(bob, "friends")
    with pytest.raises(RefusedError, match="there is no list"):
        office.list(bob, "mine", "list:friends")


def test_members_are_replaced_and_removed(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "Jean", "0475123456")
    office.list(ann, "friends", "Jean", "0475000001")

    def change(verb: Any, *members: str) -> None:
        office.store.run_now(lambda connection: verb(connection, ann, "friends", members, region="BE"))

    change(lists.remove_members, "+32475000001")
    assert reached(office, ann, "friends") == ["Jean"]
    with pytest.raises(RefusedError, match="0475000009 is no member of friends"):
        change(lists.remove_members, "Jean", "0475000009")
    assert reached(office, ann, "friends") == ["Jean"]
    change(lists.replace_members, "0475000003", "0475000002")
    assert reached(office, ann, "friends") == ["+32475000003", "+32475000002"]


def test_an_erased_list_or_contact_leaves_the_lists_it_was_on(office: Any) -> None:
    ann = office.account()
    office.contact(ann, "Jean", "0475123456")
    office.list(ann, "inner", "0475000001")
    office.list(ann, "outer", "list:inner", "Jean")
    office.store.run_now(lambda connection: lists.remove(connection, ann, "inner"))
    office.store.run_now(lambda c: contacts.remove(c, contacts.find(c, ann, "Jean")))
    assert reached(office, ann, "outer") == []
    assert [one.name for one in office.store.read_now(lambda c: lists.everything(c, ann))] == ["outer"]


def test_two_halves_of_a_loop_made_at_once_are_never_both_there(office: Any) -> None:
    ann = office.account()
    office.list(ann, "a")
    office.list(ann, "b")
    start = threading.Barrier(2)
    refused: list[str] = []

    def add(name: str, member: str) -> None:
        start.wait()
        try:
            office.list(ann, name, member)
        except RefusedError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=add, args=pair) for pair in (("a", "list:b"), ("b", "list:a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 1


def test_the_same_list_made_twice_at_once_is_one(office: Any) -> None:
    ann = office.account()
    start = threading.Barrier(3)

    def add(number: str) -> None:
        start.wait()
        office.list(ann, "friends", number)

    threads = [threading.Thread(target=add, args=(f"047500000{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reached(office, ann, "friends")) == ["+32475000000", "+32475000001", "+32475000002"]


def test_a_hundred_thousand_members_are_evaluated_in_seconds_and_no_more_are_taken(office: Any) -> None:
    ann = office.account()
    big = office.list(ann, "big")
    rows = [
        {
            "list_id": big,
            "identity": f"+3247{n:07}",
            "place": n,
            "kind": "number",
            "address": f"+3247{n:07}",
            "sms": True,
        }
        for n in range(lists.MOST)
    ]
    office.store.run_now(lambda connection: connection.execute(insert(schema.list_member), rows))
    began = time.monotonic()
    assert len(office.leaves(ann, "big")) == lists.MOST
    assert time.monotonic() - began < 30
    with pytest.raises(RefusedError, match="100,000 members at most"):
        office.list(ann, "big", "+447400123456")


# Any graph ------------------------------------------------------------------------------------------------------------

EDGES = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=40)


@given(EDGES)
def test_every_list_within_is_met_once_whatever_the_graph(edges: list[tuple[int, int]]) -> None:
    graph: dict[int, list[int]] = {}
    for holder, child in edges:
        graph.setdefault(holder, []).append(child)
    for start in range(8):
        met = lists.reach(graph, start)
        assert len(met) == len(set(met))
        assert met[0] == start
        assert set(met) == {goal for goal in range(8) if lists.way_to(graph, start, goal) is not None}


@given(EDGES)
def test_a_way_is_a_way(edges: list[tuple[int, int]]) -> None:
    graph: dict[int, list[int]] = {}
    for holder, child in edges:
        graph.setdefault(holder, []).append(child)
    way = lists.way_to(graph, 0, 7)
    if way is not None:
        assert (way[0], way[-1]) == (0, 7)
        assert all(after in graph[before] for before, after in pairwise(way))


@settings(max_examples=15, deadline=None)
@given(edges=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=14))
def test_whatever_is_added_to_what_no_list_ever_contains_itself(
    fresh_office: Any, edges: list[tuple[int, int]]
) -> None:
    office = fresh_office()
    ann = office.account()
    for n in range(5):
        office.list(ann, f"l{n}", f"047500000{n}")
    for holder, child in edges:
        with contextlib.suppress(RefusedError):
            office.list(ann, f"l{holder}", f"list:l{child}")
    graph = office.store.read_now(lambda connection: lists.graph_of(connection, ann))
    assert all(lists.way_to(graph, child, holder) is None for holder, some in graph.items() for child in some)
    for n in range(5):
        numbers = [leaf.number for leaf in office.leaves(ann, f"l{n}")]
        assert len(numbers) == len(set(numbers))

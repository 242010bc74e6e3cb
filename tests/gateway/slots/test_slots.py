"""A route's connections, leased among the nodes that work on it: fair, never more than there are, taken over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update

from gateway import presence, slots
from gateway.presence import Report
from gateway.slots import Share, Wish
from gateway.store import schema
from gateway.store.store import Store


@pytest.mark.parametrize(
    ("binds", "nodes", "shares"),
    [(1, 1, [1]), (1, 3, [1, 0, 0]), (3, 2, [2, 1]), (4, 3, [2, 1, 1]), (4, 2, [2, 2]), (2, 3, [1, 1, 0])],
)
def test_shares_are_fair_and_add_up(binds: int, nodes: int, shares: list[int]) -> None:
    assert [slots.share_of(binds, range(10, 10 + nodes), 10 + n) for n in range(nodes)] == shares


class Nodes:
    """Nodes of one route that say now and then that they live, and open what they are granted at once."""

    def __init__(self, store: Store, binds: int) -> None:
        self.store = store
        self.binds = binds
        self.open: dict[int, int] = {}

    def join(self) -> int:
        def work(connection: Connection) -> int:
            number = self.store.identifiers.take(connection, 1)[0]
            presence.return_as(connection, number)
            presence.beat(connection, number, [Report("route", "operator", "up", presence.clock(connection))])
            return number

        number = self.store.run_now(work)
        self.open[number] = 0
        return number

    def look(self, node: int, *, open_: int | None = None) -> Share:
        wishes = {"operator": Wish(self.binds, self.open[node] if open_ is None else open_)}
        shares = self.store.read_now(lambda connection: slots.look(connection, node, wishes))
        if shares is None:
            shares = self.store.run_now(lambda connection: slots.allot(connection, node, wishes))
        share = shares["operator"]
        self.open[node] = share.connections
        assert sum(self.open.values()) <= self.binds
        return share

    def die(self, node: int) -> None:
        """Its heart stopped as long ago as a lease lasts."""

        def work(connection: Connection) -> None:
            long_ago = presence.clock(connection) - timedelta(seconds=presence.LEASE + 1)
            connection.execute(update(schema.node).where(schema.node.c.id == node).values(beat=long_ago))

        self.store.run_now(work)
        del self.open[node]

    def rows(self) -> list[Any]:
        return list(self.store.read_now(lambda connection: connection.execute(select(schema.slot)).all()))


@pytest.fixture
def nodes(store: Store) -> Callable[[int], Nodes]:
    return lambda binds: Nodes(store, binds)


def test_one_node_has_them_all(nodes: Callable[[int], Nodes]) -> None:
    all_ = nodes(3)
    assert all_.look(all_.join()) == Share(3, 3)


def test_a_second_node_gets_its_share_once_the_first_has_closed_it(nodes: Callable[[int], Nodes]) -> None:
    all_ = nodes(3)
    first = all_.join()
    all_.look(first)
    second = all_.join()
    assert all_.look(second).connections == 0
    assert all_.look(first).connections == 2  # told to close one; it is still open
    assert all_.look(second).connections == 0
    assert all_.look(first, open_=2).connections == 2
    assert all_.look(second).connections == 1
    assert all_.look(first).connections == 2


def test_with_fewer_slots_than_nodes_the_others_say_who_has_them(nodes: Callable[[int], Nodes]) -> None:
    all_ = nodes(1)
    first, second = all_.join(), all_.join()
    assert all_.look(first) == Share(1, 1)
    share = all_.look(second)
    assert share.connections == 0
    assert share.why.startswith("another daemon (")
    assert share.why.endswith(") holds its connections")


def test_the_slots_of_a_dead_node_are_taken_over(nodes: Callable[[int], Nodes]) -> None:
    all_ = nodes(2)
    first = all_.join()
    all_.look(first)
    second = all_.join()
    all_.look(second)
    all_.die(first)
    assert all_.look(second) == Share(2, 2)
    assert {row.node for row in all_.rows()} == {second}


def test_who_was_taken_for_dead_has_nothing_until_it_begins_anew(store: Store, nodes: Callable[[int], Nodes]) -> None:
    all_ = nodes(1)
    first = all_.join()
    all_.look(first)
    second = all_.join()
    all_.die(first)
    assert all_.look(second).connections == 1
    all_.open[first] = 0
    share = all_.look(first)
    assert (share.connections, "taken for dead" in share.why) == (0, True)
    store.run_now(lambda connection: presence.return_as(connection, first))
    store.run_now(
        lambda connection: presence.beat(
            connection, first, [Report("route", "operator", "up", presence.clock(connection))]
        )
    )
    assert all_.look(first).connections == 0, "the slot is the second's until it is closed there"
    assert all_.look(second).connections == 0, "by number the first is the one with the greater share"
    all_.look(second, open_=0)
    assert all_.look(first).connections == 1


def test_a_route_that_went_leaves_no_slot_behind(store: Store, nodes: Callable[[int], Nodes]) -> None:
    all_ = nodes(1)
    node = all_.join()
    all_.look(node)
    assert store.read_now(lambda connection: slots.look(connection, node, {})) is None
    assert store.run_now(lambda connection: slots.allot(connection, node, {})) == {}
    assert all_.rows() == []


def test_two_that_want_the_same_slot_at_once_get_one(store: Store, nodes: Callable[[int], Nodes]) -> None:
    all_ = nodes(1)
    node = all_.join()
    values = {"route": "operator", "n": 1, "node": node, "since": presence.clock}

    def race(connection: Connection) -> None:
        connection.execute(insert(schema.slot).values({**values, "since": presence.clock(connection)}))
        slots._take(connection, "operator", 1, node + 1)

    store.run_now(race)
    assert [row.node for row in all_.rows()] == [node]

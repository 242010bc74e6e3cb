"""Slots: a route's connections, leased among the daemons that share a store.

A route has as many slots as `binds` says. Each is a row, held by one node as long as its heart beats; a slot carries
its share of the route's rate. Shares are fair: every node that works on the route gets the same, the first ones, by
number, one more where it does not divide. A node gives a slot up only after its connection is closed, so that there
are never more connections than `binds`; those of a dead node are free as soon as it is taken for dead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from gateway import presence
from gateway.store import schema

_slot, _component = schema.slot, schema.component


@dataclass(frozen=True, slots=True)
class Wish:
    """A route this node works on: its slots in all, and how many connections this node has open, or is closing."""

    binds: int
    open: int


@dataclass(frozen=True, slots=True)
class Share:
    """How many slots of a route this node has, of how many; `why` is a clause for `status` where it has none."""

    connections: int
    binds: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class _State:
    """One route as the rows have it."""

    wish: Wish
    target: int
    mine: Sequence[int]
    holders: Mapping[int, int]

    @property
    def free(self) -> list[int]:
        return [n for n in range(1, self.wish.binds + 1) if n not in self.holders]

    @property
    def settled(self) -> bool:
        missing = len(self.mine) < self.target and bool(self.free)
        return not missing and not (len(self.mine) > self.target and self.wish.open <= self.target)


def share_of(binds: int, nodes: Sequence[int], node: int) -> int:
    """How many of the slots are this node's, when all of these work on the route."""
    whole, rest = divmod(binds, len(nodes))
    return whole + (sorted(nodes).index(node) < rest)


def look(connection: Connection, node: int, wishes: Mapping[str, Wish]) -> dict[str, Share] | None:
    """This node's shares, where nothing has to be changed; None where `allot` has something to do. Looks only."""
    living = presence.alive_nodes(connection)
    rows = connection.execute(select(_slot)).all()
    if node not in living or any(row.node not in living for row in rows):
        return None
    if any(row.node == node and row.route not in wishes for row in rows):
        return None
    states = _states(connection, node, wishes, rows, living)
    return _shares(states, living) if all(state.settled for state in states.values()) else None


def allot(connection: Connection, node: int, wishes: Mapping[str, Wish]) -> dict[str, Share]:
    """Take and give up slots, and say which this node has; none at all where others took it for dead."""
    presence.alive(connection)
    living = presence.alive_nodes(connection)
    if node not in living:
        return {
            name: Share(0, wish.binds, "this daemon was taken for dead, and begins anew")
            for name, wish in wishes.items()
        }
    rows = connection.execute(select(_slot).order_by(_slot.c.route, _slot.c.n).with_for_update()).all()
    connection.execute(delete(_slot).where(_slot.c.node == node, _slot.c.route.not_in(sorted(wishes))))
    states = _states(connection, node, wishes, rows, living)
    for name in sorted(states):
        state = states[name]
        for n in state.free[: max(0, state.target - len(state.mine))]:
            _take(connection, name, n, node)
        surplus = state.mine[state.target :]
        if surplus and state.wish.open <= state.target:
            connection.execute(delete(_slot).where(_slot.c.route == name, _slot.c.node == node, _slot.c.n.in_(surplus)))
    rows = connection.execute(select(_slot)).all()
    return _shares(_states(connection, node, wishes, rows, living), living)


def _take(connection: Connection, route: str, n: int, node: int) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    values = {"route": route, "n": n, "node": node, "since": presence.clock(connection)}
    connection.execute(dialect.insert(_slot).values(values).on_conflict_do_nothing())


def _states(
    connection: Connection, node: int, wishes: Mapping[str, Wish], rows: Sequence[Any], living: Mapping[int, str]
) -> dict[str, _State]:
    working: dict[str, set[int]] = {name: {node} for name in wishes}
    said = select(_component.c.name, _component.c.node).where(_component.c.kind == "route")
    for row in connection.execute(said):
        if row.name in working and row.node in living:
            working[row.name].add(row.node)
    states = {}
    for name, wish in wishes.items():
        holders = {row.n: row.node for row in rows if row.route == name and row.node in living}
        mine = sorted(n for n, holder in holders.items() if holder == node)
        states[name] = _State(wish, share_of(wish.binds, sorted(working[name]), node), mine, holders)
    return states


def _shares(states: Mapping[str, _State], living: Mapping[int, str]) -> dict[str, Share]:
    shares = {}
    for name, state in states.items():
        others = sorted({living[holder] for holder in state.holders.values() if holder in living})
        why = f"another daemon ({', '.join(others)}) holds its connections" if others else "it waits for its turn"
        connections = min(state.target, len(state.mine))
        shares[name] = Share(connections, state.wish.binds, "" if connections else why)
    return shares

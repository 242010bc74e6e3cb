"""Segments routed anew: those of a route that is no more, and those that wait on one that has long been down."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from gateway import claims, held, routing, settlement
from gateway.draft import route_for
from gateway.failure import RefusedError
from gateway.message import Channel, State
from gateway.routing import Route
from gateway.store import schema

_segment = schema.segment


@dataclass(frozen=True, slots=True)
class Moved:
    """How many segments were moved, and how many ended because nothing else takes their number."""

    moved: int
    failed: int


def reroute(connection: Connection, routes: Sequence[Route], now: datetime) -> Moved:
    """Move what waits on vanished routes, one transaction's worth; call again until it moves nothing.

    The segments stay as they were cut, and are charged as they were reserved.
    """
    rows = connection.execute(
        select(
            _segment.c.id,
            _segment.c.state,
            _segment.c.channel,
            _segment.c.address,
            _segment.c.account_id,
            _segment.c.urgent,
            _segment.c.rank,
        )
        .where(claims.EXPIRING, _segment.c.route.not_in([route.name for route in routes]))
        .order_by(_segment.c.expires)  # the partial index's order: by any other SQLite reads the whole table
        .limit(claims.MOST)
        .with_for_update(skip_locked=True)
    ).all()
    moved: dict[int, str] = {}
    for row in rows:
        with contextlib.suppress(RefusedError):
            moved[row.id] = route_for(routes, Channel(row.channel), row.address).name
    if moved:
        connection.execute(
            update(_segment).where(_segment.c.id == bindparam("segment")).values(route=bindparam("to_route")),
            [{"segment": key, "to_route": route} for key, route in moved.items()],
        )
    ready = [row.id for row in rows if row.id in moved and row.rank is not None]
    again = select(_segment.c.id, _segment.c.route, _segment.c.account_id, _segment.c.urgent)
    claims.give_turns(connection, connection.execute(again.where(_segment.c.id.in_(ready))).all())
    hopeless = [row.id for row in rows if row.id not in moved]
    settlement.end(connection, hopeless, State.FAILED, now, "its route is gone, and no other takes its number")
    return Moved(len(moved), len(hopeless))


# What waits on a route that has long been down -----------------------------------------------------------------------

_STUCK = (
    select(_segment.c.id, _segment.c.delivery_id, _segment.c.message_id)
    .where(
        claims.QUEUED,
        _segment.c.rank.is_not(None),
        _segment.c.route == bindparam("on_route"),
    )
    .order_by(_segment.c.rank, _segment.c.id)
    .limit(bindparam("at_most"))
)
_DELIVERIES = (
    select(_segment)
    .where(
        _segment.c.message_id.in_(bindparam("messages", expanding=True)),
        _segment.c.delivery_id.in_(bindparam("deliveries", expanding=True)),
    )
    .order_by(_segment.c.id)
    .with_for_update(skip_locked=True)
)
_BUSY = (
    select(_segment.c.id)
    .where(claims.QUEUED, _segment.c.rank.is_not(None), _segment.c.route == bindparam("on_route"))
    .limit(claims.MOST)
)
_MOVE = update(_segment).where(_segment.c.id == bindparam("segment")).values(route=bindparam("to_route"))


def relieve(connection: Connection, routes: Sequence[Route], up: Collection[str], now: datetime) -> dict[str, int]:
    """Move what waits on ailing routes over others that are up; how many segments each of those got.

    Only whole deliveries go that nothing was said of yet, as they were cut, to a route that costs no more; they are
    charged as they were reserved. No route is given more than it has room for in one claim, so that the rest can still
    go its own way when that comes back.
    """
    well = [route for route in routes if route.name in up and not route.ailing]
    room = {route.name: _room(connection, route.name) for route in well}
    given: dict[str, int] = {}
    for ailing in (route for route in routes if route.ailing):
        most = max(room.values(), default=0)
        if most > 0:
            for name, count in _relieve(connection, ailing, well, room, most, now).items():
                given[name] = given.get(name, 0) + count
    return given


def _room(connection: Connection, route: str) -> int:
    return claims.MOST - len(connection.execute(_BUSY, {"on_route": route}).all())


def _relieve(
    connection: Connection, ailing: Route, well: Sequence[Route], room: dict[str, int], most: int, now: datetime
) -> dict[str, int]:
    stuck = connection.execute(_STUCK, {"on_route": ailing.name, "at_most": most}).all()
    if not stuck:
        return {}
    values = {
        "messages": sorted({row.message_id for row in stuck}),
        "deliveries": sorted({row.delivery_id for row in stuck}),
    }
    deliveries: dict[int, list[Any]] = {}
    for row in connection.execute(_DELIVERIES, values):
        deliveries.setdefault(row.delivery_id, []).append(row)
    holds = held.current(connection, sorted({rows[0].account_id for rows in deliveries.values()}))
    moved: dict[int, str] = {}
    events: list[dict[str, Any]] = []
    for rows in deliveries.values():
        route = _instead(rows, ailing, well, room, holds)
        if route is not None:
            room[route.name] -= len(rows)
            moved.update((row.id, route.name) for row in rows)
            detail = f"route {ailing.name} has long been down: by route {route.name} now"
            events += [
                {"message_id": row.message_id, "segment_id": row.id, "at": now, "what": "queued", "detail": detail}
                for row in rows
            ]
    if not moved:
        return {}
    connection.execute(_MOVE, [{"segment": key, "to_route": moved[key]} for key in sorted(moved)])
    connection.execute(insert(schema.event), events)
    again = select(_segment.c.id, _segment.c.route, _segment.c.account_id, _segment.c.urgent)
    ids = sorted(moved)
    claims.give_turns(connection, connection.execute(again.where(_segment.c.id.in_(ids)).order_by(_segment.c.rank)))
    return dict(Counter(moved.values()))


def _instead(
    rows: Sequence[Any], ailing: Route, well: Sequence[Route], room: Mapping[str, int], holds: held.Holds
) -> Route | None:
    """The route a delivery may go by instead, all of it or nothing; None where there is none."""
    first = rows[0]
    untouched = all(
        row.state == State.QUEUED and row.rank is not None and row.route == ailing.name and not row.resent
        for row in rows
    )
    if not untouched or len(rows) != first.parts:
        return None
    for route in routing.able(well, Channel(first.channel), first.address):
        fits = route.transport == ailing.transport and (first.concat != "payload" or route.concat == "payload")
        held = holds.why(route.name, first.account_id, first.message_id) is not None
        if fits and not held and room[route.name] >= len(rows) and route.units(first.address) <= first.units:
            return route
    return None

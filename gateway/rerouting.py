"""Segments of a route that is no more, routed anew: after a reload, or a start with another configuration."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from gateway import claims, settlement
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

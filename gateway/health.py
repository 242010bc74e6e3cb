"""How the routes are, as all daemons on a store say: which are up, and which have been down for so long that others
are rather taken.

What a route's own daemon says of a moment's break is nothing: links come back by themselves within seconds. Only after
`LONG` a route is ailing, and only if no other daemon has it up. It is well again the moment one of its links is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from gateway import presence, routing
from gateway.routing import Route
from gateway.store import schema

#: How long a route has to be down before others are taken in its place.
LONG = timedelta(seconds=30)

_UP = frozenset({"up", "throttled"})
_DOWN = frozenset({"down", "refused"})
_node, _component = schema.node, schema.component


@dataclass(frozen=True, slots=True)
class Health:
    """The routes that some daemon has up, and those that have long been down, each with the reason."""

    up: frozenset[str] = frozenset()
    ailing: Mapping[str, str] = field(default_factory=dict)


def judge(reports: Iterable[Any], now: datetime) -> Health:
    """The health of all routes, from what living daemons say of them (each has name, state, since, why)."""
    up: set[str] = set()
    saved: set[str] = set()
    down: dict[str, Any] = {}
    for report in reports:
        if report.state in _UP:
            up.add(report.name)
        elif report.state in _DOWN:
            if now - report.since >= LONG:
                down.setdefault(report.name, report)
            else:
                saved.add(report.name)
    return Health(
        frozenset(up),
        {name: _why(report) for name, report in sorted(down.items()) if name not in up and name not in saved},
    )


def look(connection: Connection) -> Health:
    """The health of all routes by the rows; one small query."""
    now = presence.clock(connection)
    said = (
        select(_component.c.name, _component.c.state, _component.c.since, _component.c.why)
        .join(_node, _node.c.id == _component.c.node)
        .where(_component.c.kind == "route", _node.c.beat >= now - timedelta(seconds=presence.LEASE))
        .order_by(_component.c.name, _component.c.node)
    )
    return judge(connection.execute(said), now)


def known(connection: Connection, routes: Sequence[Route]) -> list[Route]:
    """These routes, each with what is known of its health."""
    return routing.with_health(routes, look(connection).ailing)


def _why(report: Any) -> str:
    """The reason without what changes from try to try."""
    why: str = report.why.partition("; trying again")[0]
    return why or report.state

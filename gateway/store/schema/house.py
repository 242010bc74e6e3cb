"""The house: identifiers, nodes, what they hold and how it is."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, String, Text

from gateway.store.schema.base import Instant, Key, table

counter = table(
    "counter",  # SQLite's identifiers; PostgreSQL has a sequence
    Column("name", String, primary_key=True),
    Column("next", BigInteger, nullable=False),
)

node = table(
    "node",
    Column("id", Key, primary_key=True, autoincrement=False),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Instant, nullable=False),
    Column("beat", Instant, nullable=False, index=True),
)

slot = table(
    "slot",  # a connection of a route, leased by the node that has it as long as its heart beats
    Column("route", String, primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),  # from 1 to the route's `binds`
    Column("node", Key, nullable=False),
    Column("since", Instant, nullable=False),
)

component = table(
    "component",  # how each route, watcher, calendar and listener is; what `tocsin status` reads
    Column("kind", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("node", Key, primary_key=True, autoincrement=False),
    Column("state", String, nullable=False),
    Column("since", Instant, nullable=False),
    Column("why", Text, nullable=False, default=""),
    Column("rate", Text, nullable=False, default=""),
    Column("beat", Instant, nullable=False),
)

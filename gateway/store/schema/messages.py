"""What is to be said, to whom, and whose turn it is. The segment row is the queue."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    literal_column,
    select,
    union_all,
)

from gateway.store.schema.base import Instant, Key, keyed, partial, table

message = table(
    "message",
    Column("id", Key, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, nullable=False),
    Column("origin", String, nullable=False),
    Column("created", Instant, nullable=False),
    Column("subject", Text, nullable=False, default=""),
    Column("text", Text, nullable=False),
    Column("at", Instant),  # when it was asked to leave, where that is later than created
    Column("expires", Instant, nullable=False),
    Column("urgent", Boolean, nullable=False, default=False),
    Column("automatic", Boolean, nullable=False, default=False),  # nothing ever answers it
    Column("report_to", String),  # the envelope sender
    Column("dsn", Text),  # RFC 3461 parameters, JSON
    Column("recipients", Integer, nullable=False),  # how many deliveries there are, or will be
    Index(None, "account_id", "id"),
)

seen = keyed(
    "seen",  # the keys of invariant I3
    Column("account_id", Key, primary_key=True, autoincrement=False),
    Column("key", LargeBinary, primary_key=True),
    Column("message_id", BigInteger, nullable=False),
    Column("content", LargeBinary),  # what an idempotency key was first used for, SHA-256
    Column("created", Instant, nullable=False, index=True),
)

delivery = table(
    "delivery",
    Column("id", Key, primary_key=True, autoincrement=False),
    Column("message_id", BigInteger, nullable=False),
    Column("channel", String, nullable=False),
    Column("address", String, nullable=False),
    Column("name", String, nullable=False, default=""),  # as it was written, where that was not the address
    Column("told", String),  # what its sender was told of it for good: failed, relayed
    UniqueConstraint("message_id", "channel", "address"),
)

chunk = table(
    "chunk",  # what is not yet expanded of a long list of recipients
    Column("message_id", Key, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, nullable=False),
    Column("rank", BigInteger, nullable=False),
    Column("units", BigInteger, nullable=False),
    Column("allotment", BigInteger, nullable=False),
    Column("period", Instant),
    Column("recipients", Text, nullable=False),  # JSON: [[channel, address, name, route, price], ...]
    Index(None, "rank", "message_id"),
)


def _segment_columns() -> list[Column[Any]]:
    return [
        Column("id", Key, primary_key=True, autoincrement=False),
        Column("delivery_id", BigInteger, nullable=False),
        Column("message_id", BigInteger, nullable=False),
        Column("account_id", BigInteger, nullable=False),
        Column("n", Integer, nullable=False),  # from 1
        Column("parts", Integer, nullable=False),
        Column("channel", String, nullable=False),
        Column("address", String, nullable=False),
        Column("route", String, nullable=False),
        Column("state", String, nullable=False),
        Column("rank", BigInteger),  # its turn; none while it waits for `due`
        Column("due", Instant),
        Column("expires", Instant, nullable=False),
        Column("attempts", Integer, nullable=False, default=0),
        Column("payload", LargeBinary),
        Column("data_coding", Integer, nullable=False, default=0),
        Column("udhi", Boolean, nullable=False, default=False),
        Column("concat", String, nullable=False, default=""),  # udh8, udh16, sar, payload; empty for one part
        Column("reference", Integer),  # what ties the parts together
        Column("units", Integer, nullable=False),
        Column("allotment", Integer, nullable=False),  # of `units`, drawn from the period that starts at `period`
        Column("period", Instant),
        Column("urgent", Boolean, nullable=False, default=False),
        Column("resent", Boolean, nullable=False, default=False),
        Column("node", BigInteger),  # who is submitting it
        Column("submitted", Instant),
        Column("peer_id", String),  # as the operator wrote it
        Column("peer_key", String),  # folded, to be found by (gateway.peer_ids)
        Column("finished", Instant),
    ]


segment = table(
    "segment",
    *_segment_columns(),
    Index("ix_segment_message_id", "message_id", "delivery_id", "n"),
)

#: Segments that are over, out of the queue's way (gateway.history). They come back for a receipt that changes them.
past = table(
    "past",
    *_segment_columns(),
    Index("ix_past_message_id", "message_id", "delivery_id", "n"),
)
partial("ix_past_peer_key", past.c.peer_key, where=past.c.peer_key.is_not(None))

#: Every segment there is, for who tells of messages. Conditions go through to both tables' indexes.
ever = union_all(select(segment), select(past)).subquery("ever")

_QUEUED = segment.c.state == "queued"


partial(
    "ix_segment_ready",
    segment.c.route,
    segment.c.rank,
    segment.c.id,
    where=_QUEUED & segment.c.rank.is_not(None),
)
partial("ix_segment_waiting", segment.c.due, where=_QUEUED & segment.c.rank.is_(None))
partial("ix_segment_expiring", segment.c.expires, where=segment.c.state.in_(["queued", "held"]))
partial("ix_segment_submitting", segment.c.node, where=segment.c.state == "submitting")
partial("ix_segment_unknown", segment.c.due, where=segment.c.state == "unknown")
partial("ix_segment_peer_key", segment.c.peer_key, where=segment.c.peer_key.is_not(None))
partial("ix_segment_unknown_address", segment.c.address, where=segment.c.state == "unknown")

partial("ix_segment_asked", segment.c.due, where=(segment.c.state == "accepted") & segment.c.due.is_not(None))

#: The first parts of long messages that a handset may still be putting together.
LONG_UNDER_WAY = (
    segment.c.reference.is_not(None)
    & (segment.c.n == literal_column("1"))
    & segment.c.state.in_([literal_column(f"'{s}'") for s in ("queued", "held", "submitting", "unknown", "accepted")])
)
partial("ix_segment_long", segment.c.address, where=LONG_UNDER_WAY)

#: Whose turn it is: the last rank given to an account's segments on a route, apart for its urgent ones.
share = keyed(
    "share",
    Column("route", String, primary_key=True),
    Column("account_id", Key, primary_key=True, autoincrement=False),
    Column("urgent", Boolean, primary_key=True),
    Column("rank", BigInteger, nullable=False),
)

#: How far a route's queue has come: the greatest rank ever claimed on it.
turn = keyed(
    "turn",
    Column("route", String, primary_key=True),
    Column("rank", BigInteger, nullable=False),
)

#: What the operator holds: a route's or an account's segments, those to come too.
hold = table(
    "hold",
    Column("kind", String, primary_key=True),  # route, account
    Column("name", String, primary_key=True),
    Column("since", Instant, nullable=False),
)

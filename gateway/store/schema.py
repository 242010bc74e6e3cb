"""The tables. The segment row is the queue; everything else says who, what, and what it cost.

Instants are stored as microseconds since 1970 UTC (`Instant`), the same on both databases. The hot tables (message,
delivery, segment, attempt, ledger) carry no foreign keys: their rows are made and settled by the thousand, always in
one transaction with what they point at.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An aware instant, kept as whole microseconds since 1970-01-01T00:00Z."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: SQLite gives a rowid only to INTEGER PRIMARY KEY, PostgreSQL wants 64 bits.
Key = BigInteger().with_variant(Integer, "sqlite")


def _table(name: str, *items: Any) -> Table:
    return Table(name, metadata, *items)


# Who -----------------------------------------------------------------------------------------------------------------

plan = _table(
    "plan",
    Column("id", Key, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("monthly", Integer, nullable=False),
    CheckConstraint("monthly >= 0", name="not_negative"),
)

account = _table(
    "account",
    Column("id", Key, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("plan_id", ForeignKey("plan.id")),
    Column("mobile", String),  # E.164
    Column("zone", String, nullable=False),  # IANA name
    Column("region", String),  # ISO 3166-1 alpha-2, for numbers written nationally
    Column("language", String, nullable=False, default="en"),
    Column("max_parts", Integer, nullable=False, default=6),
    Column("signature", Text, nullable=False, default=""),
    Column("text", String, nullable=False, default="body"),  # body, subject, both
    Column("transliterate", Boolean, nullable=False, default=True),
    Column("cap_hour", Integer, nullable=False, default=5),
    Column("cap_day", Integer, nullable=False, default=20),
    Column("password", String),  # argon2id
    Column("created", Instant, nullable=False),
)

address = _table(
    "address",
    Column("address", String, primary_key=True),  # lower case
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("place", Integer, nullable=False),  # the first is where reports go
)

token = _table(
    "token",
    Column("id", Key, primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String, nullable=False, default=""),
    Column("digest", LargeBinary, nullable=False, unique=True),  # SHA-256 of the token
    Column("created", Instant, nullable=False),
    Column("revoked", Instant),
)

# Credit --------------------------------------------------------------------------------------------------------------

provision = _table(
    "provision",
    Column("account_id", Key, primary_key=True, autoincrement=False),
    Column("bought", BigInteger, nullable=False, default=0),
    Column("used", BigInteger, nullable=False, default=0),
    Column("reserved", BigInteger, nullable=False, default=0),
    Column("current", Instant),  # the newest period's start
    CheckConstraint("used >= 0 AND reserved >= 0 AND used + reserved <= bought", name="never_below_zero"),
)

period = _table(
    "period",
    Column("account_id", Key, primary_key=True, autoincrement=False),
    Column("starts", Instant, primary_key=True),
    Column("ends", Instant, nullable=False),
    Column("granted", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False, default=0),
    Column("reserved", BigInteger, nullable=False, default=0),
    Column("lapsed", BigInteger, nullable=False, default=0),
    CheckConstraint(
        "used >= 0 AND reserved >= 0 AND lapsed >= 0 AND used + reserved + lapsed <= granted", name="never_below_zero"
    ),
)

ledger = _table(
    "ledger",
    Column("id", Key, primary_key=True),
    Column("account_id", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("kind", String, nullable=False),  # grant, reserve, return, lapse, charge
    Column("pot", String, nullable=False),  # allotment, provision
    Column("units", BigInteger, nullable=False),  # signed
    Column("message_id", BigInteger),
    Column("reason", String, nullable=False, default=""),
    Index(None, "account_id", "id"),
    Index("ix_ledger_message_id", "message_id"),
)

# What ----------------------------------------------------------------------------------------------------------------

message = _table(
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

seen = _table(
    "seen",  # the keys of invariant I3
    Column("account_id", Key, primary_key=True, autoincrement=False),
    Column("key", LargeBinary, primary_key=True),
    Column("message_id", BigInteger, nullable=False),
    Column("content", LargeBinary),  # what an idempotency key was first used for, SHA-256
    Column("created", Instant, nullable=False, index=True),
)

delivery = _table(
    "delivery",
    Column("id", Key, primary_key=True, autoincrement=False),
    Column("message_id", BigInteger, nullable=False),
    Column("channel", String, nullable=False),
    Column("address", String, nullable=False),
    Column("name", String, nullable=False, default=""),  # as it was written, where that was not the address
    Column("told", String),  # what its sender was told of it for good: failed, relayed
    UniqueConstraint("message_id", "channel", "address"),
)

chunk = _table(
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

segment = _table(
    "segment",
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
    Index("ix_segment_message_id", "message_id", "delivery_id", "n"),
)

_QUEUED = segment.c.state == "queued"


def _partial(name: str, *columns: Column[Any], where: Any) -> None:
    Index(name, *columns, sqlite_where=where, postgresql_where=where)


_partial(
    "ix_segment_ready",
    segment.c.route,
    segment.c.rank,
    segment.c.id,
    where=_QUEUED & segment.c.rank.is_not(None),
)
_partial("ix_segment_waiting", segment.c.due, where=_QUEUED & segment.c.rank.is_(None))
_partial("ix_segment_expiring", segment.c.expires, where=segment.c.state.in_(["queued", "held"]))
_partial("ix_segment_submitting", segment.c.node, where=segment.c.state == "submitting")
_partial("ix_segment_unknown", segment.c.due, where=segment.c.state == "unknown")
_partial("ix_segment_peer_key", segment.c.route, segment.c.peer_key, where=segment.c.peer_key.is_not(None))
_partial("ix_segment_unknown_address", segment.c.address, where=segment.c.state == "unknown")

_partial("ix_segment_asked", segment.c.due, where=(segment.c.state == "accepted") & segment.c.due.is_not(None))

#: The first parts of long messages that a handset may still be putting together.
LONG_UNDER_WAY = (
    segment.c.reference.is_not(None)
    & (segment.c.n == literal_column("1"))
    & segment.c.state.in_([literal_column(f"'{s}'") for s in ("queued", "held", "submitting", "unknown", "accepted")])
)
_partial("ix_segment_long", segment.c.address, where=LONG_UNDER_WAY)

#: Whose turn it is: the last rank given to an account's segments on a route, apart for its urgent ones.
share = _table(
    "share",
    Column("route", String, primary_key=True),
    Column("account_id", Key, primary_key=True, autoincrement=False),
    Column("urgent", Boolean, primary_key=True),
    Column("rank", BigInteger, nullable=False),
)

#: How far a route's queue has come: the greatest rank ever claimed on it.
turn = _table(
    "turn",
    Column("route", String, primary_key=True),
    Column("rank", BigInteger, nullable=False),
)

#: What the operator holds: a route's or an account's segments, those to come too.
hold = _table(
    "hold",
    Column("kind", String, primary_key=True),  # route, account
    Column("name", String, primary_key=True),
    Column("since", Instant, nullable=False),
)

# What became of it ---------------------------------------------------------------------------------------------------

attempt = _table(
    "attempt",
    Column("segment_id", Key, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("answered", Instant),
    Column("route", String, nullable=False),
    Column("result", String, nullable=False),
    Column("code", String, nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
)

receipt = _table(
    "receipt",
    Column("id", Key, primary_key=True),
    Column("at", Instant, nullable=False, index=True),
    Column("route", String, nullable=False),
    Column("peer_id", String, nullable=False),
    Column("peer_key", String, nullable=False),
    Column("address", String, nullable=False),
    Column("sender", String, nullable=False, default=""),
    Column("state", String, nullable=False),
    Column("error", String, nullable=False, default=""),
    Column("submitted", String, nullable=False, default=""),
    Column("done", String, nullable=False, default=""),
    Column("segment_id", BigInteger),  # none: an orphan, kept to be matched later
)
_partial("ix_receipt_orphan", receipt.c.peer_key, where=receipt.c.segment_id.is_(None))
_partial("ix_receipt_segment_id", receipt.c.segment_id, where=receipt.c.segment_id.is_not(None))

incoming = _table(
    "incoming",
    Column("id", Key, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("route", String, nullable=False),
    Column("sender", String, nullable=False),
    Column("address", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("data_coding", Integer, nullable=False),
    Column("esm_class", Integer, nullable=False),
)

event = _table(
    "event",  # what the other rows do not tell of a message's way
    Column("id", Key, primary_key=True),
    Column("message_id", BigInteger, nullable=False, index=True),
    Column("segment_id", BigInteger),
    Column("at", Instant, nullable=False),
    Column("what", String, nullable=False),
    Column("detail", Text, nullable=False, default=""),
)

owed = _table(
    "owed",  # messages whose sender is to be told what became of them, once all of it is settled
    Column("message_id", Key, primary_key=True, autoincrement=False),
    Column("since", Instant, nullable=False),
    Column("delay", Instant),  # when to tell him that something has not left yet
)

# The house -----------------------------------------------------------------------------------------------------------

counter = _table(
    "counter",  # SQLite's identifiers; PostgreSQL has a sequence
    Column("name", String, primary_key=True),
    Column("next", BigInteger, nullable=False),
)

node = _table(
    "node",
    Column("id", Key, primary_key=True, autoincrement=False),
    Column("host", String, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Instant, nullable=False),
    Column("beat", Instant, nullable=False, index=True),
)

slot = _table(
    "slot",  # a connection of a route, leased by the node that has it as long as its heart beats
    Column("route", String, primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),  # from 1 to the route's `binds`
    Column("node", Key, nullable=False),
    Column("since", Instant, nullable=False),
)

component = _table(
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

"""What became of it: attempts, receipts, what came in, what else is told."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Text

from gateway.store.schema.base import Instant, Key, keyed, partial, table

attempt = keyed(
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

receipt = table(
    "receipt",
    Column("id", Key, primary_key=True),
    Column("at", Instant, nullable=False),
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
partial("ix_receipt_orphan", receipt.c.peer_key, where=receipt.c.segment_id.is_(None))
partial("ix_receipt_segment_id", receipt.c.segment_id, where=receipt.c.segment_id.is_not(None))

incoming = table(
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

event = table(
    "event",  # what the other rows do not tell of a message's way
    Column("id", Key, primary_key=True),
    Column("message_id", BigInteger, nullable=False, index=True),
    Column("segment_id", BigInteger),
    Column("at", Instant, nullable=False),
    Column("what", String, nullable=False),
    Column("detail", Text, nullable=False, default=""),
)

owed = table(
    "owed",  # messages whose sender is to be told what became of them, once all of it is settled
    Column("message_id", Key, primary_key=True, autoincrement=False),
    Column("since", Instant, nullable=False),
    Column("delay", Instant),  # when to tell him that something has not left yet
)

"""Credit: provision, periods of allotment, the ledger."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, String

from gateway.store.schema.base import Instant, Key, table

provision = table(
    "provision",
    Column("account_id", Key, primary_key=True, autoincrement=False),
    Column("bought", BigInteger, nullable=False, default=0),
    Column("used", BigInteger, nullable=False, default=0),
    Column("reserved", BigInteger, nullable=False, default=0),
    Column("current", Instant),  # the newest period's start
    CheckConstraint("used >= 0 AND reserved >= 0 AND used + reserved <= bought", name="never_below_zero"),
)

period = table(
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

ledger = table(
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

"""Who: plans, accounts, their addresses and tokens."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Integer, LargeBinary, String, Text

from gateway.store.schema.base import Instant, Key, table

plan = table(
    "plan",
    Column("id", Key, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("monthly", Integer, nullable=False),
    CheckConstraint("monthly >= 0", name="not_negative"),
)

account = table(
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

address = table(
    "address",
    Column("address", String, primary_key=True),  # lower case
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("place", Integer, nullable=False),  # the first is where reports go
)

token = table(
    "token",
    Column("id", Key, primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String, nullable=False, default=""),
    Column("digest", LargeBinary, nullable=False, unique=True),  # SHA-256 of the token
    Column("created", Instant, nullable=False),
    Column("revoked", Instant),
)

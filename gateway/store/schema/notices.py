"""What an account's filters are, what they decided to say of its mails, and what of that still waits."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    literal_column,
)

from gateway.store.schema.base import Instant, Key, partial, table

filters = table(
    "filter",
    Column("id", Key, primary_key=True, autoincrement=False),  # never used again: notices are known by it
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("place", Integer, nullable=False),  # the lowest is asked first
    Column("enabled", Boolean, nullable=False, default=True),
    Column("kind", String, nullable=False),  # json, sieve
    Column("source", Text, nullable=False),  # as its owner wrote it
    Column("created", Instant, nullable=False),
    Column("changed", Instant, nullable=False),
    Index(None, "account_id", "place"),
)

notifying = table(
    "notifying",  # how an account is told of mails, and how that stands; the lock of its filters and notices
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False, default=0),  # rises with every change of its filters and settings
    Column("new_mail", Boolean, nullable=False, default=False),  # tell of every new mail that no filter tells of
    Column("quiet", String),  # hours in which nothing is told, 22:00-07:00
    Column("due", Instant),  # when something that waits is to be looked at, at the latest
    Column("burst_since", Instant),  # of what is gathered while mails come in quick succession: the first,
    Column("burst_last", Instant),  # the last,
    Column("burst_mails", Integer, nullable=False, default=0),  # and how many
    Column("broke", Instant),  # since when credit is missing; its owner was told then
)
partial("ix_notifying_due", notifying.c.due, where=notifying.c.due.is_not(None))

notice = table(
    "notice",  # what a filter decided to say of a mail, and what became of it; its key is that of invariant I3
    Column("id", Key, primary_key=True, autoincrement=False),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("mail", LargeBinary, nullable=False),  # gateway.identity
    Column("filter_id", BigInteger, nullable=False),  # 0: that new mail has come
    Column("name", Text, nullable=False),  # the filter's, as it was
    Column("at", Instant, nullable=False),
    Column("sender", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("state", String, nullable=False),  # gateway.pacing.State
    Column("why", Text, nullable=False, default=""),
    Column("due", Instant),
    Column("say", Text, nullable=False),  # JSON: what to say to whom, while it waits
    Column("trace", Text, nullable=False),  # JSON: every hit and miss
    UniqueConstraint("account_id", "mail", "filter_id"),
    Index(None, "account_id", "id"),
    Index(None, "at"),
)

#: The notices that wait for a better moment.
WAITING = notice.c.state.in_([literal_column(f"'{s}'") for s in ("held", "gathered", "capped", "limited", "unpaid")])
partial("ix_notice_waiting", notice.c.account_id, notice.c.state, notice.c.filter_id, where=WAITING)

told = table(
    "told",  # which messages told of which notices
    Column("notice_id", ForeignKey("notice.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("message_id", BigInteger, primary_key=True, autoincrement=False, index=True),
)

spoken = table(
    "spoken",  # when an account (filter 0) or a filter with a limit of its own was last heard of
    Column("id", Key, primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("filter_id", BigInteger, nullable=False),
    Column("at", Instant, nullable=False, index=True),
    Index(None, "account_id", "filter_id", "at"),
)

duplicate = table(
    "duplicate",  # what Sieve's test of that name remembers (RFC 7352)
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("key", LargeBinary, primary_key=True),
    Column("expires", Instant, nullable=False, index=True),
)

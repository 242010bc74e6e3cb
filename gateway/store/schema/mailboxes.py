"""Watched mailboxes, and how far each of their folders was read."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, String, Text, UniqueConstraint

from gateway.store.schema.base import Instant, Key, table

mailbox = table(
    "mailbox",
    Column("id", Key, primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),  # within its account
    Column("host", String, nullable=False),
    Column("port", Integer, nullable=False),
    Column("tls", String, nullable=False),  # implicit, starttls, none
    Column("auth", String, nullable=False),  # login, plain, xoauth2, oauthbearer
    Column("user", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # the password, or what OAuth tokens are got with (gateway.vault)
    Column("created", Instant, nullable=False),
    Column("node", BigInteger, index=True),  # who watches it
    Column("taken", BigInteger, nullable=False, default=0),  # how often it was taken: fences off who had it before
    Column("state", String, nullable=False),
    Column("since", Instant, nullable=False),
    Column("why", Text, nullable=False, default=""),
    Column("refusals", Integer, nullable=False, default=0),  # of its credentials, since they were last good
    Column("again", Instant),  # not before then: its credentials were refused
    Column("told", Boolean, nullable=False, default=False),  # its owner knows that they are refused
    UniqueConstraint("account_id", "name"),
)

folder = table(
    "folder",
    Column("mailbox_id", ForeignKey("mailbox.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("uidvalidity", BigInteger),  # none: it was never looked into
    Column("uidnext", BigInteger),  # the first UID that has not been looked at
    Column("checked", Instant),  # the last time all there was had been looked at, by the mail server's clock
)

arrived = table(
    "arrived",  # the mails that were looked at in a mailbox: known again after UIDVALIDITY has changed
    Column("mailbox_id", ForeignKey("mailbox.id", ondelete="CASCADE"), primary_key=True),
    Column("identity", LargeBinary, primary_key=True),  # SHA-256
    Column("at", Instant, nullable=False, index=True),
)

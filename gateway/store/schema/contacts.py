"""Whom accounts know: groups, contacts with their numbers and addresses, lists, and who wants nothing sent."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, String, Text, UniqueConstraint

from gateway.store.schema.base import Instant, Key, table

group = table(
    "group",  # accounts that share a book of contacts
    Column("id", Key, primary_key=True),
    Column("name", String, nullable=False),
    Column("fold", String, nullable=False, unique=True),  # gateway.names.fold
    Column("created", Instant, nullable=False),
)

member = table(
    "member",
    Column("group_id", ForeignKey("group.id", ondelete="CASCADE"), primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, index=True),
)

contact = table(
    "contact",  # of an account's private book, or of a group's
    Column("id", Key, primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE")),
    Column("group_id", ForeignKey("group.id", ondelete="CASCADE")),
    Column("uid", String, nullable=False),  # a vCard's UID, or our own
    Column("name", Text, nullable=False),
    Column("fold", String, nullable=False),
    Column("card", Text, nullable=False, default=""),  # content lines of its vCard that we only keep
    Column("created", Instant, nullable=False),
    Column("changed", Instant, nullable=False),
    CheckConstraint("(account_id IS NULL) <> (group_id IS NULL)", name="one_book"),
    UniqueConstraint("account_id", "uid"),
    UniqueConstraint("group_id", "uid"),
    Index(None, "account_id", "fold"),
    Index(None, "group_id", "fold"),
)

telephone = table(
    "telephone",
    Column("contact_id", ForeignKey("contact.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),  # the preferred first
    Column("kind", String, nullable=False),  # mobile, home, work, fax, other
    Column("written", Text, nullable=False),
    Column("e164", String),  # none where no numbering plan has it
    Column("sms", Boolean, nullable=False),  # whether it serves for SMS
)

contact_address = table(
    "contact_address",
    Column("contact_id", ForeignKey("contact.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False, default=""),  # home, work or nothing
    Column("address", Text, nullable=False),
)

recipient_list = table(
    "recipient_list",
    Column("id", Key, primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("fold", String, nullable=False),
    Column("created", Instant, nullable=False),
    UniqueConstraint("account_id", "fold"),
)

list_member = table(
    "list_member",
    Column("list_id", ForeignKey("recipient_list.id", ondelete="CASCADE"), primary_key=True),
    Column("identity", String, primary_key=True),  # contact:7, list:7, a number, an address in lower case
    Column("place", Integer, nullable=False),
    Column("kind", String, nullable=False),  # contact, list, number, address
    Column("contact_id", ForeignKey("contact.id", ondelete="CASCADE"), index=True),
    Column("child_id", ForeignKey("recipient_list.id", ondelete="CASCADE"), index=True),
    Column("address", Text),  # of a number or an address
    Column("sms", Boolean, nullable=False, default=False),  # of a number: whether it can get an SMS
    Index(None, "list_id", "place"),
)

optout = table(
    "optout",  # who wants nothing sent: by one account, or (account 0) by anybody
    Column("account_id", Key, primary_key=True, autoincrement=False),
    Column("address", String, primary_key=True),  # E.164, or an e-mail address in lower case
    Column("reason", Text, nullable=False, default=""),
    Column("at", Instant, nullable=False),
)

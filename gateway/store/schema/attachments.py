"""What goes along with a message's e-mails, and what tells that they are ours."""

from __future__ import annotations

from sqlalchemy import Column, Integer, LargeBinary, String

from gateway.store.schema.base import Key, table

attachment = table(
    "attachment",  # once for a message, however many get it; read only when its mails leave
    Column("message_id", Key, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),  # from 1
    Column("name", String, nullable=False),
    Column("type", String, nullable=False),
    Column("size", Integer, nullable=False),  # of the file, in octets
    Column("part", LargeBinary, nullable=False),  # the whole body part as it goes out (RFC 2045)
)

postmark = table(
    "postmark",  # what the marks of our mails are made with, so that nobody makes one up
    Column("id", Integer, primary_key=True, autoincrement=False),  # 1: there is one
    Column("key", LargeBinary, nullable=False),
)

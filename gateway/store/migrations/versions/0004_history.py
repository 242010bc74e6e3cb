"""What is over leaves the queue; tables with a key of their own are one tree on SQLite.

Revision: 0004, after 0003
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _history()
    _receipts()
    if op.get_bind().dialect.name == "sqlite":
        for name, (columns, key) in _keyed().items():
            _rebuild(name, columns, key)
        op.create_index("ix_seen_created", "seen", ["created"])


def _history() -> None:
    op.create_table(
        "past",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=True),
        sa.Column("due", sa.BigInteger(), nullable=True),
        sa.Column("expires", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.Column("data_coding", sa.Integer(), nullable=False),
        sa.Column("udhi", sa.Boolean(), nullable=False),
        sa.Column("concat", sa.String(), nullable=False),
        sa.Column("reference", sa.Integer(), nullable=True),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("allotment", sa.Integer(), nullable=False),
        sa.Column("period", sa.BigInteger(), nullable=True),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("resent", sa.Boolean(), nullable=False),
        sa.Column("node", sa.BigInteger(), nullable=True),
        sa.Column("submitted", sa.BigInteger(), nullable=True),
        sa.Column("peer_id", sa.String(), nullable=True),
        sa.Column("peer_key", sa.String(), nullable=True),
        sa.Column("finished", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_past")),
    )
    op.create_index("ix_past_message_id", "past", ["message_id", "delivery_id", "n"])
    told = sa.text("peer_key IS NOT NULL")
    op.create_index("ix_past_peer_key", "past", ["peer_key"], sqlite_where=told, postgresql_where=told)


def _receipts() -> None:
    """They are looked for by the id alone, which is enough, and by nothing else."""
    op.drop_index("ix_segment_peer_key", "segment")
    told = sa.text("peer_key IS NOT NULL")
    op.create_index("ix_segment_peer_key", "segment", ["peer_key"], sqlite_where=told, postgresql_where=told)
    op.drop_index(op.f("ix_receipt_at"), "receipt")


def _keyed() -> dict[str, tuple[list[sa.Column[Any]], tuple[str, ...]]]:
    return {
        "attempt": (
            [
                sa.Column("segment_id", KEY, autoincrement=False, nullable=False),
                sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
                sa.Column("at", sa.BigInteger(), nullable=False),
                sa.Column("answered", sa.BigInteger(), nullable=True),
                sa.Column("route", sa.String(), nullable=False),
                sa.Column("result", sa.String(), nullable=False),
                sa.Column("code", sa.String(), nullable=False),
                sa.Column("detail", sa.Text(), nullable=False),
            ],
            ("segment_id", "n"),
        ),
        "seen": (
            [
                sa.Column("account_id", KEY, autoincrement=False, nullable=False),
                sa.Column("key", sa.LargeBinary(), nullable=False),
                sa.Column("message_id", sa.BigInteger(), nullable=False),
                sa.Column("content", sa.LargeBinary(), nullable=True),
                sa.Column("created", sa.BigInteger(), nullable=False),
            ],
            ("account_id", "key"),
        ),
        "share": (
            [
                sa.Column("route", sa.String(), nullable=False),
                sa.Column("account_id", KEY, autoincrement=False, nullable=False),
                sa.Column("urgent", sa.Boolean(), nullable=False),
                sa.Column("rank", sa.BigInteger(), nullable=False),
            ],
            ("route", "account_id", "urgent"),
        ),
        "turn": (
            [sa.Column("route", sa.String(), nullable=False), sa.Column("rank", sa.BigInteger(), nullable=False)],
            ("route",),
        ),
    }


def _rebuild(name: str, columns: list[sa.Column[Any]], key: tuple[str, ...]) -> None:
    """The same table without rowids: the only way is a new one."""
    old = f"{name}_before_0004"
    names = ", ".join(f'"{column.name}"' for column in columns)
    in_order = ", ".join(f'"{column}"' for column in key)
    op.rename_table(name, old)
    constraint = sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}"))
    op.create_table(name, *columns, constraint, sqlite_with_rowid=False)
    copy = f'INSERT INTO "{name}" ({names}) SELECT {names} FROM "{old}" ORDER BY {in_order}'  # noqa: S608
    op.execute(copy)
    op.drop_table(old)

"""Filters, notices, caps and what waits for a summary.

Revision: 0006, after 0005
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _filters()
    _notices()
    _memory()


def _column(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def _owner(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_account_id_account")
    return sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=name, ondelete="CASCADE")


def _filters() -> None:
    op.create_table(
        "filter",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        _column("account_id", KEY),
        _column("name", sa.Text()),
        _column("place", sa.Integer()),
        _column("enabled", sa.Boolean()),
        _column("kind", sa.String()),
        _column("source", sa.Text()),
        _column("created", sa.BigInteger()),
        _column("changed", sa.BigInteger()),
        _owner("filter"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_filter")),
    )
    op.create_index(op.f("ix_filter_account_id_place"), "filter", ["account_id", "place"])
    op.create_table(
        "notifying",
        sa.Column("account_id", KEY, autoincrement=False, nullable=False),
        _column("version", sa.BigInteger()),
        _column("new_mail", sa.Boolean()),
        sa.Column("quiet", sa.String(), nullable=True),
        sa.Column("due", sa.BigInteger(), nullable=True),
        sa.Column("burst_since", sa.BigInteger(), nullable=True),
        sa.Column("burst_last", sa.BigInteger(), nullable=True),
        _column("burst_mails", sa.Integer()),
        sa.Column("broke", sa.BigInteger(), nullable=True),
        _owner("notifying"),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_notifying")),
    )
    some = sa.text("due IS NOT NULL")
    op.create_index("ix_notifying_due", "notifying", ["due"], sqlite_where=some, postgresql_where=some)


def _notices() -> None:
    op.create_table(
        "notice",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        _column("account_id", KEY),
        _column("mail", sa.LargeBinary()),
        _column("filter_id", sa.BigInteger()),
        _column("name", sa.Text()),
        _column("at", sa.BigInteger()),
        _column("sender", sa.Text()),
        _column("subject", sa.Text()),
        _column("state", sa.String()),
        _column("why", sa.Text()),
        sa.Column("due", sa.BigInteger(), nullable=True),
        _column("say", sa.Text()),
        _column("trace", sa.Text()),
        _owner("notice"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("account_id", "mail", "filter_id", name=op.f("uq_notice_account_id_mail_filter_id")),
    )
    op.create_index(op.f("ix_notice_account_id_id"), "notice", ["account_id", "id"])
    op.create_index(op.f("ix_notice_at"), "notice", ["at"])
    op.create_index(
        "ix_notice_waiting",
        "notice",
        ["account_id", "state", "filter_id"],
        sqlite_where=sa.text("state IN ('held', 'gathered', 'capped', 'limited', 'unpaid')"),
        postgresql_where=sa.text("state IN ('held', 'gathered', 'capped', 'limited', 'unpaid')"),
    )
    op.create_table(
        "told",
        sa.Column("notice_id", KEY, autoincrement=False, nullable=False),
        sa.Column("message_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notice.id"], name=op.f("fk_told_notice_id_notice"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("notice_id", "message_id", name=op.f("pk_told")),
    )
    op.create_index(op.f("ix_told_message_id"), "told", ["message_id"])


def _memory() -> None:
    op.create_table(
        "spoken",
        _column("id", KEY),
        _column("account_id", KEY),
        _column("filter_id", sa.BigInteger()),
        _column("at", sa.BigInteger()),
        _owner("spoken"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spoken")),
    )
    op.create_index(op.f("ix_spoken_at"), "spoken", ["at"])
    op.create_index(op.f("ix_spoken_account_id_filter_id_at"), "spoken", ["account_id", "filter_id", "at"])
    op.create_table(
        "duplicate",
        sa.Column("account_id", KEY, autoincrement=False, nullable=False),
        _column("key", sa.LargeBinary()),
        _column("expires", sa.BigInteger()),
        _owner("duplicate"),
        sa.PrimaryKeyConstraint("account_id", "key", name=op.f("pk_duplicate")),
    )
    op.create_index(op.f("ix_duplicate_expires"), "duplicate", ["expires"])

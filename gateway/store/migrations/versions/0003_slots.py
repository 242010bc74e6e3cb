"""Slots of routes, leased among daemons; when an accepted segment is asked about.

Revision: 0003, after 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "slot",
        sa.Column("route", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("node", KEY, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("route", "n", name=op.f("pk_slot")),
    )
    asked = sa.text("state = 'accepted' AND due IS NOT NULL")
    op.create_index("ix_segment_asked", "segment", ["due"], sqlite_where=asked, postgresql_where=asked)

"""What senders asked to be told, and were.

Revision: 0002, after 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery", sa.Column("told", sa.String(), nullable=True))
    op.add_column("owed", sa.Column("delay", sa.BigInteger(), nullable=True))

"""Contacts, books, groups, lists and opt-outs.

Revision: 0005, after 0004
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _groups()
    _contacts()
    _lists()
    op.create_table(
        "optout",
        sa.Column("account_id", KEY, autoincrement=False, nullable=False),
        _text("address", sa.String()),
        _text("reason"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "address", name=op.f("pk_optout")),
    )


def _text(name: str, kind: Any = None) -> sa.Column[Any]:
    return sa.Column(name, kind or sa.Text(), nullable=False)


def _owned(table: str, column: str, owner: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}_{owner}")
    return sa.ForeignKeyConstraint([column], [f"{owner}.id"], name=name, ondelete="CASCADE")


def _groups() -> None:
    op.create_table(
        "group",
        sa.Column("id", KEY, nullable=False),
        _text("name", sa.String()),
        _text("fold", sa.String()),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_group")),
        sa.UniqueConstraint("fold", name=op.f("uq_group_fold")),
    )
    op.create_table(
        "member",
        sa.Column("group_id", KEY, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        _owned("member", "group_id", "group"),
        _owned("member", "account_id", "account"),
        sa.PrimaryKeyConstraint("group_id", "account_id", name=op.f("pk_member")),
    )
    op.create_index(op.f("ix_member_account_id"), "member", ["account_id"])


def _contacts() -> None:
    op.create_table(
        "contact",
        sa.Column("id", KEY, nullable=False),
        sa.Column("account_id", KEY),
        sa.Column("group_id", KEY),
        _text("uid", sa.String()),
        _text("name"),
        _text("fold", sa.String()),
        _text("card"),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("(account_id IS NULL) <> (group_id IS NULL)", name=op.f("ck_contact_one_book")),
        _owned("contact", "account_id", "account"),
        _owned("contact", "group_id", "group"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
        sa.UniqueConstraint("account_id", "uid", name=op.f("uq_contact_account_id_uid")),
        sa.UniqueConstraint("group_id", "uid", name=op.f("uq_contact_group_id_uid")),
    )
    op.create_index(op.f("ix_contact_account_id_fold"), "contact", ["account_id", "fold"])
    op.create_index(op.f("ix_contact_group_id_fold"), "contact", ["group_id", "fold"])
    op.create_table(
        "telephone",
        sa.Column("contact_id", KEY, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        _text("kind", sa.String()),
        _text("written"),
        sa.Column("e164", sa.String()),
        sa.Column("sms", sa.Boolean(), nullable=False),
        _owned("telephone", "contact_id", "contact"),
        sa.PrimaryKeyConstraint("contact_id", "place", name=op.f("pk_telephone")),
    )
    op.create_table(
        "contact_address",
        sa.Column("contact_id", KEY, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        _text("kind", sa.String()),
        _text("address"),
        _owned("contact_address", "contact_id", "contact"),
        sa.PrimaryKeyConstraint("contact_id", "place", name=op.f("pk_contact_address")),
    )


def _lists() -> None:
    op.create_table(
        "recipient_list",
        sa.Column("id", KEY, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        _text("name", sa.String()),
        _text("fold", sa.String()),
        sa.Column("created", sa.BigInteger(), nullable=False),
        _owned("recipient_list", "account_id", "account"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipient_list")),
        sa.UniqueConstraint("account_id", "fold", name=op.f("uq_recipient_list_account_id_fold")),
    )
    op.create_table(
        "list_member",
        sa.Column("list_id", KEY, nullable=False),
        _text("identity", sa.String()),
        sa.Column("place", sa.Integer(), nullable=False),
        _text("kind", sa.String()),
        sa.Column("contact_id", KEY),
        sa.Column("child_id", KEY),
        sa.Column("address", sa.Text()),
        sa.Column("sms", sa.Boolean(), nullable=False),
        _owned("list_member", "list_id", "recipient_list"),
        _owned("list_member", "contact_id", "contact"),
        _owned("list_member", "child_id", "recipient_list"),
        sa.PrimaryKeyConstraint("list_id", "identity", name=op.f("pk_list_member")),
    )
    op.create_index(op.f("ix_list_member_contact_id"), "list_member", ["contact_id"])
    op.create_index(op.f("ix_list_member_child_id"), "list_member", ["child_id"])
    op.create_index(op.f("ix_list_member_list_id_place"), "list_member", ["list_id", "place"])

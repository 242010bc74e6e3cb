"""What every table is made of: the metadata, instants, keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def stamp(at: datetime) -> int:
    """An aware instant as the database keeps it: whole microseconds since 1970-01-01T00:00Z."""
    return (at - _EPOCH) // _MICROSECOND


def from_stamp(kept: int) -> datetime:
    """The instant, from what the database keeps."""
    return _EPOCH + kept * _MICROSECOND


class Instant(TypeDecorator[datetime]):
    """An aware instant, kept as whole microseconds since 1970-01-01T00:00Z."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        return None if value is None else stamp(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else from_stamp(value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: SQLite gives a rowid only to INTEGER PRIMARY KEY, PostgreSQL wants 64 bits.
Key = BigInteger().with_variant(Integer, "sqlite")


def table(name: str, *items: Any) -> Table:
    """A table of this schema."""
    return Table(name, metadata, *items)


def keyed(name: str, *items: Any) -> Table:
    """A table that is kept in the order of its key: one tree on SQLite, where others have a second one for the key."""
    return Table(name, metadata, *items, sqlite_with_rowid=False)


def partial(name: str, *columns: Column[Any], where: Any) -> None:
    """An index of those rows only that `where` is true of."""
    Index(name, *columns, sqlite_where=where, postgresql_where=where)

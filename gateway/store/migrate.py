"""Bringing a store's schema to the one this version needs (Alembic)."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import DBAPIError

from gateway.store.engine import create_file, is_sqlite
from gateway.store.errors import StoreError, explain

_SCRIPTS = Path(__file__).parent / "migrations"


class SchemaError(StoreError):
    """The store's schema is not the one this version needs; `str()` says which command to run."""


def revisions() -> list[str]:
    """Every revision there is, oldest first: their files are named by it, `0001_first.py`."""
    return sorted(path.name.partition("_")[0] for path in (_SCRIPTS / "versions").glob("[0-9]*_*.py"))


def head() -> str:
    """The revision this version needs."""
    return revisions()[-1]


def current(connection: Connection) -> str | None:
    """The revision the store is at; None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return found


def migrate(engine: Engine, revision: str = "head") -> tuple[str | None, str]:
    """Bring the schema to `revision`; what it was and what it is now. Safe to run again, and by two at once.

    Everything happens in one transaction: on SQLite under its write lock, on PostgreSQL under an advisory lock. The
    file of an SQLite store is made where there is none. `StoreError` where it cannot be done, and then nothing was.
    """
    if is_sqlite(engine):
        create_file(engine)
    try:
        return _migrate(engine, revision)
    except DBAPIError as error:
        raise StoreError(explain(error)) from error


def _migrate(engine: Engine, revision: str) -> tuple[str | None, str]:
    # Loaded only here: looking whether there is anything to migrate is in the way of every command.
    from alembic import command
    from alembic.config import Config

    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7463115)")
        before = current(connection)
        if before is not None and before not in revisions():
            raise SchemaError(_newer(before))
        config = Config()
        config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        after = current(connection)
    assert after is not None
    return before, after


def require_head(connection: Connection) -> None:
    """Nothing, or `SchemaError` where the schema is older or newer than this version's."""
    found = current(connection)
    if found == head():
        return
    if found is None:
        raise SchemaError("the store is empty: run tocsin migrate")
    if found in revisions():
        raise SchemaError(f"the store's schema is at {found}, this version needs {head()}: run tocsin migrate")
    raise SchemaError(_newer(found))


def _newer(found: str) -> str:
    return (
        f"the store's schema ({found}) was made by a newer version of Tocsin than this one: "
        "install that version, or restore the backup made before it was installed"
    )

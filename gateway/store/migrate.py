"""Bringing a store's schema to the one this version needs (Alembic)."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from gateway.store.engine import create_file, is_sqlite
from gateway.store.errors import StoreError, explain

_SCRIPTS = Path(__file__).parent / "migrations"


class SchemaError(StoreError):
    """The store's schema is not the one this version needs; `str()` says which command to run."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


def head() -> str:
    """The revision this version needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


def current(connection: Connection) -> str | None:
    """The revision the store is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


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
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7463115)")
        before = current(connection)
        known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
        if before is not None and before not in known:
            raise SchemaError(_newer(before))
        config = _config()
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
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found in known:
        raise SchemaError(f"the store's schema is at {found}, this version needs {head()}: run tocsin migrate")
    raise SchemaError(_newer(found))


def _newer(found: str) -> str:
    return (
        f"the store's schema ({found}) was made by a newer version of Tocsin than this one: "
        "install that version, or restore the backup made before it was installed"
    )

"""Migrations: from the frozen first schema to this version's, on both databases."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

from gateway.store import migrate, schema
from gateway.store.engine import StoreError, create_file, is_sqlite, open_engine, parse_url

FIRST = Path(__file__).parent / "first"
HEAD = migrate.head()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer("postgresql"))])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Engine]]:
    """Makes engines on empty databases; the file of an SQLite store is not there yet."""
    engines = []
    kind = request.param
    cluster = request.getfixturevalue("cluster") if kind == "postgresql" else None
    databases = []

    def make() -> Engine:
        if cluster is not None:
            databases.append(cluster.create())
            url = cluster.url(databases[-1])
        else:
            url = f"sqlite:///{tmp_path / f'empty{len(engines)}.db'}"
        engines.append(open_engine(parse_url(url)))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()
    for name in databases:
        cluster.drop(name)


def load_first(engine: Engine) -> None:
    """The first schema, as it was released."""
    if is_sqlite(engine):
        create_file(engine)
    with engine.begin() as connection:
        for statement in (FIRST / f"{engine.dialect.name}.sql").read_text().split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)


def shape(engine: Engine) -> dict[str, Any]:
    """Everything a schema is made of, so that two can be compared."""
    look = inspect(engine)
    return {
        table: {
            "columns": sorted(
                (c["name"], str(c["type"]), c["nullable"], c["default"]) for c in look.get_columns(table)
            ),
            "primary key": look.get_pk_constraint(table)["constrained_columns"],
            "foreign keys": sorted(
                (key["constrained_columns"], key["referred_table"], str(key["options"]))
                for key in look.get_foreign_keys(table)
            ),
            "unique": sorted(key["column_names"] for key in look.get_unique_constraints(table)),
            "checks": sorted((str(check["name"]), check["sqltext"]) for check in look.get_check_constraints(table)),
            "indexes": sorted(
                (
                    str(index["name"]),
                    index["column_names"],
                    bool(index["unique"]),
                    sorted((option, str(value)) for option, value in index.get("dialect_options", {}).items()),
                )
                for index in look.get_indexes(table)
            ),
        }
        for table in sorted(look.get_table_names())
        if table != "alembic_version"
    }


def test_migrations_make_what_the_tables_in_the_code_say(empty: Callable[[], Engine]) -> None:
    migrated, said = empty(), empty()
    migrate.migrate(migrated)
    if is_sqlite(said):
        create_file(said)
    schema.metadata.create_all(said)
    assert shape(migrated) == shape(said)
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, schema.metadata) == []


def test_from_the_frozen_first_schema_to_head(empty: Callable[[], Engine]) -> None:
    old, new = empty(), empty()
    load_first(old)
    with old.begin() as connection:
        connection.exec_driver_sql("INSERT INTO plan (name, monthly) VALUES ('gold', 100)")
    assert migrate.migrate(old) == ("0001", HEAD)
    assert migrate.migrate(new) == (None, HEAD)
    assert shape(old) == shape(new)
    with old.connect() as connection:
        assert connection.execute(text("SELECT name, monthly FROM plan")).all() == [("gold", 100)]
        assert connection.execute(text("SELECT name, next FROM counter")).all() == [("id", 1000)]


def test_the_first_revision_still_makes_what_it_made_when_it_was_released(empty: Callable[[], Engine]) -> None:
    """Who changes a released revision leaves everybody who ran it behind: write a new one instead."""
    now, then = empty(), empty()
    load_first(then)
    migrate.migrate(now, "0001")
    assert shape(now) == shape(then)


def test_migrating_again_changes_nothing(empty: Callable[[], Engine]) -> None:
    engine = empty()
    migrate.migrate(engine)
    assert migrate.migrate(engine) == (HEAD, HEAD)
    with engine.connect() as connection:
        migrate.require_head(connection)


def _set_revision(connection: Connection, revision: str) -> None:
    connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def test_the_revisions_are_those_alembic_finds_in_the_files() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == migrate.head()
    assert [script.revision for script in reversed([*scripts.walk_revisions()])] == migrate.revisions()


def test_a_schema_of_a_newer_version_is_refused_by_name(empty: Callable[[], Engine]) -> None:
    engine = empty()
    migrate.migrate(engine)
    with engine.begin() as connection:
        _set_revision(connection, "9999")
    before = shape(engine)
    with engine.connect() as connection, pytest.raises(migrate.SchemaError, match=r"9999.*newer version"):
        migrate.require_head(connection)
    with pytest.raises(migrate.SchemaError, match=r"9999.*newer version"):
        migrate.migrate(engine)
    assert shape(engine) == before


def test_an_older_schema_is_refused_with_the_command_to_run(
    empty: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = empty()
    migrate.migrate(engine)
    monkeypatch.setattr(migrate, "head", lambda: "0042")
    with engine.connect() as connection, pytest.raises(migrate.SchemaError, match=r"0042: run tocsin migrate$"):
        migrate.require_head(connection)


def test_an_empty_database_is_refused_with_the_command_to_run(empty: Callable[[], Engine]) -> None:
    engine = empty()
    if is_sqlite(engine):
        create_file(engine)
    with engine.connect() as connection, pytest.raises(migrate.SchemaError, match="run tocsin migrate"):
        migrate.require_head(connection)


def test_two_may_migrate_at_once(empty: Callable[[], Engine]) -> None:
    engine = empty()
    code = (
        "import sys; from gateway.store.engine import open_engine, parse_url;"
        "from gateway.store.migrate import migrate;"
        "engine = open_engine(parse_url(sys.argv[1])); print('ready', flush=True); sys.stdin.read();"
        "print(*migrate(engine))"
    )
    url = engine.url.render_as_string(hide_password=False)
    both = [
        subprocess.Popen([sys.executable, "-c", code, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for one in both:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in both:
        assert one.stdin is not None
        one.stdin.close()
    answers = []
    for one in both:
        assert one.stdout is not None
        with one.stdout:
            answers.append(one.stdout.read().strip())
        assert one.wait(60) == 0
    assert sorted(answers) == [f"{HEAD} {HEAD}"] * 2 + [f"None {HEAD}"]


def test_a_migration_that_fails_leaves_the_old_schema(
    empty: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = empty()
    real = command.upgrade

    def and_then_the_disk_is_full(*arguments: Any) -> None:
        real(*arguments)
        raise StoreError("the disk that holds the store is full")

    monkeypatch.setattr(command, "upgrade", and_then_the_disk_is_full)
    with pytest.raises(StoreError, match="full"):
        migrate.migrate(engine)
    assert shape(engine) == {}
    monkeypatch.undo()
    assert migrate.migrate(engine) == (None, HEAD)
    with engine.connect() as connection:
        migrate.require_head(connection)


def test_a_store_that_is_not_there_is_not_made_by_the_way(tmp_path: Path) -> None:
    file = tmp_path / "nowhere.db"
    engine = open_engine(parse_url(f"sqlite:///{file}"))
    with pytest.raises(StoreError, match=r"nowhere\.db.*tocsin migrate"):
        engine.connect()
    assert not file.exists()
    migrate.migrate(engine)
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_store_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    engine = open_engine(parse_url(f"sqlite:///{tmp_path}/no/such/folder/tocsin.db"))
    with pytest.raises(StoreError, match=r"/no/such/folder/tocsin\.db cannot be made: No such file or directory"):
        migrate.migrate(engine)

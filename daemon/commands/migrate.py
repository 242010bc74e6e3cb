"""`tocsin migrate`: the store's schema."""

from __future__ import annotations

import os
from pathlib import Path

import typer
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from daemon.commands import new_app, output
from daemon.commands.opening import configuration
from gateway.store import migrate as schema
from gateway.store.engine import StoreError, explain, open_engine, parse_url

app = new_app()


@app.command()
def migrate(context: typer.Context) -> None:
    """Bring the store's schema to the one this version needs; an SQLite file that is not there is made."""
    url = parse_url(configuration(context).store.url.get_secret_value())
    _make_file(url)
    engine = open_engine(url, connections=1)
    try:
        before, after = schema.migrate(engine)
    except SQLAlchemyError as error:
        raise StoreError(explain(error)) from error
    finally:
        engine.dispose()
    if before == after:
        output.say(f"The schema is at {after} already.")
    else:
        output.say(f"The schema was {f'at {before}' if before else 'not there'}, and is now at {after}.")


def _make_file(url: URL) -> None:
    """Make the SQLite file, for its owner alone: it will hold texts and numbers. Those beside it get the same mode."""
    if url.get_backend_name() != "sqlite":
        return
    path = Path(url.database or "")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StoreError(f"the store {path} cannot be made: {reason}") from None

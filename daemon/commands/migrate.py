"""`tocsin migrate`: the store's schema."""

from __future__ import annotations

import typer

from daemon.commands import new_app, output
from daemon.commands.opening import configuration
from gateway.store import migrate as schema
from gateway.store.engine import open_engine, parse_url

app = new_app()


@app.command()
def migrate(context: typer.Context) -> None:
    """Bring the store's schema to the one this version needs; an SQLite file that is not there is made."""
    engine = open_engine(parse_url(configuration(context).store.url.get_secret_value()), connections=2)
    try:
        before, after = schema.migrate(engine)
    finally:
        engine.dispose()
    if before == after:
        output.say(f"The schema is at {after} already.")
    else:
        output.say(f"The schema was {f'at {before}' if before else 'not there'}, and is now at {after}.")

"""`tocsin status`: how everything is."""

from __future__ import annotations

from typing import Any

import typer

from daemon.commands import new_app, output
from daemon.commands.opening import configuration, store_of
from gateway import presence
from gateway.store import wake

app = new_app()


@app.command()
def status(context: typer.Context, as_json: output.Json = False) -> None:
    """Show how every route, watcher, calendar and listener is, and why."""
    config = configuration(context)
    routes = [route.name for route in config.route]
    with store_of(config) as store:
        told = presence.unpack(wake.ask(store.engine))
        lines = store.read_now(lambda connection: presence.status(connection, routes, told=told))
    if as_json:
        output.write_json([_document(line) for line in lines])
        return
    rows = [
        (line.kind, line.name, line.node, line.state, output.when(line.since), line.backlog, line.rate, line.why)
        for line in lines
    ]
    heads = ("kind", "name", "node", "state", "since", "backlog", "rate", "why")
    output.table(heads, rows, empty="nothing runs on this store, and no route is configured")


def _document(line: presence.Status) -> dict[str, Any]:
    return {
        "kind": line.kind,
        "name": line.name,
        "node": line.node or None,
        "state": line.state,
        "since": line.since,
        "why": line.why,
        "backlog": line.backlog,
        "rate": line.rate or None,
    }

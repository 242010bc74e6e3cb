"""`tocsin plan`: what subscriptions include."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.commands import new_app, output
from daemon.commands.opening import opened
from gateway import accounts

app = new_app("Plans: the units a subscription includes each month.")


@app.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    monthly: Annotated[int, typer.Option(metavar="N", help="Units a calendar month; what is left of them lapses.")],
) -> None:
    """Add a plan."""
    with opened(context) as store:
        store.run_now(lambda connection: accounts.add_plan(connection, name, monthly))


@app.command(name="list")
def list_(context: typer.Context, as_json: output.Json = False) -> None:
    """List the plans."""
    with opened(context) as store:
        plans = store.read_now(accounts.plans)
    if as_json:
        output.write_json([{"name": name, "monthly": monthly} for name, monthly in plans])
    else:
        output.table(("plan", "units a month"), plans, empty="no plans: tocsin plan add NAME --monthly N")

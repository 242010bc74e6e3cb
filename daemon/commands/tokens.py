"""`tocsin token`: bearer tokens of the HTTP API."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from daemon.commands import new_app, output
from daemon.commands.opening import opened, utc_now
from gateway import tokens

app = new_app("Bearer tokens of the HTTP API.")

Account = Annotated[str, typer.Argument(metavar="ACCOUNT")]


@app.command()
def add(
    context: typer.Context,
    account: Account,
    name: Annotated[str, typer.Option(metavar="T", help="What it is for.")] = "",
) -> None:
    """Make a token and print it, this once: only its digest is kept."""
    with opened(context) as store:
        secret = store.run_now(lambda connection: tokens.add(connection, account, name, now=utc_now()))
    output.say(secret)


@app.command(name="list")
def list_(
    context: typer.Context,
    account: Annotated[str | None, typer.Argument(help="Whose; else everybody's.")] = None,
    as_json: output.Json = False,
) -> None:
    """List tokens, without their secrets."""
    with opened(context) as store:
        found = store.read_now(lambda connection: tokens.listed(connection, account))
    if as_json:
        output.write_json([dataclasses.asdict(one) | {"id": str(one.id)} for one in found])
        return
    rows = [(one.id, one.account, one.name, output.when(one.created), output.when(one.revoked)) for one in found]
    output.table(("id", "account", "name", "created", "revoked"), rows, empty="no tokens: tocsin token add ACCOUNT")


@app.command()
def revoke(
    context: typer.Context,
    which: Annotated[list[str], typer.Argument(metavar="[ACCOUNT] TOKEN", help="By its id, or by account and name.")],
) -> None:
    """Take a token back, at once."""
    if len(which) > 2:
        raise typer.BadParameter("give one token: its id, or an account and the token's name")
    account = which[0] if which[1:] else None
    with opened(context) as store:
        store.run_now(lambda connection: tokens.revoke(connection, which[-1], account, now=utc_now()))

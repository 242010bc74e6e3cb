"""`tocsin optout`: who wants nothing sent any more, by one account or by anybody."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from daemon.commands import new_app, output
from daemon.commands.opening import configuration, store_of, utc_now
from gateway import accounts, optouts
from gateway.optouts import EVERYBODY

app = new_app("Who wants nothing sent any more.")

Addresses = Annotated[list[str], typer.Argument(metavar="R …", help="Numbers and e-mail addresses.")]
Of = Annotated[str | None, typer.Option("--account", metavar="A", help="By this account only; else by every account.")]


@app.command()
def add(
    context: typer.Context,
    addresses: Addresses,
    account: Of = None,
    reason: Annotated[str, typer.Option(metavar="T", help="Why, for whoever reads the list.")] = "",
) -> None:
    """Send nothing to these any more."""
    config = configuration(context)
    with store_of(config) as store:

        def work(connection: Any) -> None:
            owner, region = _owner(connection, account, config.listen.region)
            wanted = [optouts.read(one, region) for one in addresses]
            optouts.add(connection, owner, wanted, reason=reason, now=utc_now())

        store.run_now(work)


@app.command()
def remove(context: typer.Context, addresses: Addresses, account: Of = None) -> None:
    """Let these get messages again."""
    config = configuration(context)
    with store_of(config) as store:

        def work(connection: Any) -> None:
            owner, region = _owner(connection, account, config.listen.region)
            for one in addresses:
                optouts.remove(connection, owner, optouts.read(one, region))

        store.run_now(work)


@app.command(name="list")
def list_(context: typer.Context, account: Of = None, as_json: output.Json = False) -> None:
    """List who has opted out; with an account, those that count for it."""
    with store_of(configuration(context)) as store:

        def look(connection: Any) -> list[optouts.OptOut]:
            owner = accounts.find(connection, account).id if account is not None else None
            return optouts.listed(connection, owner)

        found = store.read_now(look)
    if as_json:
        output.write_json(
            [{"address": one.address, "account": one.account, "reason": one.reason, "at": one.at} for one in found]
        )
        return
    rows = [(one.address, one.account or "everybody", one.reason, output.when(one.at)) for one in found]
    output.table(("address", "for", "reason", "since"), rows, empty="nobody has opted out")


def _owner(connection: Any, account: str | None, region: str | None) -> tuple[int, str | None]:
    if account is None:
        return EVERYBODY, region
    owner = accounts.find(connection, account)
    return owner.id, owner.region or region

"""`tocsin credit`: what an account has left, and where it went."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.commands import new_app, output
from daemon.commands.opening import opened, utc_now
from gateway import accounts
from gateway import credit as pots

app = new_app("What an account has left, and where it went.")

Account = Annotated[str, typer.Argument(metavar="ACCOUNT")]


@app.command()
def show(context: typer.Context, account: Account, as_json: output.Json = False) -> None:
    """Show both pots: the allotment, which lapses, and the provision, which never does."""
    with opened(context) as store:
        found = store.run_now(
            lambda connection: pots.show(connection, accounts.find(connection, account).id, utc_now())
        )
    if as_json:
        output.write_json(found)
        return
    allotment, provision = found["allotment"], found["provision"]
    rows = [
        ("allotment", allotment["granted"], allotment["used"], allotment["reserved"], allotment["left"]),
        ("provision", provision["bought"], provision["used"], provision["reserved"], provision["left"]),
    ]
    output.table(("pot", "granted or bought", "used", "reserved", "left"), rows, empty="")
    if allotment["ends"] is not None:
        output.say(f"The allotment lapses at {output.when(allotment['ends'])}.")
    output.say(f"{found['left']} units are left.")


@app.command(context_settings={"ignore_unknown_options": True})
def add(
    context: typer.Context,
    account: Account,
    units: Annotated[int, typer.Argument(metavar="N", help="Units bought; a negative number takes a mistake back.")],
    reason: Annotated[str, typer.Option(metavar="T", help="What the ledger says of it.")],
) -> None:
    """Add units to the provision."""
    with opened(context) as store:
        store.run_now(
            lambda connection: pots.buy(
                connection, accounts.find(connection, account).id, units, reason=reason, now=utc_now()
            )
        )


@app.command()
def ledger(context: typer.Context, account: Account, as_json: output.Json = False) -> None:
    """Print every unit that came and went; the signed numbers add up to what is left."""
    with opened(context) as store:
        entries = store.run_now(
            lambda connection: pots.entries(connection, accounts.find(connection, account).id, utc_now())
        )
    if as_json:
        output.write_json_list(
            {**entry, "message": None if entry["message"] is None else str(entry["message"])} for entry in entries
        )
        return
    rows = [
        (
            output.when(e["at"]),
            e["kind"],
            e["pot"],
            f"{e['units']:+d}" if e["units"] else "0",
            e["message"],
            e["reason"],
        )
        for e in entries
    ]
    output.table(("at", "kind", "pot", "units", "message", "reason"), rows, empty="nothing came or went yet")

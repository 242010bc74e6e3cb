"""`tocsin group`: accounts that share a book of contacts."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from daemon.commands import new_app, output
from daemon.commands.opening import opened, utc_now
from gateway import groups
from gateway.groups import Group

app = new_app("Groups: accounts that share a book of contacts.")

Name = Annotated[str, typer.Argument(metavar="NAME")]


@app.command()
def add(
    context: typer.Context,
    name: Name,
    accounts: Annotated[list[str] | None, typer.Argument(metavar="ACCOUNT …", help="Its members to be.")] = None,
) -> None:
    """Make a group, or add members to the one there is."""
    with opened(context) as store:
        store.run_now(lambda connection: groups.add(connection, name, accounts or (), now=utc_now()))


@app.command(name="list")
def list_(context: typer.Context, as_json: output.Json = False) -> None:
    """List the groups and their members."""
    with opened(context) as store:
        found = store.read_now(groups.everything)
    if as_json:
        output.write_json([_document(one) for one in found])
        return
    rows = [(one.name, ", ".join(one.members), output.when(one.created)) for one in found]
    output.table(("group", "members", "created"), rows, empty="no groups: tocsin group add NAME ACCOUNT …")


@app.command()
def show(context: typer.Context, name: Name, as_json: output.Json = False) -> None:
    """Show the members of a group."""
    with opened(context) as store:
        found = store.read_now(lambda connection: groups.find(connection, name))
    if as_json:
        output.write_json(_document(found))
        return
    output.table(("member of " + found.name,), [(one,) for one in found.members], empty="nobody is in it")


@app.command(name="set")
def set_(
    context: typer.Context,
    name: Name,
    new: Annotated[str, typer.Option("--name", metavar="NAME", help="Its new name.")],
) -> None:
    """Give a group another name."""
    with opened(context) as store:
        store.run_now(lambda connection: groups.rename(connection, name, new))


@app.command()
def remove(
    context: typer.Context,
    name: Name,
    accounts: Annotated[
        list[str] | None, typer.Argument(metavar="[ACCOUNT …]", help="Who is to leave it; else it is erased.")
    ] = None,
) -> None:
    """Take members out of a group; without any, erase it and its book."""
    with opened(context) as store:
        store.run_now(lambda connection: groups.remove(connection, name, accounts or ()))


def _document(group: Group) -> dict[str, Any]:
    return {"id": str(group.id), "name": group.name, "members": list(group.members), "created": group.created}

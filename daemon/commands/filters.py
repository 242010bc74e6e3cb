"""`tocsin filter`: criteria of an account, and what they want said to whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from daemon.commands import new_app, output
from daemon.commands.opening import configuration, opened, store_of, utc_now
from gateway import accounts, filterbook
from gateway.failure import RefusedError
from gateway.filterbook import SIEVE, Kept

app = new_app("Filters: which mails are told of, and how.")

Account = Annotated[str, typer.Argument(metavar="ACCOUNT")]
Which = Annotated[str, typer.Argument(metavar="ID", help="The filter's id, or its name.")]
Several = Annotated[list[str], typer.Argument(metavar="ID …", help="The filters' ids, or their names.")]


@app.command()
def add(
    context: typer.Context,
    account: Account,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="F.json", help="A filter, or a list of them; - reads stdin.")
    ] = None,
    sieve: Annotated[
        Path | None, typer.Option("--sieve", metavar="F.sieve", help="A Sieve script; - reads stdin.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="N", help="What the script is called. [default: the file's name]")
    ] = None,
) -> None:
    """Add filters behind those there are, and print their ids; nothing is added where one of them is wrong."""
    if (file is None) == (sieve is None):
        raise typer.BadParameter("give one of --file and --sieve")
    if file is not None:
        if name is not None:
            raise typer.BadParameter("--name is for a Sieve script: a JSON filter says its name itself")
        written = filterbook.read_json(_octets(file))
    else:
        assert sieve is not None
        written = [filterbook.read_script(_text(sieve), name or (sieve.stem if str(sieve) != "-" else "script"))]
    with opened(context) as store:

        def work(connection: Connection) -> list[int]:
            owner = accounts.find(connection, account)
            return filterbook.add(connection, store.identifiers, owner.id, written, now=utc_now())

        ids = store.run_now(work)
    for number in ids:
        output.say(str(number))


def _octets(file: Path) -> bytes:
    try:
        return typer.get_binary_stream("stdin").read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise RefusedError(f"{file} cannot be read: {(error.strerror or str(error)).lower()}") from None


def _text(file: Path) -> str:
    try:
        return _octets(file).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RefusedError(f"{file} is not UTF-8 text") from None


@app.command(name="list")
def list_(
    context: typer.Context,
    account: Annotated[str | None, typer.Argument(metavar="ACCOUNT", help="Whose; else everybody's.")] = None,
    as_json: output.Json = False,
) -> None:
    """List filters in their order."""
    with opened(context) as store:

        def work(connection: Connection) -> list[tuple[str, Kept]]:
            owners = [accounts.find(connection, account)] if account else accounts.everyone(connection)
            return [(owner.name, one) for owner in owners for one in filterbook.everything(connection, owner.id)]

        found = store.read_now(work)
    if as_json:
        output.write_json([_document(owner, one) for owner, one in found])
        return
    rows = [(one.id, owner, one.order, one.name, one.kind, "on" if one.enabled else "off") for owner, one in found]
    heads = ("id", "account", "order", "name", "kind", "")
    output.table(heads, rows, empty="no filters: tocsin filter add ACCOUNT --file F.json")


def _document(owner: str, kept: Kept) -> dict[str, Any]:
    return {
        "id": str(kept.id),
        "account": owner,
        "order": kept.order,
        "name": kept.name,
        "enabled": kept.enabled,
        "kind": kept.kind,
        "created": kept.created,
        "changed": kept.changed,
    }


@app.command()
def show(context: typer.Context, account: Account, which: Which, as_json: output.Json = False) -> None:
    """Show one filter: how it stands, and what it says."""
    owner, found = _find(context, account, [which])
    (kept,) = found
    document = _document(owner.name, kept)
    if as_json:
        said = {"sieve": kept.source} if kept.kind == SIEVE else {"filter": kept.document}
        output.write_json(document | said)
        return
    document |= {"created": output.when(kept.created), "changed": output.when(kept.changed)}
    document["enabled"] = "yes" if kept.enabled else "no"
    output.table(("setting", "value"), list(document.items()), empty="")
    output.say("")
    output.say(kept.source if kept.kind == SIEVE else filterbook.written_out(kept.document))


def _find(context: typer.Context, account: str, wanted: Sequence[str]) -> tuple[accounts.Account, list[Kept]]:
    with opened(context) as store:

        def work(connection: Connection) -> tuple[accounts.Account, list[Kept]]:
            owner = accounts.find(connection, account)
            return owner, [filterbook.find(connection, owner.id, one) for one in wanted]

        return store.read_now(work)


@app.command()
def order(
    context: typer.Context,
    account: Account,
    which: Several,
    position: Annotated[int, typer.Option(min=1, metavar="N", help="Where the first of them goes.")] = 1,
) -> None:
    """Put filters in this order, first or at a position; the others stay in theirs."""
    with opened(context) as store:

        def work(connection: Connection) -> None:
            owner = accounts.find(connection, account)
            numbers = [filterbook.find(connection, owner.id, one).id for one in which]
            filterbook.put(connection, owner.id, numbers, position=position)

        store.run_now(work)


@app.command()
def enable(context: typer.Context, account: Account, which: Several) -> None:
    """Switch filters on."""
    _switch(context, account, which, on=True)


@app.command()
def disable(context: typer.Context, account: Account, which: Several) -> None:
    """Switch filters off; they are kept."""
    _switch(context, account, which, on=False)


def _switch(context: typer.Context, account: str, which: Sequence[str], *, on: bool) -> None:
    with opened(context) as store:

        def work(connection: Connection) -> None:
            owner = accounts.find(connection, account)
            numbers = [filterbook.find(connection, owner.id, one).id for one in which]
            filterbook.enable(connection, owner.id, numbers, on=on)

        store.run_now(work)


@app.command()
def remove(context: typer.Context, account: Account, which: Several) -> None:
    """Take filters away; what of them waits for a summary is still told."""
    with opened(context) as store:

        def work(connection: Connection) -> None:
            owner = accounts.find(connection, account)
            filterbook.remove(connection, owner.id, [filterbook.find(connection, owner.id, one).id for one in which])

        store.run_now(work)


@app.command()
def export(
    context: typer.Context,
    account: Account,
    which: Annotated[
        list[str] | None, typer.Argument(metavar="[ID …]", help="The filters' ids, or their names; else all.")
    ] = None,
    sieve: Annotated[
        bool, typer.Option("--sieve", help="As one Sieve script; refused where Sieve cannot say it.")
    ] = False,
) -> None:
    """Print filters as `filter add` takes them: JSON, or a Sieve script."""
    owner, found = _find(context, account, which or [])
    if not which:
        with opened(context) as store:
            found = store.read_now(lambda connection: filterbook.everything(connection, owner.id))
    if sieve:
        output.say(filterbook.as_sieve(found).rstrip("\n"))
        return
    documents = [one.document for one in found]
    output.write_json(documents[0] if which and len(documents) == 1 else documents)


@app.command()
def replay(
    context: typer.Context,
    account: Account,
    which: Which,
    mailbox: Annotated[str, typer.Option(metavar="M", help="The watched mailbox whose mails are looked at.")],
    last: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="How many of its last mails.")] = 200,
    as_json: output.Json = False,
) -> None:
    """Try a filter on the last mails of a mailbox: what it would have sent, when, and its cost. Sends nothing."""
    from daemon.watching import replaying

    config = configuration(context)
    with store_of(config) as store:
        found = replaying.replay(config, store, account, which, mailbox, last, utc_now())
    if as_json:
        output.write_json(replaying.document(found))
        return
    rows = [(output.when(one.at), one.to, one.mails, one.segments, one.units, one.text) for one in found.said]
    output.table(("at", "to", "mails", "SMS", "units", "text"), rows, empty="it would have sent nothing")
    for one in found.unsaid:
        output.say(f"{output.when(one.at)}  not told: {one.subject}: {one.why}")
    output.say(f"{found.mails} mails, {found.matched} of them fit; {len(found.said)} messages, {found.units} units.")

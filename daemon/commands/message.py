"""`tocsin message`: messages and what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from daemon.commands import new_app, output
from daemon.commands.opening import message_id, opened
from gateway import accounts, instants, story
from gateway.message import State
from gateway.store.store import Store

app = new_app("Messages and what became of them.")


@app.command(name="list")
def list_(
    context: typer.Context,
    account: Annotated[str | None, typer.Option(metavar="A", help="Only of this account.")] = None,
    state: Annotated[State | None, typer.Option(help="Only those with a delivery in this state.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="T", help="Only since then; without an offset, in the account's zone.")
    ] = None,
    incoming: Annotated[bool, typer.Option("--incoming", help="Messages from handsets instead.")] = False,
    as_json: output.Json = False,
) -> None:
    """List messages, newest first, a line for each delivery."""
    if incoming and (account is not None or state is not None):
        raise typer.BadParameter("messages from handsets have no account and no state: leave --account and --state out")
    with opened(context) as store:
        owner = store.read_now(lambda connection: accounts.find(connection, account)) if account is not None else None
        moment = instants.read(since, owner.zone if owner is not None else None) if since is not None else None
        if incoming:
            _print(_pages(store, partial(story.incoming, since=moment)), _INCOMING, _incoming_rows, as_json)
            return
        wanted = story.Wanted(owner.id if owner is not None else None, state, moment)
        _print(_pages(store, partial(story.page, wanted=wanted)), _MESSAGES, _message_rows, as_json)


_INCOMING = ("id", "at", "route", "from", "to", "text")
_MESSAGES = ("id", "created", "account", "origin", "to", "state")


def _pages(store: Store, page: Any) -> Iterator[Sequence[Mapping[str, Any]]]:
    """Every page, each read by itself, so that a long list does not hold the database."""
    before = None
    while True:
        found: story.Page = store.read_now(partial(page, before=before))
        yield found.documents
        before = found.before
        if before is None:
            return


def _print(pages: Iterator[Sequence[Mapping[str, Any]]], heads: Sequence[str], rows: Any, as_json: bool) -> None:
    if as_json:
        output.write_json_list(document for page in pages for document in page)
    else:
        output.pages(heads, (rows(page) for page in pages), empty="no messages")


def _message_rows(documents: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    rows = []
    for one in documents:
        beginning = (one["id"], output.when(one["created"]), one["account"], one["origin"])
        rows += [(*beginning, delivery["to"], delivery["state"]) for delivery in one["deliveries"]]
        more = one["recipients"] - len(one["deliveries"])
        if more > 0:
            rows.append((*beginning, f"{more} recipients, not in the queue yet", "queued"))
        elif not one["deliveries"]:
            rows.append((*beginning, "", one["state"]))
    return rows


def _incoming_rows(documents: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return [(one["id"], output.when(one["at"]), one["route"], one["from"], one["to"], one["text"]) for one in documents]


@app.command()
def show(
    context: typer.Context, message: Annotated[str, typer.Argument(metavar="ID")], as_json: output.Json = False
) -> None:
    """Show one message: its deliveries, their segments and attempts, and its timeline."""
    number = message_id(message)
    with opened(context) as store:
        document = store.read_now(lambda connection: story.show(connection, number))
    if as_json:
        output.write_json(document)
        return
    output.say(f"Message {document['id']} of {document['account']}: {document['state']}")
    for name in ("subject", "text"):
        if document[name]:
            output.say(f"{name}: {document[name]}")
    rows = [
        (delivery["to"], delivery["channel"], f"{segment['n']}", segment["id"], segment["state"], segment["route"])
        for delivery in document["deliveries"]
        for segment in delivery["segments"]
    ]
    output.say("")
    heads = ("to", "channel", "part", "segment", "state", "route")
    output.table(heads, rows, empty="its recipients are not in the queue yet")
    output.say("")
    moments = [(output.when(one["at"], "milliseconds"), one["what"], one["detail"]) for one in document["timeline"]]
    output.table(("at", "what", "detail"), moments, empty="")

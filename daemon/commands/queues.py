"""`tocsin queue`: what waits, and the operator's hand on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import typer

from daemon.commands import new_app, output
from daemon.commands.choice import chosen
from daemon.commands.opening import configuration, store_of
from gateway import accounts, backlog, holds
from gateway.message import OPEN, State
from gateway.store.store import Store

app = new_app("What waits, and the operator's hand on it.")

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID…", help="Messages, deliveries or segments.")]
OnRoute = Annotated[str | None, typer.Option("--route", metavar="R", help="Everything on this route.")]
OfAccount = Annotated[str | None, typer.Option("--account", metavar="A", help="Everything of this account.")]


@app.command()
def show(
    context: typer.Context,
    route: Annotated[str | None, typer.Option(metavar="R", help="Only on this route.")] = None,
    account: Annotated[str | None, typer.Option(metavar="A", help="Only of this account.")] = None,
    state: Annotated[
        State | None, typer.Option(metavar="S", help="Only in this state: queued, held, submitting, unknown.")
    ] = None,
    as_json: output.Json = False,
) -> None:
    """List the segments that wait, and what is held."""
    if state is not None and state not in OPEN:
        raise typer.BadParameter(f"what is {state} does not wait: choose {', '.join(sorted(OPEN))}")
    with store_of(configuration(context)) as store:
        owner = store.read_now(lambda connection: accounts.find(connection, account)) if account is not None else None
        wanted = backlog.Wanted(route, owner.id if owner is not None else None, state)
        if as_json:
            output.write_json_list(document for page in _pages(store, wanted) for document in page)
            return
        output.pages(_HEADS, map(_rows, _pages(store, wanted)), empty="nothing waits")
        for one in store.read_now(lambda connection: list(backlog.unexpanded(connection, wanted))):
            output.say(f"Message {one['message']}: {one['recipients']} recipients are not in the queue yet.")
        for kind, name, since in store.read_now(holds.standing):
            output.say(f"What comes for {kind} {name} is held, since {output.when(since)}.")


_HEADS = ("segment", "message", "account", "to", "part", "state", "route", "due", "attempts", "why")


def _pages(store: Store, wanted: backlog.Wanted) -> Iterator[Sequence[Mapping[str, Any]]]:
    after: int | None = 0
    while after is not None:
        documents, after = store.read_now(partial(backlog.page, wanted=wanted, after=after))
        yield documents


def _rows(documents: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (
            one["id"],
            one["message"],
            one["account"],
            one["to"],
            f"{one['n']} of {one['of']}",
            one["state"],
            one["route"],
            output.when(one["due"]),
            one["attempts"],
            one["why"],
        )
        for one in documents
    ]


@app.command(name="holds")
def list_holds(context: typer.Context, as_json: output.Json = False) -> None:
    """List what is held as it comes: routes, accounts, messages."""
    with store_of(configuration(context)) as store:
        found = store.read_now(holds.standing)
    if as_json:
        output.write_json([{"kind": kind, "name": name, "since": since} for kind, name, since in found])
        return
    rows = [(kind, name, output.when(since)) for kind, name, since in found]
    output.table(("kind", "name", "since"), rows, empty="nothing is held as it comes")


@app.command()
def hold(context: typer.Context, ids: Ids = None, route: OnRoute = None, account: OfAccount = None) -> None:
    """Hold what waits; of a route or an account also what comes later, until it is released."""
    with chosen(context, ids, route, account) as choice:
        stands = choice.stand()
        choice.report(choice.each(holds.hold), "held", nothing=None if stands else "queued")


@app.command()
def release(context: typer.Context, ids: Ids = None, route: OnRoute = None, account: OfAccount = None) -> None:
    """Queue what is held again."""
    with chosen(context, ids, route, account) as choice:
        lifted = choice.lift()
        choice.report(choice.each(holds.release), "released", nothing=None if lifted else "held")


@app.command()
def retry(context: typer.Context, ids: Ids = None, route: OnRoute = None, account: OfAccount = None) -> None:
    """Try at once what waits for a later attempt."""
    with chosen(context, ids, route, account) as choice:
        choice.report(choice.each(holds.retry), "to be tried at once", nothing="waiting for a later attempt")


@app.command()
def cancel(context: typer.Context, ids: Ids = None, route: OnRoute = None, account: OfAccount = None) -> None:
    """Cancel what has not left yet; its units return."""
    with chosen(context, ids, route, account) as choice:
        recipients = choice.cancel_unexpanded()
        if recipients:
            output.say(f"{recipients} recipients that were not in the queue yet are cancelled.")
        choice.report(choice.each(holds.cancel), "cancelled", nothing=None if recipients else "queued or held")


@app.command()
def resolve(
    context: typer.Context,
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Messages, deliveries or segments.")],
    verdict: Annotated[
        Literal["accepted", "failed", "resend"], typer.Option("--as", help="What became of them, or to send again.")
    ],
) -> None:
    """Say what became of segments whose answer was lost."""
    with chosen(context, ids, None, None) as choice:
        choice.report(choice.each(partial(holds.resolve, verdict)), f"resolved as {verdict}", nothing="unknown")

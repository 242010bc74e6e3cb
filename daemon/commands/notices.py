"""`tocsin notice`: what filters decided of each mail, and why: also of those nothing was sent for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from daemon.commands import new_app, output
from daemon.commands.opening import message_id, opened
from gateway import accounts, decisions, instants
from gateway.pacing import State
from gateway.store.store import Store

app = new_app("What filters decided of each mail, and why.")


@app.command(name="list")
def list_(
    context: typer.Context,
    account: Annotated[str | None, typer.Option(metavar="A", help="Only of this account.")] = None,
    state: Annotated[State | None, typer.Option(help="Only those that stand so.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="T", help="Only since then; without an offset, in the account's zone.")
    ] = None,
    as_json: output.Json = False,
) -> None:
    """List notices, newest first: what became of each mail that a filter fits."""
    with opened(context) as store:
        owner = store.read_now(lambda connection: accounts.find(connection, account)) if account is not None else None
        moment = instants.read(since, owner.zone if owner is not None else None) if since is not None else None
        pages = _pages(store, owner.id if owner is not None else None, state, moment)
        if as_json:
            output.write_json_list(document for page in pages for document in page)
            return
        heads = ("id", "at", "account", "filter", "from", "subject", "state")
        output.pages(heads, (_rows(page) for page in pages), empty="no notices")


def _pages(store: Store, account: int | None, state: State | None, since: Any) -> Iterator[Sequence[dict[str, Any]]]:
    """Every page, each read by itself, so that a long list does not hold the database."""
    before: int | None = None
    while True:
        work = partial(decisions.page, account=account, state=state, since=since, before=before)
        found, before = store.read_now(work)
        yield found
        if before is None:
            return


def _rows(page: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    names = ("account", "name", "from", "subject", "state")
    return [(one["id"], output.when(one["at"]), *(one[name] for name in names)) for one in page]


@app.command()
def show(
    context: typer.Context, number: Annotated[str, typer.Argument(metavar="ID")], as_json: output.Json = False
) -> None:
    """Show one notice: every test that held, and every one that did not."""
    with opened(context) as store:
        found = store.read_now(lambda connection: decisions.show(connection, message_id(number)))
    if as_json:
        output.write_json(found)
        return
    plain = {key: value for key, value in found.items() if key not in ("hits", "misses", "notes", "messages")}
    plain |= {"at": output.when(found["at"]), "due": output.when(found["due"])}
    plain["messages"] = ", ".join(found["messages"])
    output.table(("what", "value"), list(plain.items()), empty="")
    output.say("")
    tests = [(held, one) for held, some in (("yes", found["hits"]), ("no", found["misses"])) for one in some]
    rows = [(one["path"], one["field"], one["op"], one["value"], one["found"], held) for held, one in tests]
    output.table(("test", "field", "op", "value", "found", "held"), rows, empty="no test was asked")
    for note in found["notes"]:
        output.say(note)

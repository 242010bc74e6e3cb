"""`tocsin list`: contacts, numbers, addresses and other lists under one name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.commands import new_app, output
from daemon.commands.opening import configuration, store_of, utc_now
from daemon.commands.trial import read_text
from gateway import accounts, lists, numbers
from gateway.failure import RefusedError
from gateway.list_members import MemberKind
from gateway.lists import Shown

app = new_app("Lists of contacts, numbers, addresses and lists.")

Owner = Annotated[str, typer.Argument(metavar="ACCOUNT")]
Name = Annotated[str, typer.Argument(metavar="NAME")]
Members = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MEMBER …",
        help="A contact's name, a number, an address, or a list's name; - reads them from stdin, one a line. "
        "contact:NAME and list:NAME tell one from the other.",
    ),
]
File = Annotated[Path | None, typer.Option("--file", metavar="F", help="A file with members, one a line.")]


@app.command()
def add(context: typer.Context, account: Owner, name: Name, members: Members = None, file: File = None) -> None:
    """Make a list, or add members to the one there is."""
    _change(context, account, lists.add, name, _all(members, file), now=utc_now())


@app.command(name="set")
def set_(
    context: typer.Context, account: Owner, name: Name, members: Members = None, file: File = None,
    new: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Another name.")] = None,
) -> None:  # fmt: skip
    """Make these its members instead of those it has; or give it another name."""
    wanted = _all(members, file)
    if not wanted and new is None:
        raise typer.BadParameter("nothing to change was given: name members, or --name")
    if wanted:
        _change(context, account, lists.replace_members, name, wanted)
    if new is not None:
        with store_of(configuration(context)) as store:
            store.run_now(lambda connection: lists.rename(connection, accounts.find(connection, account).id, name, new))


@app.command()
def remove(context: typer.Context, account: Owner, name: Name, members: Members = None, file: File = None) -> None:
    """Take members out of a list; without any, erase the list."""
    wanted = _all(members, file)
    if wanted:
        _change(context, account, lists.remove_members, name, wanted)
        return
    with store_of(configuration(context)) as store:
        store.run_now(lambda connection: lists.remove(connection, accounts.find(connection, account).id, name))


@app.command(name="list")
def list_(context: typer.Context, account: Owner, as_json: output.Json = False) -> None:
    """List the lists of an account."""
    with store_of(configuration(context)) as store:
        found = store.read_now(lambda connection: lists.everything(connection, accounts.find(connection, account).id))
    if as_json:
        output.write_json(
            [{"id": str(one.id), "name": one.name, "members": one.members, "created": one.created} for one in found]
        )
        return
    rows = [(one.name, one.members, output.when(one.created)) for one in found]
    output.table(("list", "members", "created"), rows, empty="no lists: tocsin list add ACCOUNT NAME MEMBER …")


@app.command()
def show(context: typer.Context, account: Owner, name: Name, as_json: output.Json = False) -> None:
    """Show who stands in a list, and of each number whether it can get an SMS."""
    config = configuration(context)
    with store_of(config) as store:

        def look(connection: Any) -> tuple[lists.List, list[Shown], str | None]:
            owner = accounts.find(connection, account)
            found = lists.find(connection, owner.id, name)
            return found, list(lists.members(connection, owner.id, found.id)), owner.region

        found, shown, region = store.read_now(look)
    documents = [_document(one, region or config.listen.region) for one in shown]
    if as_json:
        output.write_json({"id": str(found.id), "name": found.name, "created": found.created, "members": documents})
        return
    rows = [(one["name"], one["kind"], one.get("sms") or one.get("email") or "", one["advice"]) for one in documents]
    output.table(("member", "kind", "reached at", "advice"), rows, empty="nobody is on it")


def _document(one: Shown, region: str | None) -> dict[str, Any]:
    """A member: `sms` and `email` are where it is reached, `advice` says why it is not."""
    told: dict[str, Any] = {"kind": one.kind.value, "name": one.name, "sms": None, "email": None, "advice": None}
    if one.kind is MemberKind.NUMBER:
        judged = numbers.read(one.name, region)
        told["sms"], told["advice"] = (one.name, None) if one.sms else (None, judged.advice)
    elif one.kind is MemberKind.ADDRESS:
        told["email"] = one.name
    elif one.contact is not None:
        contact = one.contact
        told["book"] = contact.book
        told["sms"] = contact.sms_number
        told["email"] = contact.addresses[0].address if contact.addresses else None
        if contact.sms_number is None:
            told["advice"] = contact.numbers[0].advice(region) if contact.numbers else f"{contact.name} has no number"
    elif one.kind is MemberKind.CONTACT:
        told["advice"] = "it is in no book of this account any more"
    return told


def _change(context: typer.Context, account: str, verb: Any, name: str, members: list[str], **more: Any) -> None:
    config = configuration(context)
    with store_of(config) as store:

        def work(connection: Any) -> None:
            owner = accounts.find(connection, account)
            verb(connection, owner.id, name, members, region=owner.region or config.listen.region, **more)

        store.run_now(work)


def _all(members: Iterable[str] | None, file: Path | None) -> list[str]:
    """The members of the command line, of stdin and of a file."""
    found: list[str] = []
    for one in members or ():
        found += _lines(read_text()) if one == "-" else [one]
    if file is not None:
        try:
            found += _lines(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise RefusedError(f"{file} cannot be read: {(error.strerror or str(error)).lower()}") from None
        except UnicodeDecodeError:
            raise RefusedError(f"{file} is not UTF-8 text") from None
    return found


def _lines(text: str) -> list[str]:
    return [line for line in (line.strip() for line in text.split("\n")) if line and not line.startswith("#")]

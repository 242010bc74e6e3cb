"""`tocsin send`: a message from the shell."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from daemon.commands import new_app, output
from daemon.commands.opening import configuration, store_of, utc_now, wake_daemons
from daemon.commands.trial import read_text
from filters import durations
from gateway import accounts, attachments, compose, health, instants, quote
from gateway.accounts import Account
from gateway.addressing import Wanted
from gateway.compose import Said
from gateway.failure import RefusedError
from gateway.intake import Taken, submit_many
from gateway.message import Origin
from gateway.quote import Quote
from gateway.store.store import Store
from gateway.text import LETTER

app = new_app()

Many = list[str] | None


@app.command()
def send(
    context: typer.Context,
    account: Annotated[str, typer.Option(metavar="A", help="Who sends it, and pays.")],
    sms: Annotated[
        Many, typer.Option(metavar="R", help="A number or a contact that is to get an SMS; may repeat.")
    ] = None,
    email: Annotated[
        Many, typer.Option(metavar="R", help="An address or a contact that is to get an e-mail; may repeat.")
    ] = None,
    fax: Annotated[
        Many, typer.Option(metavar="R", help="A number or a contact that is to get a fax; may repeat.")
    ] = None,
    lists: Annotated[Many, typer.Option("--list", metavar="L", help="A list of the account; may repeat.")] = None,
    subject: Annotated[str, typer.Option(metavar="T", help="The subject; of an SMS, where there is no text.")] = "",
    text: Annotated[str, typer.Option(metavar="T", help="What to say; - reads it from stdin.")] = "",
    attach: Annotated[
        list[Path] | None, typer.Option(metavar="F", help="A file that goes along with e-mails; may repeat.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it leaves; without an offset, in the account's zone.")
    ] = None,
    validity: Annotated[
        str | None, typer.Option(metavar="D", help="For how long it may be tried: PT2H, P1D. [the route's]")
    ] = None,
    urgent: Annotated[bool, typer.Option("--urgent", help="Before what else the account has waiting.")] = False,
    flash: Annotated[
        bool, typer.Option("--flash", help="Shown at once by the handset, which keeps nothing (class 0).")
    ] = False,
    key: Annotated[
        str | None, typer.Option(metavar="K", help="Sent once, however often it comes with the same key.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what it would be, as JSON, and send nothing.")
    ] = False,
    as_json: output.Json = False,
) -> None:
    """Send a message and print its id, once it is committed."""
    wanted = Wanted(tuple(sms or ()), tuple(email or ()), tuple(fax or ()), tuple(lists or ()))
    if not any((sms, email, fax, lists)):
        raise typer.BadParameter("there is no recipient: give --sms, --email, --fax or --list")
    config = configuration(context)
    words = read_text().removesuffix("\n").removesuffix("\r") if text == "-" else text
    files = attachments.of_files(attach or (), words, config.listen.max_size)
    with store_of(config) as store:
        owner = store.read_now(lambda connection: accounts.find(connection, account))
        said = Said(
            text=words,
            subject=subject,
            at=instants.read(at, owner.zone) if at is not None else None,
            validity=_validity(validity),
            urgent=urgent,
            flash=flash,
            key=hashlib.sha256(b"cli:" + key.encode(errors="surrogateescape")).digest() if key is not None else None,
            origin=Origin.CLI,
            attachments=files,
        )
        region = config.listen.region
        if key is not None:
            said = replace(
                said, content=compose.content_of(owner, wanted, said, region=region, more=attachments.content(files))
            )

        def look(connection: Connection) -> tuple[int | None, Quote, int]:
            known = compose.repeated(connection, owner, said)
            now, routes = utc_now(), health.known(connection, routes=config.routes)
            found = compose.quote(connection, owner, wanted, said, routes=routes, region=region, now=now)
            return known, found, compose.left(connection, owner, now, found.draft.due if found.draft else None)

        known, found, left = store.read_now(look)
        if dry_run:
            _dry(owner, found, left, known)
        elif known is not None:
            _tell(Taken(known, seen=True, units=0), found, as_json)
        else:
            _submit(store, found, as_json)


def _validity(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        found = durations.parse_fixed(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: {error}", param_hint="--validity") from None
    if not timedelta() < found <= timedelta(days=366):
        raise typer.BadParameter(
            f"{text!r}: choose more than no time at all, and a year at most", param_hint="--validity"
        )
    return found


def _dry(owner: Account, found: Quote, left: int, known: int | None) -> None:
    """Print what it would be; `known` is the message its key was used for already."""
    error = found.objection(left) if known is None else None
    document = {"account": owner.name, "left": left, **quote.document(found), "why": str(error) if error else None}
    document |= _along(found)
    if known is not None:
        document["seen"] = str(known)
    output.write_json(document)
    if error is not None:
        raise error


def _along(found: Quote) -> dict[str, Any]:
    """What goes along with the e-mails of a message, and who gets the text without it."""
    draft = found.draft
    if draft is None or not draft.request.attachments:
        return {"attachments": [], "notes": []}
    without = [leg for leg in draft.legs if draft.ways[leg.route].cut.concat != LETTER]
    note = (
        f"{len(without)} of {len(draft.legs)} deliveries get the text without attachments: these go with e-mails only"
    )
    return {
        "attachments": [one.document for one in draft.request.attachments],
        "notes": [note] if without else [],
    }


def _submit(store: Store, found: Quote, as_json: bool) -> None:
    error = found.objection()
    if error is not None or found.draft is None:
        raise error or RefusedError("there is nothing to send")
    draft = found.draft
    answer = store.run_now(lambda connection: submit_many(connection, [draft], store.identifiers)[0])
    if not isinstance(answer, Taken):
        raise answer
    wake_daemons(store)
    _tell(answer, found, as_json)


def _tell(answer: Taken, found: Quote, as_json: bool) -> None:
    """Print the id, and on stderr who of a list gets nothing."""
    if not as_json:
        output.say(str(answer.id))
        for one in found.left_out if not answer.seen else ():
            output.warn(str(one))
        return
    deliveries = [
        {"id": str(number), "to": recipient.address, "channel": recipient.channel.value, "segments": segments}
        for number, recipient, segments in answer.deliveries
    ]
    left_out: list[dict[str, Any]] = quote.document(found)["left_out"] if not answer.seen else []
    output.write_json(
        {
            "id": str(answer.id),
            "seen": answer.seen,
            "units": answer.units,
            "deliveries": deliveries,
            "left_out": left_out,
        }
    )

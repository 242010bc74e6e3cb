"""`tocsin send`: a message from the shell."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.commands import new_app, output
from daemon.commands.opening import configuration, store_of, utc_now, wake_daemons
from daemon.commands.trial import read_text
from daemon.config import Configuration
from filters import durations
from gateway import accounts, credit, health, instants, numbers, quote
from gateway.accounts import Account
from gateway.draft import Recipient, Request, route_for
from gateway.failure import RefusedError
from gateway.intake import Taken, submit_many
from gateway.message import Channel, Origin
from gateway.quote import Quote, Refusal
from gateway.store.store import Store

app = new_app()

Many = list[str] | None


@app.command()
def send(
    context: typer.Context,
    account: Annotated[str, typer.Option(metavar="A", help="Who sends it, and pays.")],
    sms: Annotated[Many, typer.Option(metavar="R", help="A number that is to get an SMS; may repeat.")] = None,
    email: Annotated[Many, typer.Option(metavar="R", help="An address that is to get an e-mail; may repeat.")] = None,
    fax: Annotated[Many, typer.Option(metavar="R", help="A number that is to get a fax; may repeat.")] = None,
    lists: Annotated[Many, typer.Option("--list", metavar="L", help="A list of the account; may repeat.")] = None,
    subject: Annotated[str, typer.Option(metavar="T", help="The subject; of an SMS, where there is no text.")] = "",
    text: Annotated[str, typer.Option(metavar="T", help="What to say; - reads it from stdin.")] = "",
    attach: Annotated[list[Path] | None, typer.Option(metavar="F", help="A file to send along; may repeat.")] = None,
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
    if lists:
        raise RefusedError(f"there is no list {lists[0]}: this version has no lists yet, name the recipients")
    if attach:
        raise RefusedError(f"{attach[0]} cannot go along: no route here carries attachments")
    config = configuration(context)
    said = read_text().removesuffix("\n").removesuffix("\r") if text == "-" else text
    with store_of(config) as store:
        owner = store.read_now(lambda connection: accounts.find(connection, account))
        recipients, refused = _recipients(config, owner, sms or (), email or (), fax or ())
        request = Request(
            account=owner.id,
            origin=Origin.CLI,
            recipients=recipients,
            text=_signed(said or subject, owner.signature),
            subject=subject,
            at=instants.read(at, owner.zone) if at is not None else None,
            validity=_validity(validity),
            urgent=urgent,
            flash=flash,
            key=hashlib.sha256(b"cli:" + key.encode(errors="surrogateescape")).digest() if key is not None else None,
            content=_content(recipients, said, subject, at, validity, urgent, *(["flash"] * flash))
            if key is not None
            else None,
        )
        found = quote.quote(
            request,
            routes=store.read_now(partial(health.known, routes=config.routes)),
            now=utc_now(),
            max_parts=owner.max_parts,
            transliterate=owner.transliterate,
        )
        found = Quote(found.draft, (*refused, *found.refused), found.why)
        if dry_run:
            _dry(store, owner, found)
        else:
            _submit(store, found, as_json)


def _recipients(
    config: Configuration, owner: Account, sms: Sequence[str], email: Sequence[str], fax: Sequence[str]
) -> tuple[tuple[Recipient, ...], tuple[Refusal, ...]]:
    """Whom it is for, and who of those cannot be meant."""
    recipients: list[Recipient] = []
    refused: list[Refusal] = []
    for written in sms:
        try:
            number = numbers.sms_number(written, owner.region or config.listen.region)
            recipients.append(Recipient(Channel.SMS, number, written))
        except RefusedError as error:
            refused.append(Refusal(written, Channel.SMS.value, str(error)))
    refused += (_not_yet(config, Channel.EMAIL, written) for written in email)
    refused += (_not_yet(config, Channel.FAX, written) for written in fax)
    if not recipients and not refused:
        raise typer.BadParameter("there is no recipient: give --sms NUMBER")
    return tuple(recipients), tuple(refused)


def _not_yet(config: Configuration, channel: Channel, written: str) -> Refusal:
    """Why what is no SMS is refused: mostly because no route carries it."""
    try:
        route_for(config.routes, channel, written)
    except RefusedError as error:
        return Refusal(written, channel.value, str(error))
    return Refusal(written, channel.value, f"{written} cannot be reached: this version sends only SMS from here")


def _signed(text: str, signature: str) -> str:
    return f"{text}\n{signature}" if text and signature else text


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


def _content(recipients: Sequence[Recipient], *rest: Any) -> bytes:
    """What a key stands for: the same key with anything else of this changed is refused."""
    to = sorted((recipient.channel.value, recipient.address) for recipient in recipients)
    return hashlib.sha256(json.dumps([to, *rest]).encode()).digest()


def _objection(found: Quote) -> str | None:
    """Why it would be refused, in one sentence; None where it would not."""
    if found.refused:
        return "; ".join(one.why.rstrip(".") for one in found.refused)
    return found.why


def _dry(store: Store, owner: Account, found: Quote) -> None:
    left = store.read_now(partial(_left, owner=owner, now=utc_now(), due=found.draft.due if found.draft else None))
    why = _objection(found)
    if why is None and found.units > left:
        why = f"not enough credit: {found.units} units needed, {left} left"
    output.write_json({"account": owner.name, "left": left, **quote.document(found), "why": why})
    if why is not None:
        raise RefusedError(why)


def _left(connection: Any, owner: Account, now: datetime, due: datetime | None) -> int:
    return credit.load(connection, [owner.id], now, lock=False)[owner.id].left(due or now)


def _submit(store: Store, found: Quote, as_json: bool) -> None:
    why = _objection(found)
    if why is not None or found.draft is None:
        raise RefusedError(why or "there is nothing to send")
    draft = found.draft
    answer = store.run_now(lambda connection: submit_many(connection, [draft], store.identifiers)[0])
    if not isinstance(answer, Taken):
        raise answer
    wake_daemons(store)
    if not as_json:
        output.say(str(answer.id))
        return
    deliveries = [
        {"id": str(number), "to": recipient.address, "channel": recipient.channel.value, "segments": segments}
        for number, recipient, segments in answer.deliveries
    ]
    output.write_json({"id": str(answer.id), "seen": answer.seen, "units": answer.units, "deliveries": deliveries})

"""`tocsin contact`: the address books of accounts and groups."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.commands import new_app, output
from daemon.commands.opening import configuration, store_of, utc_now
from daemon.config import Configuration
from gateway import accounts, cards, contacts, mail_address
from gateway.accounts import Account
from gateway.contacts import Contact, Entry, Mailbox, Telephone
from gateway.failure import RefusedError
from gateway.groups import PRIVATE

app = new_app("Contacts: people with their numbers and addresses.")

Owner = Annotated[str, typer.Argument(metavar="ACCOUNT")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The contact's name, or its id where several have it.")]
Numbers = Annotated[
    list[str] | None,
    typer.Option("--number", metavar="KIND:N", help="A number; may repeat. Kinds: mobile, home, work, fax, other."),
]
Emails = Annotated[list[str] | None, typer.Option("--email", metavar="A", help="An e-mail address; may repeat.")]
Book = Annotated[str, typer.Option(metavar="BOOK", help="The book: private, or the name of a group.")]
AnyBook = Annotated[str | None, typer.Option("--book", metavar="BOOK", help="Only of this book: private or a group.")]


@app.command()
def add(
    context: typer.Context, account: Owner, name: Name, number: Numbers = None, email: Emails = None,
    book: Book = PRIVATE, as_json: output.Json = False,
) -> None:  # fmt: skip
    """Add a contact."""
    config = configuration(context)
    with store_of(config) as store:
        owner = store.read_now(lambda connection: accounts.find(connection, account))
        region = owner.region or config.listen.region
        entry = Entry(name, _telephones(number or (), region), _mailboxes(email or ()))
        made = store.run_now(
            lambda connection: contacts.add(
                connection, contacts.open_book(connection, owner.id, book), entry, now=utc_now()
            )
        )
        found = store.read_now(lambda connection: contacts.by_ids(connection, owner.id, [made])[made])
    if as_json:
        output.write_json(document(found, region))
    _advise(found, region)


@app.command(name="set")
def set_(
    context: typer.Context, account: Owner, name: Name, number: Numbers = None, email: Emails = None,
    new: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Another name.")] = None,
    book: AnyBook = None,
) -> None:  # fmt: skip
    """Change what is given; the numbers given replace all it has, and so do the addresses. An empty one takes all."""
    if number is None and email is None and new is None:
        raise typer.BadParameter("nothing to change was given: see tocsin contact set --help")
    config = configuration(context)
    with store_of(config) as store:
        owner = store.read_now(lambda connection: accounts.find(connection, account))
        region = owner.region or config.listen.region
        telephones = _telephones([one for one in number if one], region) if number is not None else None
        boxes = _mailboxes([one for one in email if one]) if email is not None else None

        def work(connection: Any) -> Contact:
            found = contacts.find(connection, owner.id, name, book)
            contacts.open_book(connection, owner.id, found.book)
            contacts.change(connection, found, now=utc_now(), name=new, telephones=telephones, addresses=boxes)
            return contacts.by_ids(connection, owner.id, [found.id])[found.id]

        changed = store.run_now(work)
    _advise(changed, region)


@app.command()
def remove(context: typer.Context, account: Owner, name: Name, book: AnyBook = None) -> None:
    """Erase a contact; lists lose it, too."""
    with store_of(configuration(context)) as store:

        def work(connection: Any) -> None:
            owner = accounts.find(connection, account)
            found = contacts.find(connection, owner.id, name, book)
            contacts.open_book(connection, owner.id, found.book)
            contacts.remove(connection, found)

        store.run_now(work)


@app.command(name="list")
def list_(context: typer.Context, account: Owner, book: AnyBook = None, as_json: output.Json = False) -> None:
    """List the contacts an account can reach, each number with whether it can get an SMS, and why not."""
    owner, found, config = _everyone(context, account, book)
    region = owner.region or config.listen.region
    if as_json:
        output.write_json_list(document(one, region) for one in found)
        return
    rows = []
    for one in found:
        ways = [
            (number.e164 or number.written, number.kind.value, number.advice(region) or "") for number in one.numbers
        ]
        ways += [(box.address, "e-mail", "") for box in one.addresses]
        rows += [(one.name, one.book, *way) for way in ways or [("", "", "")]]
    heads = ("name", "book", "number or address", "kind", "advice")
    output.table(heads, rows, empty="no contacts: tocsin contact add ACCOUNT NAME --number mobile:N")


@app.command()
def show(
    context: typer.Context, account: Owner, name: Name, book: AnyBook = None, as_json: output.Json = False
) -> None:
    """Show one contact."""
    config = configuration(context)
    with store_of(config) as store:
        owner = store.read_now(lambda connection: accounts.find(connection, account))
        found = store.read_now(lambda connection: contacts.find(connection, owner.id, name, book))
    region = owner.region or config.listen.region
    if as_json:
        output.write_json(document(found, region))
        return
    output.say(f"{found.name} ({found.book} book)")
    ways = [(one.kind.value, one.e164 or one.written, one.advice(region) or "can get an SMS") for one in found.numbers]
    ways += [("e-mail", one.address, "") for one in found.addresses]
    output.table(("kind", "number or address", ""), ways, empty="no numbers and no addresses")


@app.command(name="import")
def import_(
    context: typer.Context,
    account: Owner,
    file: Annotated[Path, typer.Argument(metavar="F.vcf", help="Cards in vCard 2.1, 3 or 4; - reads them from stdin.")],
    book: Book = PRIVATE,
    as_json: output.Json = False,
) -> None:
    """Take in the cards of a file. Those that cannot be read are named by their line; the others are taken."""
    octets = _octets(file)
    config = configuration(context)
    with store_of(config) as store:
        owner = store.read_now(lambda connection: accounts.find(connection, account))
        region = owner.region or config.listen.region
        read = cards.read(octets, region)
        done = store.run_now(
            lambda connection: cards.take(
                connection, contacts.open_book(connection, owner.id, book), read.cards, now=utc_now()
            )
        )
    faults = [*read.faults, *done.faults]
    if as_json:
        output.write_json(
            {
                "added": done.added,
                "changed": done.changed,
                "unchanged": done.unchanged,
                "refused": [{"line": one.line, "why": one.why} for one in faults],
                "notes": [{"line": one.line, "why": one.why} for one in read.notes],
            }
        )
    else:
        output.say(f"{done.added} added, {done.changed} changed, {done.unchanged} as they were.")
    for one in faults if not as_json else ():
        output.warn(f"line {one.line}: {one.why}")
    for one in read.notes if not as_json else ():
        output.warn(f"note, line {one.line}: {one.why}")
    if faults:
        cards_ = "cards were" if faults[1:] else "card was"
        raise RefusedError(f"{len(faults)} {cards_} not taken, the first on line {faults[0].line}: {faults[0].why}")


@app.command()
def export(
    context: typer.Context,
    account: Owner,
    file: Annotated[Path | None, typer.Argument(metavar="[F.vcf]", help="Where to; else stdout.")] = None,
    book: AnyBook = None,
    version: Annotated[str, typer.Option("--vcard", metavar="3.0 or 4.0", help="The version of vCard.")] = "4.0",
) -> None:
    """Write contacts as vCards."""
    if version not in cards.VERSIONS:
        raise typer.BadParameter(f"{version!r}: choose {' or '.join(cards.VERSIONS)}", param_hint="--vcard")
    _, found, _ = _everyone(context, account, book)
    octets = b"".join(cards.write(one, version) for one in found)
    if file is None or str(file) == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(octets)
        return
    try:
        file.write_bytes(octets)
    except OSError as error:
        raise RefusedError(f"{file} cannot be written: {(error.strerror or str(error)).lower()}") from None


def document(contact: Contact, region: str | None) -> dict[str, Any]:
    """A contact, ready for JSON."""
    return {
        "id": str(contact.id),
        "name": contact.name,
        "book": contact.book,
        "numbers": [
            {
                "kind": one.kind.value,
                "e164": one.e164,
                "written": one.written,
                "sms": one.sms,
                "advice": one.advice(region),
            }
            for one in contact.numbers
        ],
        "emails": [one.address for one in contact.addresses],
        "uid": contact.uid,
    }


def _everyone(context: typer.Context, account: str, book: str | None) -> tuple[Account, list[Contact], Configuration]:
    config = configuration(context)
    with store_of(config) as store:
        owner = store.read_now(lambda connection: accounts.find(connection, account))
        return owner, store.read_now(lambda connection: contacts.everyone(connection, owner.id, book)), config


def _telephones(numbers: Any, region: str | None) -> list[Telephone]:
    return [contacts.telephone_of(one, region) for one in numbers]


def _mailboxes(addresses: Any) -> list[Mailbox]:
    return [Mailbox(mail_address.checked(one)) for one in addresses]


def _advise(contact: Contact, region: str | None) -> None:
    """Say on stderr which of its numbers cannot get an SMS, where none can."""
    if contact.sms_number is None:
        for one in contact.numbers:
            output.warn(f"note: {one.advice(region)}")


def _octets(file: Path) -> bytes:
    try:
        return typer.get_binary_stream("stdin").read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise RefusedError(f"{file} cannot be read: {(error.strerror or str(error)).lower()}") from None

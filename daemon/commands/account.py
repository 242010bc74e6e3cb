"""`tocsin account`: who Tocsin works for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from sqlalchemy import Connection

from daemon.commands import new_app, output
from daemon.commands.opening import configuration, read_secret, store_of, utc_now
from gateway import accounts, filterbook
from gateway.numbers import sms_number

app = new_app("Accounts: who Tocsin works for.")

Name = Annotated[str, typer.Argument(metavar="NAME")]
Emails = Annotated[
    list[str] | None,
    typer.Option("--email", metavar="A", help="An address it sends from; may repeat. Reports go to the first."),
]
Mobile = Annotated[str | None, typer.Option(metavar="N", help="Its own number, for notices; empty takes it away.")]
Plan = Annotated[str | None, typer.Option(metavar="P", help="Its plan; empty for none.")]
Zone = Annotated[str | None, typer.Option(metavar="Z", help="Its time zone, such as Europe/Brussels. [new: UTC]")]
Region = Annotated[
    str | None, typer.Option(metavar="R", help="Where its national numbers are, such as BE; empty for [listen] region.")
]
PasswordFile = Annotated[
    Path | None, typer.Option(metavar="F", help="File with the password of SMTP AUTH; - reads it from stdin.")
]
MaxParts = Annotated[int | None, typer.Option(metavar="N", help="The most SMS one message may take. [new: 6]")]
Signature = Annotated[str | None, typer.Option(metavar="T", help="Ends every SMS it sends.")]
Text = Annotated[
    str | None, typer.Option(metavar="WHAT", help="What of a mail is sent: body, subject or both. [new: body]")
]
Language = Annotated[str | None, typer.Option(metavar="L", help="The language it is written to in. [new: en]")]
CapHour = Annotated[int | None, typer.Option(metavar="N", help="The most notices an hour. [new: 5]")]
CapDay = Annotated[int | None, typer.Option(metavar="N", help="The most notices a day. [new: 20]")]
NewMail = Annotated[
    Literal["on", "off"] | None,
    typer.Option("--notify-new-mail", help="Tell it of every new mail that no filter tells of. [new: off]"),
]
Quiet = Annotated[
    str | None, typer.Option(metavar="HOURS", help="When it is told nothing, such as 22:00-07:00; empty for never.")
]
Transliterate = Annotated[
    bool | None,
    typer.Option("--transliterate/--no-transliterate", help="Whether typographic characters may be written plainly."),
]


@app.command()
def add(
    context: typer.Context,
    name: Name,
    email: Emails = None,
    mobile: Mobile = None,
    plan: Plan = None,
    zone: Zone = None,
    region: Region = None,
    password_file: PasswordFile = None,
    max_parts: MaxParts = None,
    signature: Signature = None,
    text: Text = None,
    language: Language = None,
    cap_hour: CapHour = None,
    cap_day: CapDay = None,
    transliterate: Transliterate = None,
    notify_new_mail: NewMail = None,
    quiet: Quiet = None,
) -> None:
    """Add an account, with its first period of credit."""
    given = _settings(zone, region, max_parts, signature, text, language, cap_hour, cap_day, transliterate)
    config = configuration(context)
    if mobile:
        given["mobile"] = sms_number(mobile, region or config.listen.region)
    password = read_secret(password_file) if password_file is not None else None
    with store_of(config) as store:

        def work(connection: Connection) -> None:
            number = accounts.add(
                connection,
                name,
                now=utc_now(),
                addresses=email or (),
                plan=plan or None,
                password=password,
                settings={key: value for key, value in given.items() if value != ""},
            )
            _tell(connection, number, notify_new_mail, quiet)

        store.run_now(work)


def _tell(connection: Connection, account: int, notify_new_mail: str | None, quiet: str | None) -> None:
    """How it is told of its mails."""
    if notify_new_mail is not None or quiet is not None:
        new_mail = None if notify_new_mail is None else notify_new_mail == "on"
        filterbook.configure(connection, account, now=utc_now(), new_mail=new_mail, quiet=quiet)


@app.command(name="set")
def set_(
    context: typer.Context,
    name: Name,
    email: Emails = None,
    mobile: Mobile = None,
    plan: Plan = None,
    zone: Zone = None,
    region: Region = None,
    password_file: PasswordFile = None,
    max_parts: MaxParts = None,
    signature: Signature = None,
    text: Text = None,
    language: Language = None,
    cap_hour: CapHour = None,
    cap_day: CapDay = None,
    transliterate: Transliterate = None,
    notify_new_mail: NewMail = None,
    quiet: Quiet = None,
) -> None:
    """Change what is given; a new zone or plan acts on the allotment from its next period."""
    given = _settings(zone, region, max_parts, signature, text, language, cap_hour, cap_day, transliterate)
    config = configuration(context)
    password = read_secret(password_file) if password_file is not None else None
    with store_of(config) as store:
        if mobile:
            account = store.read_now(lambda connection: accounts.find(connection, name))
            mobile = sms_number(mobile, region or account.region or config.listen.region)
        if mobile is not None:
            given["mobile"] = mobile
        telling = notify_new_mail is not None or quiet is not None
        if not given and email is None and plan is None and password is None and not telling:
            raise typer.BadParameter("nothing to change was given: see tocsin account set --help")

        def work(connection: Connection) -> None:
            accounts.change(
                connection, name, now=utc_now(), addresses=email, plan=plan, password=password, settings=given
            )
            if cap_hour is not None or cap_day is not None:
                filterbook.look_again(connection, accounts.find(connection, name).id, utc_now())
            if telling:
                _tell(connection, accounts.find(connection, name).id, notify_new_mail, quiet)

        store.run_now(work)


def _settings(
    zone: str | None,
    region: str | None,
    max_parts: int | None,
    signature: str | None,
    text: str | None,
    language: str | None,
    cap_hour: int | None,
    cap_day: int | None,
    transliterate: bool | None,
) -> dict[str, Any]:
    given = {
        "zone": zone,
        "region": region,
        "max_parts": max_parts,
        "signature": signature,
        "text": text,
        "language": language,
        "cap_hour": cap_hour,
        "cap_day": cap_day,
        "transliterate": transliterate,
    }
    return {key: value for key, value in given.items() if value is not None}


@app.command(name="list")
def list_(context: typer.Context, as_json: output.Json = False) -> None:
    """List the accounts."""
    with store_of(configuration(context)) as store:
        everyone = store.read_now(accounts.everyone)
    if as_json:
        output.write_json([_document(account) for account in everyone])
        return
    rows = [
        (account.name, ", ".join(account.addresses), account.mobile, account.plan, account.zone.key, account.region)
        for account in everyone
    ]
    heads = ("account", "addresses", "mobile", "plan", "zone", "region")
    output.table(heads, rows, empty="no accounts: tocsin account add NAME --email ADDRESS")


@app.command()
def show(context: typer.Context, name: Name, as_json: output.Json = False) -> None:
    """Show one account and its settings."""
    with store_of(configuration(context)) as store:
        account = store.read_now(lambda connection: accounts.find(connection, name))
        told = store.read_now(lambda connection: filterbook.settings(connection, account.id))
    document = _document(account) | {"notify_new_mail": told.new_mail, "quiet": told.quiet}
    if as_json:
        output.write_json(document)
        return
    document["created"] = output.when(account.created)
    document["emails"] = ", ".join(account.addresses)
    shown = [(key.replace("_", "-"), _word(value)) for key, value in document.items()]
    output.table(("setting", "value"), shown, empty="")


def _word(value: Any) -> Any:
    return ("yes" if value else "no") if isinstance(value, bool) else value


@app.command()
def remove(context: typer.Context, name: Name) -> None:
    """Erase an account and everything of it; refused while something of it is on its way."""
    with store_of(configuration(context)) as store:
        store.run_now(lambda connection: accounts.remove(connection, name))


def _document(account: accounts.Account) -> dict[str, Any]:
    return {
        "id": str(account.id),
        "name": account.name,
        "emails": list(account.addresses),
        "mobile": account.mobile,
        "plan": account.plan,
        "monthly": account.monthly,
        "zone": account.zone.key,
        "region": account.region,
        "language": account.language,
        "max_parts": account.max_parts,
        "signature": account.signature,
        "text": account.text,
        "transliterate": account.transliterate,
        "cap_hour": account.cap_hour,
        "cap_day": account.cap_day,
        "created": account.created,
    }

"""`tocsin mailbox`: the mailboxes that are watched for new mail."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon.commands import new_app, output
from daemon.commands.opening import configuration, read_secret, store_of, utc_now
from daemon.config import Configuration
from gateway import mailboxes
from gateway.failure import RefusedError
from gateway.mailboxes import Login, Mailbox
from gateway.vault import Vault

app = new_app("Mailboxes that are watched for new mail.")

Account = Annotated[str, typer.Argument(metavar="ACCOUNT")]
Name = Annotated[str, typer.Argument(metavar="MAILBOX", help="Its name: what --name said, else its user.")]


class Auth(enum.StrEnum):
    """Ways to log in."""

    login = "login"
    plain = "plain"
    xoauth2 = "xoauth2"
    oauthbearer = "oauthbearer"


class Tls(enum.StrEnum):
    """When TLS begins."""

    implicit = "implicit"
    starttls = "starttls"
    none = "none"


@app.command()
def add(
    context: typer.Context,
    account: Account,
    host: Annotated[str, typer.Option(metavar="H", help="The mail server.")],
    user: Annotated[str, typer.Option(metavar="U", help="Who logs in there.")],
    password_file: Annotated[
        Path | None, typer.Option(metavar="F", help="File with the password; - reads it from stdin.")
    ] = None,
    auth: Annotated[Auth, typer.Option(help="How to log in.")] = Auth.login,
    oauth_file: Annotated[
        Path | None,
        typer.Option(metavar="F", help="For xoauth2, oauthbearer: JSON of token_url, client_id, refresh_token …"),
    ] = None,
    port: Annotated[int | None, typer.Option(metavar="P", help="[993 with implicit TLS, else 143]")] = None,
    tls: Annotated[Tls, typer.Option(help="A handshake that fails is never followed by plain text.")] = Tls.implicit,
    folder: Annotated[list[str] | None, typer.Option(metavar="F", help="What to watch; may repeat. [INBOX]")] = None,
    name: Annotated[str | None, typer.Option(metavar="T", help="What filters call it. [its user]")] = None,
) -> None:
    """Watch a mailbox, and print its name. What is in it already is old: nobody is told of it."""
    config = configuration(context)
    secret = _secret(auth.value, password_file, oauth_file)
    login = Login(host, port or mailboxes.TLS_PORTS[tls.value], tls.value, auth.value, user, secret)
    vault = Vault(config.store.keys)
    with store_of(config) as store:
        added = store.run_now(
            lambda connection: mailboxes.add(
                connection, vault, account, login, name=name, watched=folder or ("INBOX",), now=utc_now()
            )
        )
    output.say(added)


def _secret(auth: str, password_file: Path | None, oauth_file: Path | None) -> bytes:
    from daemon.watching.oauth import Credentials

    if auth in ("xoauth2", "oauthbearer"):
        if oauth_file is None or password_file is not None:
            raise typer.BadParameter(f"{auth} takes --oauth-file, and no password", param_hint="--auth")
        return Credentials.read(read_secret(oauth_file).encode()).octets()
    if password_file is None or oauth_file is not None:
        raise typer.BadParameter(f"{auth} takes --password-file: a password has no place among arguments")
    return read_secret(password_file).encode()


@app.command(name="list")
def list_(
    context: typer.Context,
    account: Annotated[str | None, typer.Argument(help="Whose; else everybody's.")] = None,
    as_json: output.Json = False,
) -> None:
    """List mailboxes, without their passwords, and how each of them is."""
    with store_of(configuration(context)) as store:
        found = store.read_now(lambda connection: mailboxes.listed(connection, account))
    if as_json:
        output.write_json([_document(one) for one in found])
        return
    rows = [
        (one.owner, one.name, f"{one.host}:{one.port}", one.user, _folders(one), one.state, one.why) for one in found
    ]
    heads = ("account", "name", "server", "user", "folders", "state", "why")
    output.table(heads, rows, empty="no mailboxes: tocsin mailbox add ACCOUNT --host H --user U --password-file F")


def _folders(one: Mailbox) -> str:
    return ", ".join(folder.name for folder in one.folders)


def _document(one: Mailbox) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "account": one.owner,
        "name": one.name,
        "host": one.host,
        "port": one.port,
        "tls": one.tls,
        "auth": one.auth,
        "user": one.user,
        "folders": [folder.name for folder in one.folders],
        "state": one.state,
        "since": one.since,
        "why": one.why,
    }


@app.command(name="test")
def try_(context: typer.Context, account: Account, name: Name, as_json: output.Json = False) -> None:
    """Log in and look into each folder now; nothing is changed there, and nobody is told of anything."""
    config = configuration(context)
    with store_of(config) as store:
        found = store.read_now(lambda connection: mailboxes.find(connection, account, name))
        tried = _try(config, found)
    if as_json:
        output.write_json(tried)
    else:
        for folder in tried["folders"]:
            output.say(f"{folder['name']}: {folder['mails']} mails")
        if not tried["idle"] and tried["ok"]:
            output.say(f"its server offers no IDLE: it is looked into every {config.watch.poll} h")
    if not tried["ok"]:
        raise RefusedError(str(tried["why"]))


def _try(config: Configuration, mailbox: Mailbox) -> dict[str, Any]:
    """Whether one gets in, what is in its folders; `why` is a sentence where one does not."""
    from daemon.watching import session
    from daemon.watching.oauth import Tokens

    allow = config.watch.allow_private_hosts
    settings = session.Settings(allow, Tokens(allow_private=allow))
    answer: dict[str, Any] = {"ok": False, "why": None, "idle": False, "folders": []}
    opened = None
    try:
        login = mailbox.login(Vault(config.store.keys))
        opened = session.connect(login, mailbox.id, settings)
        answer["idle"] = opened.can_idle
        for folder in mailbox.folders:
            answer["folders"].append({"name": folder.name, "mails": opened.open_folder(folder.name).exists})
        answer["ok"] = True
    except (*session.FAILURES, RefusedError) as error:
        answer["why"] = f"{mailbox.name} on {mailbox.host}: {' '.join(str(error).split())}"
    finally:
        if opened is not None:
            opened.close()
    return answer


@app.command(name="set")
def set_(
    context: typer.Context,
    account: Account,
    name: Name,
    password_file: Annotated[
        Path | None, typer.Option(metavar="F", help="File with the new password; - reads it from stdin.")
    ] = None,
    oauth_file: Annotated[
        Path | None, typer.Option(metavar="F", help="For xoauth2, oauthbearer: the new JSON.")
    ] = None,
) -> None:
    """Give a mailbox another password. What came since the last look is told of; what was told is not told again."""
    config = configuration(context)
    vault = Vault(config.store.keys)
    with store_of(config) as store:
        found = store.read_now(lambda connection: mailboxes.find(connection, account, name))
        secret = _secret(found.auth, password_file, oauth_file)
        store.run_now(lambda connection: mailboxes.set_secret(connection, vault, account, name, secret))


@app.command()
def remove(context: typer.Context, account: Account, name: Name) -> None:
    """Watch a mailbox no more, and forget its password."""
    with store_of(configuration(context)) as store:
        store.run_now(lambda connection: mailboxes.remove(connection, account, name))

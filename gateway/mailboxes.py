"""Watched mailboxes: whose they are, how one gets in, and which daemon looks after which.

A mailbox is leased by a node as long as its heart beats. `taken` counts the leases: whoever writes what came of a look
into it names the lease he has, and is refused once somebody else has taken the mailbox since.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from gateway import accounts, folders
from gateway.failure import RefusedError
from gateway.folders import Folder
from gateway.store import schema
from gateway.vault import Bound, Vault

_mailbox = schema.mailbox

TLS_PORTS = {"implicit": 993, "starttls": 143, "none": 143}
AUTHS = ("login", "plain", "xoauth2", "oauthbearer")
#: States of a mailbox, as `status` shows them; `refused` waits long, for its credentials are wrong.
STATES = NEW, UP, DOWN, REFUSED = "connecting", "up", "down", "refused"
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?\.?|[0-9A-Fa-f:]{2,39}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Login:
    """How one gets into a mailbox; `secret` is the password, or the JSON that OAuth tokens are got with."""

    host: str
    port: int
    tls: str
    auth: str
    user: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A watched mailbox as its row says; its secret is still sealed."""

    id: int
    account: int
    owner: str
    name: str
    host: str
    port: int
    tls: str
    auth: str
    user: str
    sealed: bytes = field(repr=False)
    folders: tuple[Folder, ...]
    node: int | None
    taken: int
    state: str
    since: datetime
    why: str
    refusals: int
    again: datetime | None
    told: bool

    @property
    def bound(self) -> Bound:
        """What its secret may be opened for."""
        return _bound(self.account, self.host, self.port, self.tls, self.user)

    def login(self, vault: Vault) -> Login:
        """How one gets in; `SealedError` where the secret does not open."""
        secret = vault.open(self.sealed, self.bound)
        return Login(self.host, self.port, self.tls, self.auth, self.user, secret)


def _bound(account: int, host: str, port: int, tls: str, user: str) -> Bound:
    return Bound(account, "mailbox", host, port, tls, user)


# Rows ----------------------------------------------------------------------------------------------------------------


def checked(login: Login) -> Login:
    """The same with its host in one form; `RefusedError` says what of it cannot be."""
    host = login.host.strip().removeprefix("[").removesuffix("]").rstrip(".").lower()
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        ascii_host = ""
    if not _HOST.fullmatch(ascii_host):
        raise RefusedError(f"{login.host!r} is no mail server: write its name or address alone, like imap.example.org")
    if not 0 < login.port < 65536:
        raise RefusedError(f"there is no port {login.port}: IMAP is at 993 with TLS, at 143 without")
    for what, said in (("user", login.user), ("password", login.secret.decode("utf-8", "replace"))):
        if not said or _CONTROL.search(said):
            raise RefusedError(f"the {what} is empty or has a control character in it")
    return Login(ascii_host, login.port, login.tls, login.auth, login.user, login.secret)


def add(
    connection: Connection,
    vault: Vault,
    account: str,
    login: Login,
    *,
    name: str | None = None,
    watched: Sequence[str] = ("INBOX",),
    now: datetime,
) -> str:
    """A new mailbox of an account, its secret sealed; its name, which is its user where none was given."""
    owner = accounts.find(connection, account)
    login = checked(login)
    name = (name or login.user).strip()
    if not name or _CONTROL.search(name) or "/" in name:
        raise RefusedError(f"{name!r} cannot be a mailbox's name: it is empty, or has / or a control character in it")
    if connection.execute(_of(owner.id, name)).first() is not None:
        raise RefusedError(f"{account} has a mailbox {name} already: give this one another with --name")
    values = {
        "account_id": owner.id,
        "name": name,
        "host": login.host,
        "port": login.port,
        "tls": login.tls,
        "auth": login.auth,
        "user": login.user,
        "sealed": vault.seal(login.secret, _bound(owner.id, login.host, login.port, login.tls, login.user)),
        "created": now,
        "state": NEW,
        "since": now,
        "why": "it was not looked into yet",
    }
    number = connection.execute(insert(_mailbox).values(values).returning(_mailbox.c.id)).scalar_one()
    folders.add(connection, number, watched)
    return name


def find(connection: Connection, account: str, name: str) -> Mailbox:
    """A mailbox of an account; `RefusedError` where there is none."""
    owner = accounts.find(connection, account)
    found = _load(connection, (_mailbox.c.account_id == owner.id) & (_mailbox.c.name == name))
    if not found:
        raise RefusedError(f"{account} has no mailbox {name}: tocsin mailbox list {account} shows them")
    return found[0]


def listed(connection: Connection, account: str | None = None) -> list[Mailbox]:
    """The mailboxes of an account, or all of them, by owner and name."""
    where = _mailbox.c.account_id == accounts.find(connection, account).id if account is not None else None
    return _load(connection, where)


def remove(connection: Connection, account: str, name: str) -> None:
    """Forget a mailbox with its secret; whoever watches it leaves it."""
    connection.execute(delete(_mailbox).where(_mailbox.c.id == find(connection, account, name).id))


def replace_secret(connection: Connection, vault: Vault, mailbox: Mailbox, secret: bytes) -> None:
    """Seal another secret in the place of the one there is."""
    sealed = vault.seal(secret, mailbox.bound)
    connection.execute(update(_mailbox).where(_mailbox.c.id == mailbox.id).values(sealed=sealed))


def set_secret(connection: Connection, vault: Vault, account: str, name: str, secret: bytes) -> None:
    """Its owner has given another secret: how far its folders were read stays, and it is tried at once.

    Whoever watches it leaves it, so that it is taken anew, as it is now.
    """
    mailbox = find(connection, account, name)
    checked(replace(_as_login(mailbox), secret=secret))
    replace_secret(connection, vault, mailbox, secret)
    anew = {"node": None, "refusals": 0, "again": None, "told": False}
    connection.execute(update(_mailbox).where(_mailbox.c.id == mailbox.id).values(anew))


def _as_login(mailbox: Mailbox) -> Login:
    return Login(mailbox.host, mailbox.port, mailbox.tls, mailbox.auth, mailbox.user, b"")


def _of(account: int, name: str) -> Any:
    return select(_mailbox.c.id).where(_mailbox.c.account_id == account, _mailbox.c.name == name)


def _load(connection: Connection, where: Any = None) -> list[Mailbox]:
    owner = schema.account
    statement = select(_mailbox, owner.c.name.label("owner")).join(owner, owner.c.id == _mailbox.c.account_id)
    if where is not None:
        statement = statement.where(where)
    rows = connection.execute(statement.order_by(owner.c.name, _mailbox.c.name)).all()
    watched = folders.of(connection, [row.id for row in rows])
    return [
        Mailbox(
            id=row.id,
            account=row.account_id,
            owner=row.owner,
            name=row.name,
            host=row.host,
            port=row.port,
            tls=row.tls,
            auth=row.auth,
            user=row.user,
            sealed=row.sealed,
            folders=watched.get(row.id, ()),
            node=row.node,
            taken=row.taken,
            state=row.state,
            since=row.since,
            why=row.why,
            refusals=row.refusals,
            again=row.again,
            told=row.told,
        )
        for row in rows
    ]


def load(connection: Connection, ids: Sequence[int]) -> list[Mailbox]:
    """The mailboxes with these ids, as far as they stand."""
    return [
        one
        for start in range(0, len(ids), 500)
        for one in _load(connection, _mailbox.c.id.in_(sorted(ids)[start : start + 500]))
    ]

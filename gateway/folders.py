"""How far each folder of a watched mailbox was read, and which mails were met in it.

A folder's mails are known by UID, as long as UIDVALIDITY is the same (RFC 9051 section 2.3.1.1). `uidnext` is the
first UID that was not looked at. Where UIDVALIDITY has changed, what was met is known again by the mails' identities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from gateway.failure import RefusedError
from gateway.store import schema

_folder, _arrived = schema.folder, schema.arrived

#: The most folders of one mailbox: each is a connection of its own.
MOST = 20


@dataclass(frozen=True, slots=True)
class Folder:
    """A watched folder: its name, and how far it was read; all None where it was never looked into.

    `checked` is when all that was in it had been looked at, by the clock of the mail server where it tells one.
    """

    name: str
    uidvalidity: int | None = None
    uidnext: int | None = None
    checked: datetime | None = None


def add(connection: Connection, mailbox: int, names: Sequence[str]) -> None:
    """The folders of a new mailbox, in this order."""
    unique = list(dict.fromkeys("INBOX" if name.upper() == "INBOX" else name for name in names))
    if not 0 < len(unique) <= MOST:
        raise RefusedError(f"{len(unique)} folders cannot be watched: name 1 to {MOST}")
    for name in unique:
        if not name or len(name) > 500 or any(ord(mark) < 32 or ord(mark) == 127 for mark in name):
            raise RefusedError(f"{name!r} cannot be a folder's name")
    rows = [{"mailbox_id": mailbox, "name": name, "place": place} for place, name in enumerate(unique)]
    connection.execute(insert(_folder), rows)


def of(connection: Connection, mailboxes: Sequence[int]) -> dict[int, tuple[Folder, ...]]:
    """The folders of these mailboxes, in the order they were named."""
    found: dict[int, list[Folder]] = {}
    for start in range(0, len(mailboxes), 500):
        some = _folder.c.mailbox_id.in_(list(mailboxes[start : start + 500]))
        for row in connection.execute(select(_folder).where(some).order_by(_folder.c.mailbox_id, _folder.c.place)):
            found.setdefault(row.mailbox_id, []).append(Folder(row.name, row.uidvalidity, row.uidnext, row.checked))
    return {mailbox: tuple(some) for mailbox, some in found.items()}


def advance(connection: Connection, mailbox: int, folder: Folder) -> None:
    """Write down how far a folder was read."""
    same = (_folder.c.mailbox_id == mailbox) & (_folder.c.name == folder.name)
    values = {"uidvalidity": folder.uidvalidity, "uidnext": folder.uidnext, "checked": folder.checked}
    connection.execute(update(_folder).where(same).values(values))


def met(connection: Connection, mailbox: int, identities: Iterable[bytes]) -> set[bytes]:
    """Which of these mails were met in this mailbox before."""
    wanted = sorted(set(identities))
    found: set[bytes] = set()
    for start in range(0, len(wanted), 500):
        some = _arrived.c.identity.in_(wanted[start : start + 500])
        found.update(
            connection.execute(select(_arrived.c.identity).where(_arrived.c.mailbox_id == mailbox, some)).scalars()
        )
    return found


def meet(connection: Connection, mailbox: int, identities: Iterable[bytes], now: datetime) -> None:
    """Remember that these mails were met."""
    rows = [{"mailbox_id": mailbox, "identity": identity, "at": now} for identity in sorted(set(identities))]
    if rows:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        connection.execute(dialect.insert(_arrived).on_conflict_do_nothing(), rows)


def forget(connection: Connection, before: datetime) -> None:
    """Forget the mails that were met before this instant."""
    connection.execute(delete(_arrived).where(_arrived.c.at < before))

"""The last mails of a watched mailbox run through one filter (`tocsin filter replay`)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from daemon.config import Configuration
from daemon.watching import looking, session
from daemon.watching.arrivals import arrived
from daemon.watching.looking import Read
from daemon.watching.oauth import Tokens
from filters.context import Source
from filters.verdict import Need
from gateway import accounts, circumstances, filterbook, mailboxes, quiet_hours, rulebook
from gateway import replay as replays
from gateway.accounts import Account
from gateway.failure import RefusedError
from gateway.mailboxes import Mailbox
from gateway.pacing import Limits
from gateway.replay import Came, Replayed
from gateway.replay import document as document
from gateway.reports import Office
from gateway.rulebook import Book, Entry
from gateway.store.store import Store
from gateway.telling import House
from gateway.vault import Vault


def replay(
    config: Configuration, store: Store, account: str, which: str, mailbox: str, last: int, now: datetime
) -> Replayed:
    """What the filter would have said of them; `RefusedError` where one does not get into the mailbox."""

    def look(connection: Connection) -> tuple[Account, Entry, Limits, Mailbox]:
        owner = accounts.find(connection, account)
        kept = filterbook.find(connection, owner.id, which)
        entry = rulebook.entry_of(kept, rulebook.parse(kept.kind, kept.source, kept.name))
        quiet = filterbook.settings(connection, owner.id).quiet
        limits = Limits(owner.zone, owner.cap_hour, owner.cap_day, quiet_hours.parse(quiet) if quiet else None)
        return owner, entry, limits, mailboxes.find(connection, account, mailbox)

    owner, entry, limits, watched = store.read_now(look)
    needs: frozenset[Need] = entry.rule.needs | {"headers"}
    came = list(_came(config, watched, entry, needs, last, now))
    office = Office(config.listen.sms_domain or socket.getfqdn(), config.routes, config.listen.postmaster or "")
    house = House(office, config.listen.region)

    def run(connection: Connection) -> Replayed:
        around = circumstances.find(connection, Book(owner.id, 0, (entry,), asks=entry.asks, books=entry.books), now)
        if around is None:
            raise RefusedError(f"there is no account {account} any more")
        return replays.replay(connection, entry, limits, around, came, house)

    return store.read_now(run)


def _came(
    config: Configuration, mailbox: Mailbox, entry: Entry, needs: frozenset[Need], last: int, now: datetime
) -> Iterator[Came]:
    """The last mails of the mailbox, of those folders that the filter looks at."""
    allow = config.watch.allow_private_hosts
    settings = session.Settings(allow, Tokens(allow_private=allow))
    reads: list[tuple[datetime, Source, Read]] = []
    opened = None
    try:
        opened = session.connect(mailbox.login(Vault(config.store.keys)), mailbox.id, settings)
        for folder in mailbox.folders:
            source = Source("mailbox", mailbox.name, folder.name)
            watches = getattr(entry.rule, "watches", None)
            if watches is not None and not watches(source):
                continue
            uids = looking.last(opened.client, last, opened.open_folder(folder.name).exists)
            for start in range(0, len(uids), looking.STEP):
                some = looking.read(opened.client, uids[start : start + looking.STEP], needs)
                reads += [(read.came or read.mail.date or now, source, read) for read in some]
    except session.FAILURES as error:
        raise RefusedError(f"{mailbox.name} on {mailbox.host}: {' '.join(str(error).split())}") from None
    finally:
        if opened is not None:
            opened.close()
    reads.sort(key=lambda one: one[0])
    make = partial(arrived, mailbox.account, authserv_id=config.listen.authserv_id)
    for at, source, read in reads[-last:]:
        yield Came(at, make(source, read))

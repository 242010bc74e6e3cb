"""The door to filters and notices for whoever sees mails arrive: judge outside the transaction, store inside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from sqlalchemy import Connection

from filters.context import Source
from filters.verdict import Need
from gateway import circumstances, duplicates, notices, verbs
from gateway.circumstances import Circumstances
from gateway.looking import Shared
from gateway.notices import Arrived, ChangedError, Judged, Noted
from gateway.reports import Office
from gateway.rulebook import Book, Rows, Rulebooks
from gateway.store.store import Store
from gateway.telling import House

#: How often a mail is judged again because filters were changed meanwhile; then what judged it last holds.
_AGAIN = 5
#: Above so many filters, or octets, a mail is judged in a thread: below, the hop would cost more than the judging.
_MANY, _LARGE = 50, 32 * 1024
#: How long what is known of an account is believed, in seconds.
_MEMORY = 1.0
_MOST_REMEMBERED = 10_000
#: What must be known as it is now.
_FRESH = frozenset({"credit_left", "sent_today"})
#: What a notice of a new mail looks at.
_NEW_MAIL_NEEDS: frozenset[Need] = frozenset({"headers"})


class Notifier:
    """Judges arrived mails by their accounts' filters, and stores what comes of them."""

    def __init__(
        self,
        store: Store,
        office: Callable[[], Office],
        taken: Callable[[Sequence[str]], None],
        *,
        now: Callable[[], datetime],
        region: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`taken` is told, after the commit, which routes have work; `region` is where national numbers are, if an
        account does not say."""
        self._store = store
        self._office = office
        self._region = region
        self._taken = taken
        self._now = now
        self._books = Rulebooks()
        self._looks = Shared(store, self._books.look)
        self._known: dict[int, tuple[float, int, Circumstances | None]] = {}

    async def take(self, arrived: Sequence[Arrived], also: Callable[[Connection], None] | None = None) -> list[Noted]:
        """Judge these mails and store their notices; returns after the commit.

        What the caller must remember of them (that they were seen) is written by `also` in the same transaction, also
        where no filter fits. Where it raises, nothing is stored, and the error comes out of here. A work of the store
        may be run again: so may `also`. A mail that was noted before makes no notice again (invariant I3), so whoever
        is not sure hands it in once more. Raises StoreError.
        """
        for again in range(_AGAIN, -1, -1):
            judged = [await self._judge(one) for one in arrived]
            try:
                noted = await self._record(judged, also, insist=not again)
            except ChangedError:
                self._known.clear()
                continue
            routes = sorted(frozenset[str]().union(*(one.routes for one in noted)))
            if routes:
                self._taken(routes)
            return noted
        raise AssertionError("unreachable")

    async def needs(self, account: int, source: Source) -> frozenset[Need]:
        """What of a mail through this door must be at hand for the account's filters and texts; empty where nothing
        would come of it, whatever it is."""
        book = await self._book(account)
        found: set[Need] = set(_NEW_MAIL_NEEDS if book.new_mail else ())
        for entry in book.entries:
            watches = getattr(entry.rule, "watches", None)
            if watches is None or watches(source):
                found |= entry.rule.needs | _NEW_MAIL_NEEDS
        return frozenset(found)

    async def _book(self, account: int) -> Book:
        return await self._open(await self._looks.ask(account))

    async def _open(self, rows: Rows) -> Book:
        if rows.filters is not None and len(rows.filters) > _MANY:
            return await asyncio.to_thread(self._books.open, rows)
        return self._books.open(rows)

    async def _judge(self, arrived: Arrived) -> Judged:
        now = self._now()
        book = await self._book(arrived.account)
        around = await self._circumstances(book, now) if book else None
        if around is None:
            return Judged(arrived.account, book.version, b"")
        if "duplicate" in book.asks:
            return await self._store.read(
                lambda connection: notices.judge(
                    book, arrived, around, now, duplicates.looker(connection, arrived.account, now)
                )
            )
        judge = partial(notices.judge, book, arrived, around, now)
        if len(book.entries) > _MANY or arrived.mail.size > _LARGE:
            return await asyncio.to_thread(judge)
        return judge()

    async def _circumstances(self, book: Book, now: datetime) -> Circumstances | None:
        """What is known of an account, or was a moment ago; in a storm it is not asked for again with every mail."""
        known = self._known.get(book.account) if _FRESH.isdisjoint(book.asks) else None
        if known is not None and known[1] == book.version and time.monotonic() - known[0] < _MEMORY:
            return known[2]
        found = await self._store.read(lambda connection: circumstances.find(connection, book, now))
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[book.account] = (time.monotonic(), book.version, found)
        return found

    async def _record(
        self, judged: Sequence[Judged], also: Callable[[Connection], None] | None, *, insist: bool
    ) -> list[Noted]:
        member = notices.Member(judged, House(self._office(), self._region()), self._now(), insist)
        if also is None:
            if not any(judged):
                return [Noted() for _ in judged]
            noted: list[Noted] = await self._store.do(verbs.NOTE, member)
            return noted

        def work(connection: Connection) -> list[Noted]:
            also(connection)
            (answer,) = notices.record_many(connection, [member], self._store.identifiers)
            if isinstance(answer, ChangedError):
                raise answer
            return answer

        return await self._store.run(work)

"""An account's filters as they are asked: parsed once, kept as long as they stand, found by one small query a mail."""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from filters import criteria, sieve
from filters.criteria import FilterError
from filters.evaluation import Rule
from filters.filter import Quiet
from gateway import quiet_hours
from gateway.pacing import Pace
from gateway.store import schema

log = logging.getLogger(__name__)

#: How many parsed filters are kept, of all accounts together.
MOST_KEPT = 50_000
#: What a filter's source holds where it asks for more than the mail: for those, more is read for each mail.
_ASKS = ("name_spoof", "credit_left", "sent_today", "duplicate")

_filter, _notifying = schema.filters, schema.notifying


@dataclass(frozen=True, slots=True)
class Entry:
    """A filter that is asked: its number, what judges, how often it may be told of."""

    id: int
    changed: datetime
    rule: Rule
    pace: Pace
    asks: frozenset[str]
    books: frozenset[str]


@dataclass(frozen=True, slots=True)
class Book:
    """An account's filters in their order, as of `version`. With `new_mail` it is told of what no filter tells of."""

    account: int
    version: int
    entries: tuple[Entry, ...] = ()
    new_mail: bool = False
    quiet: Quiet | None = None

    def __bool__(self) -> bool:
        """Whether anything can come of a mail."""
        return self.new_mail or bool(self.entries)

    asks: frozenset[str] = frozenset()
    books: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rows: Rows, entries: tuple[Entry, ...]) -> Book:
        """The book of these rows; `asks` is what must be known beside the mail, `books` whom the account knows."""
        asks = frozenset[str]().union(*(entry.asks for entry in entries))
        books = frozenset[str]().union(*(entry.books for entry in entries))
        quiet = quiet_hours.parse(rows.quiet) if rows.quiet else None
        return cls(rows.account, rows.version, entries, rows.new_mail, quiet, asks, books)


@dataclass(frozen=True, slots=True)
class Rows:
    """An account's filters as they are stored, and the book that is kept; `filters` None where that still holds."""

    account: int
    version: int = 0
    new_mail: bool = False
    quiet: str | None = None
    filters: Sequence[Any] | None = None
    book: Book | None = None


def parse(kind: str, source: str, name: str = "") -> Rule:
    """What judges by this source; FilterError with the path or the line of what is wrong."""
    if kind == "sieve":
        return sieve.parse(source, name)
    try:
        return criteria.parse(json.loads(source))
    except RecursionError:
        raise FilterError("", "it nests too deeply") from None


class Rulebooks:
    """The books of all accounts whose mails came lately. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._books: OrderedDict[int, Book] = OrderedDict()
        self._kept = 0

    def look(self, connection: Connection, account: int) -> Rows:
        """What of an account's filters is to be read anew."""
        row = connection.execute(select(_notifying).where(_notifying.c.account_id == account)).one_or_none()
        if row is None:
            return Rows(account)
        with self._lock:
            book = self._books.get(account)
        if book is not None and book.version == row.version:
            return Rows(account, row.version, row.new_mail, row.quiet, None, book)
        return Rows(account, row.version, row.new_mail, row.quiet, stored(connection, account), book)

    def open(self, rows: Rows) -> Book:
        """The book of these rows; takes as long as parsing what is new in it does."""
        if rows.filters is None:
            if rows.book is None:
                return Book(rows.account, rows.version)
            self._keep(rows.book)
            return rows.book
        known = {entry.id: entry for entry in rows.book.entries} if rows.book is not None else {}
        entries = (_entry(row, known.get(row.id)) for row in rows.filters)
        made = Book.of(rows, tuple(entry for entry in entries if entry is not None))
        self._keep(made)
        return made

    def _keep(self, book: Book) -> None:
        with self._lock:
            before = self._books.pop(book.account, None)
            self._kept += len(book.entries) - (len(before.entries) if before is not None else 0)
            self._books[book.account] = book
            while self._kept > MOST_KEPT and len(self._books) > 1:
                _, oldest = self._books.popitem(last=False)
                self._kept -= len(oldest.entries)


def stored(connection: Connection, account: int) -> Sequence[Any]:
    """The rows of an account's filters that are on, in their order."""
    statement = select(_filter).where(_filter.c.account_id == account, _filter.c.enabled.is_(True))
    return connection.execute(statement.order_by(_filter.c.place, _filter.c.id)).all()


def _entry(row: Any, known: Entry | None) -> Entry | None:
    """A filter ready to be asked; None where this version cannot read what an earlier one took."""
    if known is not None and known.changed == row.changed:
        return known
    try:
        rule = parse(row.kind, row.source, row.name)
    except FilterError as error:
        extra = {"action": "filter_unreadable", "filter": row.id}
        log.error("filter %d cannot be run and is left out: %s", row.id, error, extra=extra)
        return None
    return entry_of(row, rule)


def entry_of(row: Any, rule: Rule) -> Entry:
    """A filter as it is kept (id, changed, source), with what judges by it."""
    asks = frozenset(word for word in _ASKS if word in row.source)
    pace = Pace(row.id, getattr(rule, "max_per", None), getattr(rule, "quiet", None))
    return Entry(row.id, row.changed, rule, pace, asks, frozenset(getattr(rule, "books", ())))

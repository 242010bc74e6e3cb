"""Fixtures of notices: an account with a telephone, its filters, mails that come at a given time, what it was told."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select

from filters.context import Source
from filters.mail import Mail
from gateway import accounts, credit, filterbook, notices, summaries
from gateway.filterbook import Written
from gateway.message import Channel
from gateway.notices import Arrived, Noted
from gateway.notifier import Notifier
from gateway.reports import Office
from gateway.routing import Route
from gateway.store import schema
from gateway.store.store import Store
from gateway.summaries import Released
from gateway.telling import House

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
MOBILE = "+32475000001"
ROUTES = (
    Route("operator", frozenset({Channel.SMS}), "smpp", prefixes=("+32",)),
    Route("mail", frozenset({Channel.EMAIL}), "smtp", price=0, sender="tocsin@example.org"),
)


def written(name: str = "all", *, test: dict[str, Any] | None = None, to: str = "me", **more: Any) -> Written:
    """A filter that says the subject of every mail, or of those a test fits, to somebody by SMS."""
    when = test or {"field": "from", "op": "exists"}
    actions = [{"sms": [to], "text": "{subject}", "max_parts": 1}]
    document = {"name": name, "when": {"all": [when]}, "actions": actions, **more}
    (found,) = filterbook.read_json(json.dumps(document))
    return found


def mail(subject: str = "hello", *, of: str = "boss@corp.example", id_: str | None = "", **headers: str) -> bytes:
    """A mail as it comes; with a Message-ID made of its subject, another, or none."""
    letter = EmailMessage()
    letter["From"] = of
    letter["To"] = "ann@example.org"
    letter["Subject"] = subject
    letter["Date"] = "Tue, 10 Mar 2026 12:00:00 +0000"
    if id_ is not None:
        letter["Message-ID"] = f"<{id_ or subject.replace(' ', '.')}@corp.example>"
    for name, value in headers.items():
        letter[name.replace("_", "-")] = value
    letter.set_content("Some words.\n")
    return letter.as_bytes()


class Watch:
    """One account, told of its mails; `now` is what the clock shows."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = START
        self.kicked: list[str] = []
        self.house = House(Office("sms.example.org", ROUTES), "BE")
        self.account = 0
        self.notifier = Notifier(
            store, lambda: self.house.office, self.kicked.extend, now=lambda: self.now, region=lambda: "BE"
        )

    def open(self, *filters: Written, bought: int = 1000, name: str = "ann", **settings: Any) -> int:
        """Make the account, with a number and these filters; its id."""
        given = {"zone": "UTC", "mobile": MOBILE, **settings}

        def work(connection: Connection) -> int:
            number = accounts.add(connection, name, now=self.now, addresses=[f"{name}@example.org"], settings=given)
            if bought:
                credit.buy(connection, number, bought, reason="bought", now=self.now)
            return number

        self.account = self.store.run_now(work)
        if filters:
            self.add(*filters)
        return self.account

    def add(self, *filters: Written) -> list[int]:
        """Add filters."""
        work = partial(
            filterbook.add,
            identifiers=self.store.identifiers,
            account=self.account,
            written=filters,
            now=self.now,
        )
        return self.store.run_now(work)

    def configure(self, **settings: Any) -> None:
        """How the account is told."""
        self.store.run_now(partial(filterbook.configure, account=self.account, now=self.now, **settings))

    def arrived(self, octets: bytes, **way: Any) -> Arrived:
        """A mail that has come, as a copy unless told otherwise."""
        source = way.pop("source", Source("smtp"))
        return Arrived(way.pop("account", self.account), Mail.read(octets), source, octets, **way)

    async def come(self, *octets: bytes, after: timedelta = timedelta(), **way: Any) -> list[Noted]:
        """Mails come, one after the other, some time after the last."""
        self.now += after
        return [(await self.notifier.take([self.arrived(one, **way)]))[0] for one in octets]

    def release(self, after: timedelta = timedelta()) -> Released:
        """The planner looks, some time later, until there is nothing more to do."""
        self.now += after
        work = partial(summaries.release, identifiers=self.store.identifiers, house=self.house, now=self.now)
        done = self.store.run_now(work)
        for _ in range(5):
            if done.due is None or done.due > self.now:
                return done
            done = self.store.run_now(work)
        raise AssertionError("it goes round and round")

    def rows(self, table: Any, *conditions: Any) -> list[Any]:
        """The rows of a table."""
        statement = select(table).where(*conditions).order_by(*table.primary_key)
        return list(self.store.read_now(lambda connection: connection.execute(statement).all()))

    def texts(self, *origins: str) -> list[str]:
        """What was said, in order; of these origins only."""
        rows = self.rows(schema.message)
        return [row.text for row in rows if not origins or row.origin in origins]

    def states(self) -> list[str]:
        """How the notices stand, in the order they were made."""
        return [row.state for row in self.rows(schema.notice)]


@pytest.fixture
def watch(store: Store) -> Watch:
    """An account to be told, on the store of this test."""
    return Watch(store)


@pytest.fixture
def make_mail() -> Callable[..., bytes]:
    """Makes mails."""
    return mail


@pytest.fixture
def make_filter() -> Callable[..., Written]:
    """Makes filters."""
    return written


@pytest.fixture
def judge() -> Callable[..., Any]:
    """`gateway.notices.judge`."""
    return notices.judge

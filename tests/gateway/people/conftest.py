"""An account with a book, in one line each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway import accounts, compose, contacts, groups, lists, mail_address, optouts, verbs
from gateway.accounts import Account
from gateway.addressing import Wanted
from gateway.compose import Said
from gateway.contacts import Contact, Entry, Mailbox
from gateway.message import Channel
from gateway.quote import Quote
from gateway.routing import Route
from gateway.store.engine import open_engine, parse_url
from gateway.store.store import Store

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ROUTES = (
    Route("operator", frozenset({Channel.SMS}), "smpp", not_prefixes=("+1",)),
    Route("post", frozenset({Channel.EMAIL}), "smtp", sender="tocsin@example.org", price=0),
)


class Office:
    """Works on the books of one store, at 10 March 2026, in Belgium."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def account(self, name: str = "ann", **settings: Any) -> int:
        def work(connection: Connection) -> int:
            addresses = [f"{name}@example.org"]
            return accounts.add(connection, name, now=NOW, addresses=addresses, settings={"region": "BE", **settings})

        return self.store.run_now(work)

    def contact(self, owner: int, name: str, *numbers: str, mail: tuple[str, ...] = (), book: str = "private") -> int:
        """A contact with numbers written KIND:N."""

        def work(connection: Connection) -> int:
            entry = Entry(
                name,
                [contacts.telephone_of(one, "BE") for one in numbers],
                [Mailbox(mail_address.checked(one)) for one in mail],
            )
            return contacts.add(connection, contacts.open_book(connection, owner, book), entry, now=NOW)

        return self.store.run_now(work)

    def group(self, name: str, *members: str) -> None:
        self.store.run_now(lambda connection: groups.add(connection, name, members, now=NOW))

    def list(self, owner: int, name: str, *members: str) -> int:
        return self.store.run_now(lambda connection: lists.add(connection, owner, name, members, region="BE", now=NOW))

    def opt_out(self, *addresses: str, owner: int = optouts.EVERYBODY) -> None:
        self.store.run_now(lambda connection: optouts.add(connection, owner, addresses, now=NOW))

    def everyone(self, owner: int, book: str | None = None) -> list[Contact]:
        return self.store.read_now(lambda connection: contacts.everyone(connection, owner, book))

    def find(self, owner: int, name: str) -> Contact:
        return self.store.read_now(lambda connection: contacts.find(connection, owner, name))

    def leaves(self, owner: int, name: str) -> list[lists.Leaf]:
        def work(connection: Connection) -> list[lists.Leaf]:
            return list(lists.evaluate(connection, owner, lists.find(connection, owner, name).id))

        return self.store.read_now(work)

    def owner(self, number: int) -> Account:
        found = self.store.read_now(lambda connection: accounts.by_id(connection, number))
        assert found is not None
        return found

    def quote(self, owner: int, wanted: Wanted, text: str = "hello", **said: Any) -> Quote:
        account = self.owner(owner)
        return self.store.read_now(
            lambda connection: compose.quote(
                connection, account, wanted, Said(text, **said), routes=ROUTES, region="BE", now=NOW
            )
        )


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


@pytest.fixture(scope="session")
def fresh_office(_migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Office]]:
    """Makes offices on fresh SQLite stores, for tests that need one for each example."""
    folder = tmp_path_factory.mktemp("offices")
    open_: list[Store] = []

    def make() -> Office:
        file = folder / f"{len(open_)}.db"
        shutil.copy(_migrated_file, file)
        open_.append(verbs.open_store(open_engine(parse_url(f"sqlite:///{file}"))))
        return Office(open_[-1])

    yield make
    for store in open_:
        store.close()

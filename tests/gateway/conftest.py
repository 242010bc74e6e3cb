"""Fixtures of the gateway's tests: accounts and messages in one line, the books, a way to lose an answer to COMMIT."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Table, select

from gateway import accounts, credit, verbs
from gateway.claims import Claim
from gateway.draft import Draft, Recipient, Request, prepare
from gateway.intake import Taken
from gateway.message import OPEN, PAID, Channel, Claimed, Origin, State
from gateway.routing import Route
from gateway.settlement import Settle, Settled
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Outcome, Result

# A COMMIT whose answer is lost ----------------------------------------------------------------------------------------


class Lossy:
    """Stands between us and PostgreSQL, and cuts the connection at the next COMMIT: before it is heard, or after."""

    COMMIT = b"COMMIT\0"  # not that of BEGIN ISOLATION LEVEL READ COMMITTED

    def __init__(self, folder: Path, server: str) -> None:
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        self._open: list[socket.socket] = []
        self._lose: str | None = None
        self._at = self.COMMIT
        self._swallow: socket.socket | None = None
        self.lost = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def lose(self, when: str, at: bytes = COMMIT) -> None:
        """Cut the connection of the next COMMIT (or `at`): `before` the server hears of it, or `after` it is done."""
        self._at, self._lose = at, when

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for one in (self._listener, *self._open):
            _close(one)
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.socket(socket.AF_UNIX)
                theirs.connect(f"{self._server}/.s.PGSQL.5432")
                self._open += [ours, theirs]
                for way in (self._up, self._down):
                    self._threads.append(threading.Thread(target=way, args=(ours, theirs), daemon=True))
                    self._threads[-1].start()

    def _up(self, ours: socket.socket, theirs: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := ours.recv(65536):
                if self._lose is not None and self._at in data:
                    when, self._lose = self._lose, None
                    self.lost += 1
                    with contextlib.suppress(OSError):
                        ours.shutdown(socket.SHUT_RD)
                    if when == "after":
                        self._swallow = theirs
                        theirs.sendall(data)
                    else:
                        _close(ours)
                        _close(theirs)
                    return
                theirs.sendall(data)
        _close(theirs)

    def _down(self, ours: socket.socket, theirs: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := theirs.recv(65536):
                if self._swallow is theirs:  # the server has answered, so it is done; nobody hears of it
                    break
                ours.sendall(data)
        _close(ours)
        _close(theirs)


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@pytest.fixture
def lossy(postgresql_database: str, cluster: Any) -> Iterator[tuple[str, Lossy]]:
    """The URL of a fresh PostgreSQL store, by way of something that can lose a COMMIT; and that."""
    folder = Path(tempfile.mkdtemp(prefix="tocsin-lossy-"))
    between = Lossy(folder, str(cluster.folder))
    yield postgresql_database.replace(str(cluster.folder), str(folder)), between
    between.close()
    shutil.rmtree(folder)


# Making things --------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
#: Two operators: the second costs two units and takes other numbers.
ROUTES = (
    Route("one", frozenset({Channel.SMS}), "smpp", prefixes=("+32", "+33")),
    Route("two", frozenset({Channel.SMS}), "smpp", prefixes=("+44",), price=2, on_unknown="park"),
)


class Desk:
    """Makes accounts and messages in one line each, at 10 March 2026, noon, unless told otherwise."""

    now = NOW
    routes = ROUTES

    def __init__(self, store: Store) -> None:
        self.store = store

    def account(
        self, name: str = "ann", *, monthly: int = 0, bought: int = 0, zone: str = "UTC", now: datetime = NOW
    ) -> int:
        """A new account with a plan of its own; its id."""

        def work(connection: Connection) -> int:
            accounts.add_plan(connection, f"plan-of-{name}", monthly)
            number = accounts.add(connection, name, now=now, plan=f"plan-of-{name}", settings={"zone": zone})
            if bought:
                credit.buy(connection, number, bought, reason="bought", now=now)
            return number

        return self.store.run_now(work)

    def draft(self, account: int, *to: str, text: str = "hello", now: datetime = NOW, **options: Any) -> Draft:
        """A message to these numbers; `options` are those of Request, and `routes`."""
        routes = options.pop("routes", self.routes)
        recipients = tuple(Recipient(Channel.SMS, number) for number in to or ("+32475000001",))
        request = Request(account, options.pop("origin", Origin.API), recipients, text, **options)
        return prepare(request, routes=routes, now=now, max_parts=200, transliterate=True)

    async def submit(self, *drafts: Draft) -> list[Any]:
        """Take these in, all at once; what became of each, refusals included."""
        return await asyncio.gather(*(self.store.do(verbs.SUBMIT, draft) for draft in drafts), return_exceptions=True)

    async def send(self, account: int, *to: str, **options: Any) -> Taken:
        """Take in one message."""
        (taken,) = await self.submit(self.draft(account, *to, **options))
        assert isinstance(taken, Taken), taken
        return taken

    async def claim(self, limit: int = 100, *, route: str = "one", node: int = 1, now: datetime = NOW) -> list[Claimed]:
        claimed: list[Claimed] = await self.store.do(verbs.CLAIM, Claim(route, limit, node, now))
        return claimed

    async def settle(
        self, claimed: Iterable[Claimed], result: Result, *, node: int = 1, now: datetime = NOW, **told: Any
    ) -> Settled:
        """Record the same outcome for all of these."""
        outcomes = tuple(Outcome(one.id, result, written=now, answered=now, **told) for one in claimed)
        waits = {route.name: now + route.unknown_wait for route in self.routes}
        settled: Settled = await self.store.do(
            verbs.SETTLE, Settle(outcomes, now, waits, 0.5, node, routes=self.routes)
        )
        return settled

    async def deliver(self, account: int, *to: str, result: Result = Result.ACCEPTED, **options: Any) -> Taken:
        """Take in one message, claim it on its route, and settle it so."""
        taken = await self.send(account, *to, **options)
        await self.settle(await self.claim(), result)
        return taken

    def rows(self, table: Table, *conditions: Any) -> Sequence[Any]:
        """The rows of a table, in the order of its key."""
        statement = select(table).where(*conditions).order_by(*table.primary_key)
        return self.store.read_now(lambda connection: connection.execute(statement).all())

    def states(self, message: int | None = None) -> list[str]:
        """The states of all segments, or of one message's, in the order they were made."""
        column = schema.segment.c.message_id
        return [row.state for row in self.rows(schema.segment, *([column == message] if message else []))]

    def audit(self) -> None:
        """Check the books of every account."""
        self.store.read_now(_audit)

    def left(self, account: int, now: datetime = NOW) -> tuple[int, int]:
        """Units left of the allotment and of the provision."""
        shown = self.store.run_now(lambda connection: credit.show(connection, account, now))
        return shown["allotment"]["left"], shown["provision"]["left"]


@pytest.fixture
def desk_on() -> type[Desk]:
    """Makes a desk on any store."""
    return Desk


@pytest.fixture
def desk(store: Store) -> Desk:
    """Makes accounts and messages on the store of this test."""
    return Desk(store)


# The books ------------------------------------------------------------------------------------------------------------


def _audit(connection: Connection) -> None:
    """All of invariant I4, from the rows alone: it must hold at every moment anybody can see."""
    pots: dict[tuple[int, str], int] = defaultdict(int)
    told: dict[tuple[int, str], int] = defaultdict(int)
    for line in connection.execute(select(schema.ledger)):
        pots[line.account_id, line.pot] += line.units
        told[line.message_id, line.kind] += line.units
        assert {"grant": 1, "reserve": -1, "return": 1, "lapse": -1, "charge": 0}[line.kind] * line.units >= 0 or (
            line.kind == "grant" and line.pot == "provision"  # a mistake is corrected with a negative purchase
        )
    reserved: dict[Any, int] = defaultdict(int)
    used: dict[Any, int] = defaultdict(int)
    returned: dict[int, int] = defaultdict(int)
    taken: dict[int, int] = defaultdict(int)
    parts = [(row, State(row.state)) for row in connection.execute(select(schema.ever))]
    parts += [(row, State.QUEUED) for row in connection.execute(select(schema.chunk))]
    for row, state in parts:
        assert 0 <= row.allotment <= row.units
        assert (row.allotment == 0) == (row.period is None)
        taken[row.message_id] += row.units
        if state in OPEN or state in PAID:
            where = reserved if state in OPEN else used
            where[row.account_id] += row.units - row.allotment
            where[row.account_id, row.period] += row.allotment
        else:
            returned[row.message_id] += row.units
    for message, units in taken.items():
        # What another route costs less goes back while its segments stay.
        assert told[message, "return"] >= returned[message], f"message {message}"
        assert told[message, "reserve"] + told[message, "return"] == returned[message] - units, f"message {message}"
    for account in connection.execute(select(schema.provision)).all():
        number = account.account_id
        assert account.reserved == reserved[number]
        assert account.used == used[number]
        assert pots[number, "provision"] == account.bought - account.used - account.reserved >= 0
        statement = select(schema.period).where(schema.period.c.account_id == number).order_by(schema.period.c.starts)
        periods = connection.execute(statement).all()
        for period in periods:
            assert period.reserved == reserved[number, period.starts]
            assert period.used == used[number, period.starts]
        left = [period.granted - period.used - period.reserved - period.lapsed for period in periods]
        assert left[:-1] == [0] * (len(left) - 1)
        assert pots[number, "allotment"] == left[-1] >= 0
        assert account.current == periods[-1].starts
        assert all(before.ends == after.starts for before, after in pairwise(periods))


@pytest.fixture
def audit(store: Store) -> Iterator[Callable[[], None]]:
    """Checks the books of every account from the rows; called, and once more at the end of the test."""

    def check() -> None:
        store.read_now(_audit)

    yield check
    check()

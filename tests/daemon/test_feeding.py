"""When a route's feeder claims: once there may be something, and not again for what a claim has shown to be none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection

from daemon.board import Board
from daemon.dispatcher import Dispatcher
from gateway import verbs
from gateway.claims import Claim
from gateway.message import Channel, Claimed
from gateway.routing import Route
from gateway.store.store import Store

ROUTE = Route("operator", frozenset({Channel.SMS}), "smpp")


@dataclass
class Wish:
    """As much of a draft as the dispatcher looks at."""

    legs: Sequence[int] = (1,)
    ways: Sequence[str] = ("operator",)


@dataclass
class Way:
    """A transport that always has room, and keeps what it gets."""

    taken: list[Claimed] = field(default_factory=list)

    async def run(self) -> None:
        await asyncio.Event().wait()

    def room(self) -> int:
        return 10

    def submit(self, segments: Sequence[Claimed]) -> None:
        self.taken += segments

    async def drain(self, seconds: float) -> None:
        pass


class Desk:
    """A dispatcher on a store whose verbs write down which claims they were asked for, and find nothing."""

    def __init__(self, store: Store) -> None:
        self.claims: list[Claim] = []
        members: dict[str, Callable[[Connection, Sequence[Any]], list[Any]]] = {
            verbs.RECEIVE: lambda _, members: [None] * len(members),
            verbs.SETTLE: lambda _, members: [None] * len(members),
            verbs.SUBMIT: lambda _, members: [None] * len(members),
            verbs.CLAIM: self._claim,
        }
        self.store = Store(store.engine, members)
        board = Board(lambda: datetime.now(UTC))
        self.dispatcher = Dispatcher(self.store, board, 1, lambda _route, _hub: Way(), now=lambda: datetime.now(UTC))

    def _claim(self, _connection: Connection, claims: Sequence[Claim]) -> list[list[Claimed]]:
        self.claims += claims
        return [[] for _ in claims]

    @property
    def feeder(self) -> Any:
        return self.dispatcher._feeders["operator"]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            self.dispatcher.start(group, [ROUTE])
            await until(lambda: len(self.claims) == 1 and self.feeder.empty_until > 0)  # what it begins with
            yield
            await self.dispatcher.stop(["operator"], 0.1)


async def until(come: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not come():  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.001)


@pytest.fixture
def desk(sqlite_database: str, open_store: Callable[..., Store], monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Only SQLite's claims go along with the intake. A moment is long here, so that everything happens within one."""
    monkeypatch.setattr("daemon.feeder.MOMENT", 0.3)
    return Desk(open_store(sqlite_database))


async def test_what_came_with_its_own_claim_is_not_claimed_for_again_once_another_has_found_nothing(desk: Desk) -> None:
    async with desk.running():
        for _ in range(3):
            await desk.store.do(verbs.SUBMIT, Wish())
            desk.dispatcher.kick(["operator"])
        await desk.store.do(verbs.SUBMIT, Wish())  # the last: nobody kicks after its claim
        waits = desk.feeder.again
        assert waits is not None
        await until(lambda: desk.feeder.again is None)
        assert not desk.feeder.kicked.is_set()
        assert len(desk.claims) == 5
    desk.store.close()


async def test_what_comes_after_the_last_claim_is_claimed_for_after_a_moment(desk: Desk) -> None:
    async with desk.running():
        await desk.store.do(verbs.SUBMIT, Wish())
        desk.dispatcher.kick(["operator"])
        await desk.store.do(verbs.SUBMIT, Wish())
        desk.dispatcher.kick(["operator"])  # the claim that has just found nothing may not have seen this
        assert len(desk.claims) == 3
        await until(lambda: len(desk.claims) == 4)
    desk.store.close()


async def test_what_comes_while_a_claim_is_under_way_is_claimed_for_after_a_moment(desk: Desk) -> None:
    async with desk.running():
        await desk.store.do(verbs.SUBMIT, Wish())
        desk.feeder.empty_until = 0.0
        desk.feeder.landed.clear()  # as while a set is with the writer
        desk.dispatcher.kick(["operator"])
        desk.feeder.landed.set()
        assert not desk.feeder.kicked.is_set()
        assert len(desk.claims) == 2
        await until(lambda: len(desk.claims) == 3)
    desk.store.close()


async def test_where_nothing_is_believed_a_kick_claims_at_once(desk: Desk) -> None:
    async with desk.running():
        desk.feeder.empty_until = 0.0
        desk.dispatcher.kick(["operator"])
        assert desk.feeder.kicked.is_set()
        await until(lambda: len(desk.claims) == 2)
    desk.store.close()

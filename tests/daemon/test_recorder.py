"""Answers on their way into the store: gathered, recorded in sets, taken along by receipts, never forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection

from daemon.board import Board
from daemon.recorder import Recorder
from gateway import verbs
from gateway.settlement import Settle, Settled
from gateway.store.errors import StoreError
from gateway.store.store import Store
from gateway.transports.base import Outcome, Result

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


class Desk:
    """A recorder on a store whose verbs write down what they are asked, set by set."""

    def __init__(self, store: Store) -> None:
        self.sets: list[list[str]] = []
        self.full = False
        self.resumed = 0
        self.settled: list[int] = []
        members: dict[str, Callable[[Connection, Sequence[Any]], list[Any]]] = {
            verbs.SETTLE: self._settle,
            verbs.RECEIVE: self._receive,
        }
        self.store = Store(store.engine, members)
        self.board = Board(lambda: NOW)
        self.recorder = Recorder(self.store, self.board, self._asked, self._told, self._resumed)

    def _asked(self, told: Sequence[Any]) -> Settle:
        return Settle([outcome for outcome, _ in told], NOW, {}, 0.5, 1)

    def _told(self, _settled: Settled, outcomes: Sequence[Outcome]) -> None:
        self.settled += [outcome.segment for outcome in outcomes]

    def _resumed(self) -> None:
        self.resumed += 1

    def _settle(self, _connection: Connection, settles: Sequence[Settle]) -> list[Settled]:
        if self.full:
            raise StoreError("the disk that holds the store is full")
        self.sets.append([f"settle {len(settle.outcomes)}" for settle in settles])
        return [Settled(frozenset(), None)] * len(settles)

    def _receive(self, _connection: Connection, receipts: Sequence[Any]) -> list[None]:
        if self.sets and self.sets[-1][0].startswith("settle"):
            self.sets[-1] += [f"receive {one}" for one in receipts]
        else:
            self.sets.append([f"receive {one}" for one in receipts])
        return [None] * len(receipts)

    def add(self, *segments: int, result: Result = Result.ACCEPTED) -> None:
        for segment in segments:
            self.recorder.add(Outcome(segment, result), NOW)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.recorder.run())
        yield
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    one = Desk(store)
    yield one
    one.store.close()


async def until(come: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not come():  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.005)


async def test_answers_that_come_close_together_are_recorded_together(desk: Desk) -> None:
    async with desk.running():
        desk.add(1)
        await asyncio.sleep(0)
        desk.add(2, 3)
        await until(lambda: len(desk.settled) == 3)
    assert desk.sets == [["settle 3"]]


async def test_at_the_end_nothing_is_waited_for_and_nothing_is_left(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr("daemon.recorder.GATHER", 60.0)
    async with desk.running():
        desk.add(1, 2)
        await asyncio.sleep(0.05)
        assert desk.settled == []
        assert await desk.recorder.flush(10)
        assert desk.settled == [1, 2]


async def test_what_is_not_accepted_is_not_kept_waiting(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr("daemon.recorder.GATHER", 60.0)
    async with desk.running():
        desk.add(1)
        desk.add(2, result=Result.THROTTLED)
        await until(lambda: desk.settled == [1, 2])


async def test_answers_are_recorded_before_the_receipts_that_follow_them(desk: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr("daemon.recorder.GATHER", 60.0)
    async with desk.running():
        desk.add(1, 2)
        desk.recorder.receipt_comes()
        if desk.store.engine.dialect.name == "postgresql":  # there it hurries, in a set of its own
            await until(lambda: desk.settled == [1, 2])
        await desk.store.do(verbs.RECEIVE, "one")
        await until(lambda: desk.settled == [1, 2])
    assert [said for one in desk.sets for said in one] == ["settle 2", "receive one"]


@pytest.mark.parametrize("with_a_receipt", [False, True])
async def test_what_cannot_be_recorded_is_kept_and_said_and_tried_again(desk: Desk, with_a_receipt: bool) -> None:
    async with desk.running():
        desk.full = True
        desk.add(1, 2)
        if with_a_receipt:
            await asyncio.gather(desk.store.do(verbs.RECEIVE, "one"), return_exceptions=True)
        await until(lambda: not desk.recorder.works.is_set())
        said = desk.board.get("store", "store")
        assert said is not None
        assert (said.state, said.why.partition(",")[0]) == ("down", "2 answers cannot be recorded")
        desk.add(3)
        desk.full = False
        await until(lambda: sorted(desk.settled) == [1, 2, 3])
        assert desk.recorder.works.is_set()
        assert desk.resumed == 1
        assert desk.board.get("store", "store").state == "up"  # type: ignore[union-attr]
    assert await desk.recorder.flush(1)

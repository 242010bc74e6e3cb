"""A queue is believed empty only while it is: what comes into it by whatever way leaves before what comes later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from gateway import claims, expansion, holds, intake, verbs
from gateway.claims import Claim
from gateway.draft import Draft
from gateway.intake import COMPACT
from gateway.message import Claimed
from gateway.settlement import Settle
from gateway.store import hot, schema
from gateway.store.store import Store
from gateway.transports.base import Outcome, Result

JEAN, MARIE, PAUL, ANNE = "+32475000001", "+32475000002", "+32475000003", "+32475000004"
Story = Callable[["Room"], Awaitable[None]]


@pytest.fixture
def store(sqlite_database: str, open_store: Callable[..., Store]) -> Store:
    """Only here is anything believed."""
    return open_store(sqlite_database)


class Room:
    """A desk whose route is believed empty, and another process's desk at the same queue."""

    def __init__(self, desk: Any, other: Any) -> None:
        self.desk = desk
        self.other = other
        self.ann = desk.account(bought=5000)
        self.n = 0

    def put(self, draft: Draft) -> asyncio.Future[Any]:
        """An intake, for the next set."""
        return self.desk.store.ask(verbs.SUBMIT, draft)  # type: ignore[no-any-return]

    def ask(self, limit: int = 1, route: str = "one") -> asyncio.Future[list[Claimed]]:
        """A claim, for the next set."""
        self.n += 1
        found: asyncio.Future[list[Claimed]] = self.desk.store.ask(
            verbs.CLAIM, Claim(route, limit, 1, self.desk.now + timedelta(microseconds=self.n))
        )
        return found

    async def come(self, *to: str, limit: int = 1, **options: Any) -> list[Claimed]:
        """One message a number comes, and a claim goes along."""
        coming = [self.put(self.desk.draft(self.ann, one, **options)) for one in to]
        claim = self.ask(limit)
        await asyncio.gather(*coming)
        return await claim


@pytest.fixture
async def room(desk: Any, desk_on: Any, sqlite_database: str, open_store: Callable[..., Store]) -> AsyncIterator[Room]:
    one = Room(desk, desk_on(open_store(sqlite_database)))
    (first,) = await one.come(PAUL)
    await desk.settle([first], Result.ACCEPTED)
    assert [segment.to for segment in await one.come(PAUL)] == [PAUL]
    yield one
    desk.audit()


async def _comes_with_no_claim(room: Room) -> None:
    await room.desk.send(room.ann, JEAN)


async def _comes_with_a_claim_of_another_route(room: Room) -> None:
    draft = room.desk.draft(room.ann, JEAN)
    await asyncio.gather(room.put(draft), room.ask(route="two"))


async def _comes_with_a_claim_that_has_too_little_room(room: Room) -> None:
    assert [one.to for one in await room.come(PAUL, JEAN)] == [PAUL]


async def _is_longer_than_the_room(room: Room) -> None:
    assert await room.come(JEAN, text="long " * 80, limit=2) == []


async def _comes_with_two_claims(room: Room) -> None:
    coming = [room.put(room.desk.draft(room.ann, to)) for to in (ANNE, PAUL, JEAN)]
    *_, first, second = await asyncio.gather(*coming, room.ask(), room.ask())
    assert [one.to for one in (*first, *second)] == [ANNE, PAUL]


async def _comes_urgent(room: Room) -> None:
    await room.desk.send(room.ann, JEAN, urgent=True)


async def _is_brought_by_another_process(room: Room) -> None:
    await room.other.send(room.ann, JEAN)


async def _is_brought_by_a_work_of_this_process(room: Room) -> None:
    store, draft = room.desk.store, room.desk.draft(room.ann, JEAN)
    await store.run(lambda connection: intake.submit_many(connection, [draft], store.identifiers))


def _comes_back(result: Result) -> Story:
    async def story(room: Room) -> None:
        await room.desk.settle(await room.come(JEAN), result)

    story.__name__ = f"_comes_back_{result}"
    return story


async def _comes_back_at_another_process(room: Room) -> None:
    claimed = await room.come(JEAN)
    await room.other.settle(claimed, Result.UNSENT)


async def _comes_back_late(room: Room) -> None:
    """After its pause, in which others may pass."""
    await room.desk.settle(await room.come(JEAN), Result.TRANSIENT)
    (later,) = await room.come(MARIE)
    assert later.to == MARIE
    promoted = await room.desk.store.run(lambda one: claims.promote(one, room.desk.now + timedelta(hours=1)))
    assert promoted[0] == {"one"}


async def _comes_due(room: Room) -> None:
    assert await room.come(JEAN, at=room.desk.now + timedelta(minutes=1)) == []
    await room.desk.store.run(lambda one: claims.promote(one, room.desk.now + timedelta(minutes=1)))


async def _is_released(room: Room) -> None:
    await room.desk.store.run(lambda one: holds.stand(one, "route", ["one"], room.desk.now))
    assert await room.come(JEAN) == []

    def release(connection: Connection) -> None:
        holds.lift(connection, "route", ["one"])
        holds.release(connection, holds.Selection(route="one"), room.desk.now)

    await room.desk.store.run(release)


async def _comes_over_from_another_route(room: Room) -> None:
    """One route refused it too often, the other takes it, after its turn."""
    routes = [replace(route, prefixes=("+",), price=1) for route in room.desk.routes]
    routes = [replace(routes[0], weight=0), routes[1]]
    draft = room.desk.draft(room.ann, JEAN, routes=routes)
    _, (claimed,) = await asyncio.gather(room.put(draft), room.ask(route="two"))
    outcome = Outcome(claimed.id, Result.TRANSIENT, tries=1, elsewhere=True, written=room.desk.now)
    settle = Settle((outcome,), room.desk.now, {}, 0.5, 1, (), routes)
    await room.desk.store.do(verbs.SETTLE, settle)
    await room.desk.store.run(lambda one: claims.promote(one, room.desk.now))


async def _is_expanded_from_a_list(room: Room) -> None:
    await room.desk.send(room.ann, JEAN, *(f"+3247600{n:04}" for n in range(COMPACT)))
    await room.desk.store.run(lambda one: expansion.expand_next(one, room.desk.store.identifiers))


@pytest.mark.parametrize(
    "story",
    [
        _comes_with_no_claim,
        _comes_with_a_claim_of_another_route,
        _comes_with_a_claim_that_has_too_little_room,
        _is_longer_than_the_room,
        _comes_with_two_claims,
        _comes_urgent,
        _is_brought_by_another_process,
        _is_brought_by_a_work_of_this_process,
        _comes_back(Result.UNSENT),
        _comes_back(Result.THROTTLED),
        _comes_back_at_another_process,
        _comes_back_late,
        _comes_due,
        _is_released,
        _comes_over_from_another_route,
        _is_expanded_from_a_list,
    ],
    ids=lambda story: story.__name__.lstrip("_").replace("_", " "),
)
async def test_what_comes_later_leaves_later(room: Room, story: Story) -> None:
    await story(room)
    assert [one.to for one in await room.come(MARIE)] == [JEAN]
    assert room.desk.rows(schema.segment)[-1].state == "queued"


async def test_what_comes_back_in_the_set_in_which_more_comes_leaves_first(room: Room) -> None:
    claimed = await room.come(JEAN)
    outcome = Outcome(claimed[0].id, Result.UNSENT)
    settled = room.desk.store.ask(verbs.SETTLE, Settle((outcome,), room.desk.now, {}, 0.5, 1))
    later = await room.come(MARIE)
    assert settled.done()
    assert [one.to for one in later] == [JEAN]


async def test_it_is_believed_again_once_it_is_empty_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """And while it is, nobody asks the database."""
    asked: list[str] = []
    kinds = {claims._ANY_READY: "whether it is", claims._CLAIM: "for its next"}
    real = hot.Statement.all

    def listen(statement: hot.Statement, connection: Connection, values: Any) -> Any:
        if statement in kinds:
            asked.append(kinds[statement])
        return real(statement, connection, values)

    monkeypatch.setattr(hot.Statement, "all", listen)
    await room.come(JEAN)
    assert asked == []
    await room.come(JEAN, ANNE)
    assert asked == []
    assert [one.to for one in await room.come(MARIE)] == [ANNE]
    assert asked == ["whether it is", "for its next"]
    assert [one.to for one in await room.desk.claim()] == [MARIE]
    asked.clear()
    assert [one.to for one in await room.come(JEAN)] == [JEAN]
    assert [one.to for one in await room.come(MARIE)] == [MARIE]
    assert asked == ["whether it is"]

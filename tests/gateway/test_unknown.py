"""Segments whose answer was lost: stranded by a node that died, resent or parked, resolved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gateway import claims, settlement, unknown
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Result

pytestmark = pytest.mark.usefixtures("audit")

JEAN, MARIE = "+32475000001", "+32475000002"
LONG = "A message so long that it takes more than one segment. " * 5  # two parts
SEGMENT = schema.segment
WAIT = timedelta(minutes=2)


async def lose(desk: Any, account: int, *to: str, route: str = "one", **options: Any) -> Any:
    """A message whose answer was lost."""
    taken = await desk.send(account, *to, **options)
    await desk.settle(await desk.claim(route=route), Result.UNKNOWN)
    return taken


async def resend(store: Store, now: Any, *routes: str) -> Any:
    return await store.run(lambda connection: unknown.resend(connection, now, routes or ("one",)))


async def test_what_a_dead_node_was_submitting_becomes_unknown_what_the_living_submit_does_not(
    desk: Any, store: Store
) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann, JEAN, MARIE, "+32475000003")
    dead = await desk.claim(2, node=1)
    await desk.claim(1, node=2)
    waits = {"one": desk.now + WAIT}
    strand = lambda *alive: store.run(lambda connection: unknown.strand(connection, desk.now, waits, alive=alive))  # noqa: E731
    assert await strand(1, 2) == 0
    assert await strand(2) == 2
    assert await strand(2) == 0
    rows = desk.rows(SEGMENT)
    assert [(row.state, row.node, row.due) for row in rows] == [
        ("unknown", None, desk.now + WAIT),
        ("unknown", None, desk.now + WAIT),
        ("submitting", 2, None),
    ]
    assert [(a.segment_id, a.n, a.result, a.at) for a in desk.rows(schema.attempt)] == [
        (one.id, 1, "unknown", desk.now) for one in dead
    ]
    assert await strand() == 1


async def test_resend_queues_it_again_marked_and_it_is_charged_once(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10)
    taken = await lose(desk, ann)
    almost = desk.now + WAIT - timedelta(microseconds=1)
    assert await resend(store, almost) == (0, frozenset(), desk.now + WAIT)
    assert await resend(store, desk.now + WAIT) == (1, {"one"}, None)
    (row,) = desk.rows(SEGMENT)
    assert (row.state, row.resent, row.due) == ("queued", True, None)
    (again,) = await desk.claim()
    assert (again.resent, again.attempts) == (True, 1)
    await desk.settle([again], Result.ACCEPTED, peer_id="7")
    assert desk.states() == ["accepted"]
    assert desk.left(ann) == (0, 9)
    assert [row.kind for row in desk.rows(schema.ledger)] == ["grant", "reserve", "charge"]
    assert [(row.message_id, row.what) for row in desk.rows(schema.event)] == [(taken.id, "resent")]


async def test_park_leaves_it_for_the_operator(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10)
    await lose(desk, ann, "+447700900001", route="two")
    assert await resend(store, desk.now + WAIT) == (1, frozenset(), None)
    (row,) = desk.rows(SEGMENT)
    assert (row.state, row.resent, row.due) == ("unknown", False, None)
    assert await resend(store, desk.now + timedelta(days=9)) == (0, frozenset(), None)
    assert desk.left(ann) == (0, 8)


async def test_nothing_is_resent_past_its_validity(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10)
    await lose(desk, ann, validity=timedelta(minutes=1))
    await resend(store, desk.now + WAIT)
    assert desk.states() == ["unknown"]
    assert await store.run(lambda connection: settlement.expire(connection, desk.now + timedelta(days=1))) == 0


@pytest.mark.parametrize(
    ("result", "state", "left"),
    [(Result.ACCEPTED, "accepted", 9), (Result.PERMANENT, "failed", 10), (Result.THROTTLED, "queued", 9)],
)
async def test_the_lost_answer_that_comes_after_all_is_believed(
    desk: Any, store: Store, result: Result, state: str, left: int
) -> None:
    """The node was slow, and others took it for dead."""
    ann = desk.account(bought=10)
    await desk.send(ann)
    claimed = await desk.claim(node=1)
    waits = {"one": desk.now + WAIT}
    await store.run(lambda connection: unknown.strand(connection, desk.now, waits, alive=[2]))
    await desk.settle(claimed, result, node=1)
    assert desk.states() == [state]
    assert desk.left(ann) == (0, left)
    if state == "queued":
        await store.run(lambda connection: claims.promote(connection, desk.now))
        assert [one.id for one in await desk.claim(node=2)] == [claimed[0].id]


async def test_that_it_was_not_taken_is_no_news_once_it_was_sent_again(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann)
    first = await desk.claim(node=1)
    await store.run(lambda connection: unknown.strand(connection, desk.now, {}, alive=[2]))
    await resend(store, desk.now)
    await desk.settle(await desk.claim(node=2), Result.UNKNOWN, node=2)
    await desk.settle(first, Result.PERMANENT, node=1)
    assert desk.states() == ["unknown"]
    await desk.settle(first, Result.ACCEPTED, node=1)
    assert desk.states() == ["accepted"]


async def test_a_part_is_not_resent_when_another_has_failed_meanwhile(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann, text=LONG)
    first, second = await desk.claim()
    await desk.settle([second], Result.UNKNOWN)
    await desk.settle([first], Result.PERMANENT)
    assert desk.states() == ["failed", "unknown"]
    assert await resend(store, desk.now + WAIT) == (1, frozenset(), None)
    assert desk.states() == ["failed", "cancelled"]
    assert await desk.claim() == []
    assert desk.left(ann) == (0, 10)


@pytest.mark.parametrize(
    ("word", "state", "left", "what"),
    [("accepted", "accepted", 9, "accepted"), ("failed", "failed", 10, "failed"), ("resend", "queued", 9, "resent")],
)
async def test_the_operators_word(desk: Any, store: Store, word: str, state: str, left: int, what: str) -> None:
    ann = desk.account(bought=10)
    await lose(desk, ann)
    (row,) = desk.rows(SEGMENT)
    resolve = lambda: store.run(lambda connection: unknown.resolve(connection, [row.id], word, desk.now))  # noqa: E731
    assert await resolve() == 1
    assert await resolve() == 0
    assert desk.states() == [state]
    assert desk.left(ann) == (0, left)
    assert [event.what for event in desk.rows(schema.event)] == [what]
    (row,) = desk.rows(SEGMENT)
    assert row.resent == (word == "resend")


async def test_two_nodes_strand_and_resend_at_once_and_it_is_queued_once(
    desk: Any, store: Store, open_store: Callable[[], Store]
) -> None:
    ann = desk.account(bought=100)
    await desk.send(ann, *(f"+32475{n:06}" for n in range(50)))
    await desk.claim(50)
    stores = [store, open_store()]
    stranded = await asyncio.gather(
        *(one.run(lambda connection: unknown.strand(connection, desk.now, {}, alive=[])) for one in stores * 2)
    )
    assert sum(stranded) == 50
    counts = await asyncio.gather(
        *(one.run(lambda connection: unknown.resend(connection, desk.now, ["one"])) for one in stores * 2)
    )
    assert sum(count for count, _, _ in counts) == 50
    assert len(desk.rows(schema.event)) == 50
    assert len(await desk.claim()) == 50

"""Claims: each segment once, in fair turn between accounts (I6), bounded, and only what may leave now."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, update

from gateway import claims, credit, expansion, settlement, turns, verbs
from gateway.claims import MOST, Claim
from gateway.message import Claimed
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Result

JEAN, MARIE, PAUL = "+32475000001", "+32475000002", "+32475000003"
SEGMENT = schema.segment


def numbers(n: int) -> list[str]:
    return [f"+32475{k:06}" for k in range(n)]


# Once -----------------------------------------------------------------------------------------------------------------


async def test_a_claim_takes_what_a_transport_needs_to_say_and_marks_it_as_this_nodes(desk: Any) -> None:
    ann = desk.account(bought=10)
    taken = await desk.send(ann, JEAN, text="hello", urgent=True)
    (claimed,) = await desk.claim(node=7, now=desk.now + timedelta(hours=1))
    (row,) = desk.rows(SEGMENT)
    assert claimed == Claimed(
        id=row.id,
        message=taken.id,
        account=ann,
        n=1,
        of=1,
        to=JEAN,
        route="one",
        payload=b"hello",
        data_coding=0,
        udhi=False,
        attempts=0,
        resent=False,
        urgent=True,
        seconds_left=23 * 3600.0,
    )
    assert (row.state, row.node, row.submitted) == ("submitting", 7, desk.now + timedelta(hours=1))


async def test_what_is_claimed_is_not_claimed_again(desk: Any) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann, JEAN, MARIE)
    assert len(await desk.claim(1)) == 1
    assert len(await desk.claim()) == 1
    assert await desk.claim() == []


async def test_many_who_claim_at_once_never_get_the_same(
    desk: Any, store: Store, open_store: Callable[[], Store]
) -> None:
    ann = desk.account(bought=1000)
    await desk.send(ann, *numbers(600))
    stores = [store, open_store(), open_store()]

    async def work(node: int) -> list[int]:
        mine: list[int] = []
        while claimed := await stores[node % 3].do(verbs.CLAIM, Claim("one", 7, node, desk.now)):
            mine += [one.id for one in claimed]
        return mine

    everybodys = await asyncio.gather(*(work(node) for node in range(9)))
    everything = [one for mine in everybodys for one in mine]
    assert len(everything) == len(set(everything)) == 600
    owners = {row.id: row.node for row in desk.rows(SEGMENT)}
    assert all(owners[one] == node for node, mine in enumerate(everybodys) for one in mine)


async def test_several_claims_in_one_set_share_out_the_queue(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann, *numbers(5))
    wishes = [Claim("one", 2, 1, desk.now), Claim("two", 2, 1, desk.now), Claim("one", 2, 1, desk.now)]
    got = await asyncio.gather(*(store.do(verbs.CLAIM, wish) for wish in wishes))
    assert [len(claimed) for claimed in got] == [2, 0, 2]
    assert len({one.id for claimed in got for one in claimed}) == 4


@pytest.mark.parametrize("limit", [0, -1])
async def test_no_room_is_nothing_taken(desk: Any, limit: int) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann)
    assert await desk.claim(limit) == []
    assert desk.states() == ["queued"]


async def test_no_claim_takes_more_than_500(desk: Any) -> None:
    ann = desk.account(bought=1000)
    await desk.send(ann, *numbers(600))
    assert len(await desk.claim(10_000)) == MOST


async def test_only_what_may_leave_now_is_taken(desk: Any) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann, JEAN, at=desk.now + timedelta(hours=1))
    await desk.send(ann, MARIE)
    await desk.send(ann, "+447700900001")
    late = desk.now + timedelta(days=1)
    assert await desk.claim(now=late) == []  # its validity is over: that is the sweep's
    assert [one.to for one in await desk.claim(now=late - timedelta(microseconds=1))] == [MARIE]


async def test_what_a_lost_commit_may_have_claimed_is_reread_by_node_route_and_instant(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann, *numbers(5))
    claimed = await desk.claim(2)
    await desk.claim(1, node=2)
    await desk.claim(1, now=desk.now + timedelta(seconds=1))
    ours = Claim("one", 2, 1, desk.now)
    assert await store.read(lambda connection: claims.reread(connection, ours)) == claimed
    await desk.settle(claimed[:1], Result.ACCEPTED)
    assert await store.read(lambda connection: claims.reread(connection, ours)) == claimed[1:]


# In fair turn (I6) ----------------------------------------------------------------------------------------------------


async def test_parts_and_recipients_leave_in_their_order(desk: Any) -> None:
    ann = desk.account(bought=20)
    await desk.send(ann, JEAN, MARIE, text="long " * 50)
    await desk.send(ann, PAUL)
    claimed = await desk.claim()
    assert [(one.to, one.n) for one in claimed] == [(JEAN, 1), (JEAN, 2), (MARIE, 1), (MARIE, 2), (PAUL, 1)]


async def test_a_single_message_leaves_with_the_next_claim_whatever_others_have_waiting(desk: Any) -> None:
    ann, bob = desk.account("ann", bought=5000), desk.account("bob", bought=10)
    for start in range(5):
        await desk.send(ann, *numbers(5000)[start * 1000 : start * 1000 + 1000])
    assert {one.account for one in await desk.claim(10)} == {ann}
    await desk.send(bob, JEAN)
    assert bob in [one.account for one in await desk.claim(10)]


async def test_accounts_that_wait_together_take_turns(desk: Any) -> None:
    everybody = [desk.account(f"account-{n}", bought=100) for n in range(5)]
    for account in everybody:
        await desk.send(account, *numbers(20))
    claimed = await desk.claim(100)
    for start in range(0, 100, 5):
        assert {one.account for one in claimed[start : start + 5]} == set(everybody)


async def test_who_comes_later_shares_from_then_on_and_gets_nothing_for_the_past(desk: Any) -> None:
    ann, bob = desk.account("ann", bought=1000), desk.account("bob", bought=1000)
    await desk.send(ann, *numbers(400))
    await desk.claim(200)
    await desk.send(bob, *numbers(100))
    shared = Counter(one.account for one in await desk.claim(100))
    assert abs(shared[ann] - shared[bob]) <= 1


async def test_who_was_away_does_not_come_back_with_saved_up_turns(desk: Any) -> None:
    ann, bob = desk.account("ann", bought=1000), desk.account("bob", bought=1000)
    await desk.send(bob, JEAN)
    await desk.send(ann, *numbers(300))
    await desk.claim(200)
    await desk.send(bob, *numbers(60))
    shared = Counter(one.account for one in await desk.claim(60))
    assert abs(shared[ann] - shared[bob]) <= 1


async def test_urgent_goes_before_the_accounts_own(desk: Any) -> None:
    ann = desk.account(bought=1000)
    await desk.send(ann, *numbers(100))
    await desk.claim(10)
    await desk.send(ann, JEAN, text="now", urgent=True)
    assert "now" in [one.payload.decode() for one in await desk.claim(2)]


async def test_urgency_takes_nothing_from_others(desk: Any) -> None:
    """Bob's ten are not pushed back by a hundred urgent ones of Ann's: they still take turns."""
    ann, bob = desk.account("ann", bought=1000), desk.account("bob", bought=1000)
    await desk.send(bob, *numbers(10))
    await desk.send(ann, *numbers(100), urgent=True)
    shared = Counter(one.account for one in await desk.claim(20))
    assert shared == {ann: 10, bob: 10}


async def test_urgent_ones_cost_the_account_turns_of_its_own(desk: Any) -> None:
    """Whoever marks everything urgent gets no more than his share: what is not urgent waits for it."""
    ann, bob = desk.account("ann", bought=1000), desk.account("bob", bought=1000)
    await desk.send(ann, *numbers(50), urgent=True)
    await desk.send(ann, *numbers(50), text="later")
    await desk.send(bob, *numbers(100))
    shared = Counter(one.account for one in await desk.claim(100))
    assert shared == {ann: 50, bob: 50}


@pytest.mark.parametrize("result", [Result.THROTTLED, Result.UNSENT])
async def test_what_comes_back_unsent_goes_first_again(desk: Any, result: Result) -> None:
    ann, bob = desk.account("ann", bought=100), desk.account("bob", bought=100)
    await desk.send(ann, *numbers(10))
    await desk.send(bob, *numbers(10))
    first = await desk.claim(4)
    await desk.settle(first, result)
    assert [one.id for one in await desk.claim(4)] == [one.id for one in first]
    assert [one.attempts for one in first] == [0] * 4


async def test_a_route_that_stands_still_does_not_hold_up_another(desk: Any) -> None:
    ann = desk.account(bought=1000)
    await desk.send(ann, *numbers(300))
    await desk.send(ann, "+447700900001")
    assert [one.to for one in await desk.claim(1, route="two")] == ["+447700900001"]


async def test_long_lists_are_expanded_in_turn_too(desk: Any, store: Store) -> None:
    ann, bob = desk.account("ann", bought=20_000), desk.account("bob", bought=2000)
    await desk.send(ann, *numbers(8000))
    await desk.send(bob, *numbers(1500))
    steps = []
    for _ in range(6):
        expanded = await store.run(lambda connection: expansion.expand_next(connection, store.identifiers))
        assert expanded is not None
        message = {row.id: row.account_id for row in desk.rows(schema.message)}[expanded.message]
        steps.append(message)
    assert Counter(steps) == {ann: 3, bob: 3}


async def test_a_hundred_thousand_of_one_account_do_not_delay_anothers_single_one(desk: Any, store: Store) -> None:
    ann, bob = desk.account("ann", bought=200_000), desk.account("bob", bought=10)
    await desk.send(ann, JEAN, text="x")
    (row,) = desk.rows(SEGMENT)
    same = [column.name for column in SEGMENT.c if column.name not in ("id", "delivery_id", "rank")]
    quoted = ", ".join(f'"{name}"' for name in same)

    def flood(connection: Connection) -> None:
        order = turns.Turns(connection, [("one", ann)])
        rank = order.take("one", ann, 99_999)
        first = store.identifiers.take(connection, 99_999)[0] + 1_000_000
        connection.exec_driver_sql(
            "WITH RECURSIVE series(k) AS (SELECT 0 UNION ALL SELECT k + 1 FROM series WHERE k < 99998) "
            f"INSERT INTO segment (id, delivery_id, rank, {quoted}) "
            f"SELECT {first} + k, {first} + k, {rank} + k, {quoted} FROM segment, series WHERE segment.id = {row.id}"
        )
        order.save()
        purse = credit.load(connection, [ann], desk.now)[ann]
        purse.reserve(99_999, now=desk.now, due=desk.now, message=row.message_id, reason="")
        credit.save(connection, [purse])

    await store.run(flood)
    await desk.claim(50)
    began = time.monotonic()
    await desk.send(bob, JEAN)
    assert bob in [one.account for one in await desk.claim(50)]
    assert time.monotonic() - began < 2  # milliseconds, but this machine has others to serve
    desk.audit()


# What waits -----------------------------------------------------------------------------------------------------------


async def test_what_has_become_due_gets_its_turn(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10)
    early, late = desk.now + timedelta(minutes=1), desk.now + timedelta(minutes=2)
    await desk.send(ann, JEAN, at=late)
    await desk.send(ann, MARIE, at=early)
    promote = lambda now: store.run(lambda connection: claims.promote(connection, now))  # noqa: E731
    assert await promote(desk.now) == (frozenset(), early)
    assert await promote(early) == ({"one"}, late)
    assert [one.to for one in await desk.claim()] == [MARIE]
    assert await promote(late) == ({"one"}, None)
    assert [one.to for one in await desk.claim()] == [JEAN]


async def test_what_is_over_ends_and_its_units_return(desk: Any, store: Store) -> None:
    ann = desk.account(monthly=3, bought=10)
    await desk.send(ann, JEAN, MARIE, text="long " * 50)
    await desk.send(ann, PAUL, validity=timedelta(hours=1))
    hour = desk.now + timedelta(hours=1)
    expire = lambda now: store.run(lambda connection: settlement.expire(connection, now))  # noqa: E731
    assert await expire(hour - timedelta(microseconds=1)) == 0
    assert await expire(hour) == 1
    assert desk.states() == ["queued"] * 4 + ["expired"]
    assert desk.left(ann) == (0, 9)
    assert await expire(desk.now + timedelta(days=1)) == 4
    assert desk.left(ann) == (3, 10)
    desk.audit()


async def test_what_is_on_its_way_does_not_expire(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann, JEAN)
    await desk.claim()
    assert await store.run(lambda connection: settlement.expire(connection, desk.now + timedelta(days=9))) == 0
    assert desk.states() == ["submitting"]


async def test_the_turn_of_a_route_never_goes_back(desk: Any, store: Store) -> None:
    ann = desk.account(bought=100)
    await desk.send(ann, *numbers(20))
    first = await desk.claim(5)
    await desk.claim(5)
    (before,) = desk.rows(schema.turn)
    await desk.settle(first, Result.UNSENT)
    await desk.claim(5)
    (after,) = desk.rows(schema.turn)
    assert after.rank == before.rank
    await store.run(lambda connection: connection.execute(update(schema.turn).values(rank=before.rank + 50)))
    await desk.send(ann, JEAN)
    assert desk.rows(SEGMENT)[-1].rank == before.rank + 50

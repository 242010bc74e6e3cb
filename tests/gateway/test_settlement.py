"""Settlement: every answer moves a segment as the table says, and its units with it; once, whoever says it again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway import claims, settlement, verbs
from gateway.message import CHANGES, OPEN, PAID, State
from gateway.retry import FIRST
from gateway.settlement import Settle
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Outcome, Result

pytestmark = pytest.mark.usefixtures("audit")

JEAN, MARIE = "+32475000001", "+32475000002"
LONG = "A message so long that it takes more than one segment. " * 5  # two parts
SEGMENT = schema.segment


def ledger(desk: Any) -> list[tuple[str, str, int]]:
    return [(row.kind, row.pot, row.units) for row in desk.rows(schema.ledger) if row.kind != "grant"]


# Each answer ----------------------------------------------------------------------------------------------------------


async def test_accepted_is_paid_and_keeps_the_id_the_sms_centre_gave(desk: Any) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann)
    later = desk.now + timedelta(seconds=3)
    await desk.settle(await desk.claim(), Result.ACCEPTED, peer_id="4F2A", code="0x00000000", now=later)
    (row,) = desk.rows(SEGMENT)
    assert (row.state, row.peer_id, row.finished, row.node, row.attempts) == ("accepted", "4F2A", later, None, 1)
    (attempt,) = desk.rows(schema.attempt)
    assert (attempt.n, attempt.at, attempt.answered, attempt.result) == (1, later, later, "accepted")
    assert ledger(desk) == [("reserve", "provision", -1), ("charge", "provision", 0)]
    assert desk.left(ann) == (0, 9)


@pytest.mark.parametrize("result", [Result.THROTTLED, Result.UNSENT])
async def test_not_taken_for_now_goes_first_again_and_counts_as_no_attempt(desk: Any, result: Result) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann)
    (before,) = desk.rows(SEGMENT)
    settled = await desk.settle(await desk.claim(), result)
    (row,) = desk.rows(SEGMENT)
    assert (row.state, row.rank, row.due, row.attempts, row.node) == ("queued", before.rank, None, 0, None)
    assert settled.ready == {"one"}
    assert desk.rows(schema.attempt) == []
    assert [event.what for event in desk.rows(schema.event)] == (["throttled"] if result == Result.THROTTLED else [])


async def test_transient_waits_for_another_attempt(desk: Any) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann)
    settled = await desk.settle(await desk.claim(), Result.TRANSIENT, code="0x00000014", text="its queue is full")
    (row,) = desk.rows(SEGMENT)
    due = desk.now + timedelta(seconds=FIRST * 1.1)  # jitter is one half here
    assert (row.state, row.rank, row.due, row.attempts) == ("queued", None, due, 1)
    assert (settled.due, settled.ready) == (due, frozenset())
    (attempt,) = desk.rows(schema.attempt)
    assert (attempt.result, attempt.code, attempt.detail) == ("transient", "0x00000014", "its queue is full")
    assert desk.left(ann) == (0, 9)


async def test_transient_with_no_time_for_another_attempt_is_failed(desk: Any) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann, validity=timedelta(seconds=5))
    await desk.settle(await desk.claim(), Result.TRANSIENT, text="its queue is full")
    assert desk.states() == ["failed"]
    assert desk.left(ann) == (0, 10)
    (event,) = desk.rows(schema.event)
    assert event.detail == "its queue is full; its validity ends before another try"


async def test_waits_grow_from_attempt_to_attempt(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann)
    now, waits = desk.now, []
    for _ in range(5):
        settled = await desk.settle(await desk.claim(now=now), Result.TRANSIENT, now=now)
        waits.append((settled.due - now).total_seconds())
        now = settled.due
        await store.run(lambda connection, now=now: claims.promote(connection, now))  # type: ignore[misc]
    assert waits == [pytest.approx(FIRST * 1.1 * 2**n) for n in range(5)]
    assert [attempt.n for attempt in desk.rows(schema.attempt)] == [1, 2, 3, 4, 5]


async def test_permanent_is_failed_and_its_units_return_to_where_they_came_from(desk: Any) -> None:
    ann = desk.account(monthly=1, bought=10)
    await desk.send(ann, "+447700900001")
    await desk.settle(await desk.claim(route="two"), Result.PERMANENT, code="0x0000000b", text="no such number")
    assert desk.states() == ["failed"]
    assert desk.left(ann) == (1, 10)
    assert ledger(desk)[2:] == [("return", "allotment", 1), ("return", "provision", 1)]
    (event,) = desk.rows(schema.event)
    assert (event.what, event.detail) == ("failed", "no such number")


async def test_unknown_waits_for_a_receipt_and_stays_reserved(desk: Any) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann)
    await desk.settle(await desk.claim(), Result.UNKNOWN)
    (row,) = desk.rows(SEGMENT)
    assert (row.state, row.due, row.attempts) == ("unknown", desk.now + timedelta(minutes=2), 1)
    assert desk.left(ann) == (0, 9)
    assert ledger(desk) == [("reserve", "provision", -1)]


async def test_units_that_return_after_their_periods_end_lapse(desk: Any) -> None:
    ann = desk.account(monthly=5, zone="Europe/Brussels", now=desk.now)
    await desk.send(ann, JEAN, MARIE, validity=timedelta(days=60))
    first, second = await desk.claim()
    april = desk.now + timedelta(days=30)
    await desk.settle([first], Result.PERMANENT, now=april)
    await desk.settle([second], Result.ACCEPTED, now=april)
    assert desk.left(ann, april) == (5, 0)
    assert [(row.kind, row.units) for row in desk.rows(schema.ledger)] == [
        ("grant", 5),
        ("reserve", -2),
        ("lapse", -3),
        ("grant", 5),
        ("return", 1),
        ("lapse", -1),
        ("charge", 0),
    ]


async def test_what_costs_nothing_moves_without_the_ledger(desk: Any) -> None:
    ann = desk.account()
    free = [route for route in desk.routes if route.name == "one"]
    object.__setattr__(free[0], "price", 0)
    try:
        await desk.deliver(ann, JEAN)
    finally:
        object.__setattr__(free[0], "price", 1)
    assert desk.states() == ["accepted"]
    assert ledger(desk) == []


# The table ------------------------------------------------------------------------------------------------------------


def expected(before: State, result: Result, *, ours: bool, resent: bool) -> State:
    """Where an answer may move a segment; everywhere else it changes nothing."""
    after = {
        Result.ACCEPTED: State.ACCEPTED,
        Result.PERMANENT: State.FAILED,
        Result.UNKNOWN: State.UNKNOWN,
    }.get(result, State.QUEUED)
    if before == State.SUBMITTING:
        return after if ours else before
    if before != State.UNKNOWN or result == Result.UNKNOWN:
        return before
    return after if result == Result.ACCEPTED or not resent else before


@pytest.mark.parametrize("result", list(Result))
@pytest.mark.parametrize("resent", [False, True])
@pytest.mark.parametrize("ours", [True, False])
async def test_an_answer_moves_a_segment_only_as_the_table_allows(
    desk: Any, store: Store, result: Result, resent: bool, ours: bool
) -> None:
    ann = desk.account(bought=20)
    everywhere = list(State)
    await desk.send(ann, *(f"+3247500{n:04}" for n in range(len(everywhere))))
    ids = [row.id for row in desk.rows(SEGMENT)]

    def place(connection: Any) -> None:
        for one, state in zip(ids, everywhere, strict=True):
            values = {"state": state.value, "node": 1 if state == State.SUBMITTING else None, "resent": resent}
            connection.execute(update(SEGMENT).where(SEGMENT.c.id == one).values(**values))
        # The books as they would be in these states.
        spent = sum(state in PAID for state in everywhere)
        reserved = sum(state in OPEN for state in everywhere)
        connection.execute(update(schema.provision).values(used=spent, reserved=reserved))

    await store.run(place)
    settle = Settle(tuple(Outcome(one, result) for one in ids), desk.now, {}, 0.5, 1 if ours else 2)
    await store.do(verbs.SETTLE, settle)
    after = [State(row.state) for row in desk.rows(SEGMENT)]
    assert after == [expected(state, result, ours=ours, resent=resent) for state in everywhere]
    assert all(was == now or now in CHANGES[was] for was, now in zip(everywhere, after, strict=True))
    (row,) = desk.rows(schema.provision)
    assert row.used == sum(state in PAID for state in after)
    assert row.reserved == sum(state in OPEN for state in after)
    await store.run(_forget)  # these books were never kept from the beginning


def _forget(connection: Any) -> None:
    for table in (SEGMENT, schema.ledger, schema.provision, schema.period):
        connection.execute(table.delete())


# Again and again ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", list(Result))
async def test_the_same_answer_again_changes_nothing(desk: Any, result: Result) -> None:
    """The answer to its COMMIT was lost, so the dispatcher says it again."""
    ann = desk.account(bought=10)
    await desk.send(ann)
    claimed = await desk.claim()
    await desk.settle(claimed, result)
    tables = (SEGMENT, schema.attempt, schema.event, schema.ledger, schema.provision)
    before = [desk.rows(table) for table in tables]
    await desk.settle(claimed, result)
    assert [desk.rows(table) for table in tables] == before


async def test_two_answers_for_one_segment_in_one_set_count_once(desk: Any) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann)
    claimed = await desk.claim()
    await asyncio.gather(*(desk.settle(claimed * 2, Result.ACCEPTED) for _ in range(3)))
    assert ledger(desk) == [("reserve", "provision", -1), ("charge", "provision", 0)]
    assert len(desk.rows(schema.attempt)) == 1


async def test_a_late_answer_does_not_touch_what_another_node_is_submitting(desk: Any) -> None:
    """Node 1 was slow to record that it was throttled; meanwhile node 2 has claimed the segment."""
    ann = desk.account(bought=10)
    await desk.send(ann)
    claimed = await desk.claim(node=1)
    await desk.settle(claimed, Result.THROTTLED, node=1)
    await desk.claim(node=2)
    for result in Result:
        await desk.settle(claimed, result, node=1)
    (row,) = desk.rows(SEGMENT)
    assert (row.state, row.node) == ("submitting", 2)


async def test_an_answer_for_nothing_known_is_nothing(desk: Any, store: Store) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann)
    settle = Settle((Outcome(987654, Result.ACCEPTED),), desk.now, {}, 0.5, 1)
    assert (await store.do(verbs.SETTLE, settle)).ready == frozenset()
    assert desk.states() == ["queued"]


async def test_many_settle_at_once_and_every_unit_is_spent_once(
    desk: Any, store: Store, open_store: Callable[[], Store], desk_on: Any
) -> None:
    accounts = [desk.account(name, monthly=20, bought=100) for name in ("ann", "bob", "cy")]
    for account in accounts:
        await desk.send(account, *(f"+32475{n:06}" for n in range(60)))
    desks = [desk, desk_on(open_store()), desk_on(open_store())]

    async def work(node: int) -> None:
        mine = desks[node % 3]
        while claimed := await mine.claim(5, node=node):
            await asyncio.gather(
                mine.settle(claimed[:2], Result.ACCEPTED, node=node),
                mine.settle(claimed[1:4], Result.PERMANENT, node=node),  # the second is answered twice
                mine.settle(claimed[4:], Result.ACCEPTED, node=node),
            )

    await asyncio.gather(*(work(node) for node in range(6)))
    states = desk.states()
    assert set(states) == {"accepted", "failed"}
    assert len(states) == 180
    assert sum(sum(desk.left(account)) for account in accounts) == 3 * 120 - states.count("accepted")


# Parts ----------------------------------------------------------------------------------------------------------------


async def test_a_failed_part_cancels_its_queued_siblings_and_nothing_of_others(desk: Any, store: Store) -> None:
    ann = desk.account(bought=20)
    await desk.send(ann, JEAN, MARIE, text=LONG)
    (first,) = await desk.claim(1)
    await desk.settle([first], Result.PERMANENT)
    assert desk.states() == ["failed", "cancelled", "queued", "queued"]
    assert desk.left(ann) == (0, 18)
    held = update(SEGMENT).where(SEGMENT.c.state == "queued", SEGMENT.c.n == 2).values(state="held", rank=None)
    await store.run(lambda connection: connection.execute(held))
    await desk.settle(await desk.claim(1), Result.PERMANENT)
    assert desk.states() == ["failed", "cancelled"] * 2
    assert desk.left(ann) == (0, 20)


@pytest.mark.parametrize("result", [Result.THROTTLED, Result.UNSENT, Result.TRANSIENT])
@pytest.mark.parametrize("together", [True, False])
async def test_a_part_that_comes_back_after_a_sibling_failed_is_not_sent_again(
    desk: Any, store: Store, result: Result, together: bool
) -> None:
    ann = desk.account(bought=20)
    await desk.send(ann, text=LONG)
    first, second = await desk.claim()
    if together:
        outcomes = (Outcome(first.id, Result.PERMANENT), Outcome(second.id, result))
        await store.do(verbs.SETTLE, Settle(outcomes, desk.now, {}, 0.5, 1))
    else:
        await desk.settle([first], Result.PERMANENT)
        assert desk.states() == ["failed", "submitting"]
        await desk.settle([second], result)
    assert desk.states() == ["failed", "cancelled"]
    assert desk.left(ann) == (0, 20)


async def test_a_part_that_was_accepted_before_its_sibling_failed_is_paid(desk: Any) -> None:
    ann = desk.account(bought=20)
    await desk.send(ann, text=LONG)
    first, second = await desk.claim()
    await desk.settle([first], Result.ACCEPTED)
    await desk.settle([second], Result.PERMANENT)
    assert desk.states() == ["accepted", "failed"]
    assert desk.left(ann) == (0, 19)


async def test_a_part_that_comes_back_after_its_message_was_cancelled_is_not_sent_again(
    desk: Any, store: Store
) -> None:
    ann = desk.account(bought=20)
    await desk.send(ann, text=LONG)
    (first,) = await desk.claim(1)
    ids = [row.id for row in desk.rows(SEGMENT)]
    assert await store.run(lambda connection: settlement.cancel(connection, ids, desk.now, "not wanted")) == 1
    await desk.settle([first], Result.THROTTLED)
    assert desk.states() == ["cancelled", "cancelled"]
    assert desk.left(ann) == (0, 20)


# By hand --------------------------------------------------------------------------------------------------------------


async def test_cancel_ends_only_what_has_not_left_and_only_once(desk: Any, store: Store) -> None:
    ann = desk.account(bought=20)
    await desk.send(ann, JEAN, MARIE, "+32475000003")
    await desk.settle(await desk.claim(1), Result.ACCEPTED)
    await desk.claim(1)
    ids = [row.id for row in desk.rows(SEGMENT)]
    cancel = lambda: store.run(lambda connection: settlement.cancel(connection, ids, desk.now, "by hand"))  # noqa: E731
    assert await cancel() == 1
    assert await cancel() == 0
    assert desk.states() == ["accepted", "submitting", "cancelled"]
    assert desk.left(ann) == (0, 18)


async def test_two_cancel_the_same_at_once_and_it_is_returned_once(
    desk: Any, store: Store, open_store: Callable[[], Store]
) -> None:
    ann = desk.account(bought=20)
    await desk.send(ann, *(f"+32475{n:06}" for n in range(20)))
    ids = [row.id for row in desk.rows(SEGMENT)]
    stores = [store, open_store()]
    counts = await asyncio.gather(
        *(
            stores[n % 2].run(lambda connection: settlement.cancel(connection, ids, desk.now, "by hand"))
            for n in range(6)
        )
    )
    assert sum(counts) == 20
    assert desk.left(ann) == (0, 20)


async def test_events_tell_why_in_the_order_it_happened(desk: Any, store: Store) -> None:
    ann = desk.account(bought=20)
    taken = await desk.send(ann, text=LONG)
    first, second = await desk.claim()
    await desk.settle([second], Result.THROTTLED, text="slow down")
    await desk.settle([first], Result.PERMANENT, text="no such number")
    statement = select(schema.event.c.what, schema.event.c.detail).where(schema.event.c.message_id == taken.id)
    rows = await store.read(lambda connection: connection.execute(statement.order_by(schema.event.c.id)).all())
    assert rows == [
        ("throttled", "slow down"),
        ("failed", "no such number"),
        ("cancelled", "another part of this message failed"),
    ]

"""What is over leaves the queue's table and stays found: stories, receipts, reports, the books, erasure."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from gateway import accounts, erasure, history, reports, story, verbs
from gateway.history import REST
from gateway.receipts import Receive
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Receipt, ReceiptState, Result


async def retire(desk: Any, now: datetime, *, silent: tuple[str, ...] = ()) -> int:
    """One whole look through the queue's table."""
    after: int | None = 0
    count = 0
    while after is not None:
        found = await desk.store.read(partial(history.find, now=now, after=after, silent=silent))
        after = found.next
        count += await desk.store.run(partial(history.retire, ids=found.segments, now=now, silent=silent))
    return count


async def receive(desk: Any, peer_id: str, now: datetime, *, to: str = "+32475000001") -> int | None:
    """The operator says it was delivered; the segment it was matched to."""
    receipt = Receipt("one", peer_id, to, "", ReceiptState.DELIVERED)
    found: int | None = await desk.store.do(verbs.RECEIVE, Receive(receipt, now))
    return found


def past(desk: Any) -> list[str]:
    """The states of what is in the past."""
    return [row.state for row in desk.rows(schema.past)]


@pytest.fixture
def ann(desk: Any) -> int:
    number: int = desk.account(bought=1000)
    return number


async def test_what_is_delivered_moves_after_its_rest_and_not_before(desk: Any, ann: int, audit: Any) -> None:
    await desk.send(ann)
    await desk.settle(await desk.claim(), Result.ACCEPTED, peer_id="4F")
    await receive(desk, "4F", desk.now)
    assert await retire(desk, desk.now + REST - timedelta(seconds=1)) == 0
    assert await retire(desk, desk.now + REST) == 1
    assert desk.states() == []
    assert past(desk) == ["delivered"]


async def test_accepted_waits_for_its_receipt_until_three_days_after_its_validity(desk: Any, ann: int) -> None:
    await desk.send(ann, validity=timedelta(hours=4))
    await desk.settle(await desk.claim(), Result.ACCEPTED, peer_id="4F")
    over = desk.now + timedelta(days=3, hours=4)
    assert await retire(desk, over - timedelta(seconds=1)) == 0
    assert await retire(desk, over) == 1
    assert past(desk) == ["accepted"]


async def test_accepted_is_over_at_once_on_a_route_without_receipts(desk: Any, ann: int) -> None:
    await desk.send(ann)
    await desk.settle(await desk.claim(), Result.ACCEPTED, peer_id="4F")
    assert await retire(desk, desk.now + REST, silent=("one",)) == 1


@pytest.mark.parametrize("result", [Result.UNKNOWN, Result.TRANSIENT, Result.THROTTLED])
async def test_what_is_still_open_never_moves(desk: Any, ann: int, result: Result) -> None:
    await desk.send(ann)
    await desk.settle(await desk.claim(), result)
    await desk.send(ann)
    await desk.claim()
    await desk.send(ann)
    assert await retire(desk, desk.now + timedelta(days=400), silent=("one",)) == 0


async def test_parts_of_a_message_move_together(desk: Any, ann: int) -> None:
    await desk.send(ann, text="long " * 100)
    first, *others = await desk.claim()
    assert others
    await desk.settle([first], Result.ACCEPTED, peer_id="4F")
    later = desk.now + REST
    assert await retire(desk, later, silent=("one",)) == 0
    await desk.settle(others, Result.ACCEPTED, peer_id="5A")
    assert await retire(desk, later, silent=("one",)) == 1 + len(others)


async def test_a_receipt_brings_back_what_it_changes(desk: Any, ann: int, audit: Any) -> None:
    await desk.send(ann)
    (segment,) = await desk.claim()
    await desk.settle([segment], Result.ACCEPTED, peer_id="00B8")
    await retire(desk, desk.now + REST, silent=("one",))
    assert await receive(desk, "b8", desk.now + timedelta(hours=1)) == segment.id
    assert desk.states() == ["delivered"]
    assert past(desk) == []
    audit()
    assert await retire(desk, desk.now + timedelta(days=1)) == 1
    assert past(desk) == ["delivered"]


async def test_a_second_receipt_is_kept_with_what_is_past_and_leaves_it_there(desk: Any, ann: int) -> None:
    await desk.send(ann)
    (segment,) = await desk.claim()
    await desk.settle([segment], Result.ACCEPTED, peer_id="4F")
    await receive(desk, "4F", desk.now)
    await retire(desk, desk.now + REST)
    assert await receive(desk, "4F", desk.now + timedelta(hours=1)) == segment.id
    assert past(desk) == ["delivered"]
    assert [row.segment_id for row in desk.rows(schema.receipt)] == [segment.id] * 2


async def test_a_receipt_for_another_number_is_not_matched_in_the_past(desk: Any, ann: int) -> None:
    await desk.deliver(ann)
    await retire(desk, desk.now + REST, silent=("one",))
    assert await receive(desk, "4F", desk.now + REST, to="+32475999999") is None


async def test_an_id_given_anew_means_what_is_in_the_queue(desk: Any, ann: int) -> None:
    await desk.send(ann)
    await desk.settle(await desk.claim(), Result.ACCEPTED, peer_id="4F")
    await retire(desk, desk.now + REST, silent=("one",))
    await desk.send(ann)
    (segment,) = await desk.claim()
    await desk.settle([segment], Result.ACCEPTED, peer_id="4F")
    assert await receive(desk, "4F", desk.now + REST) == segment.id
    assert past(desk) == ["accepted"]


async def test_the_story_of_a_message_is_the_same_before_and_after(desk: Any, ann: int, store: Store) -> None:
    taken = await desk.send(ann, "+32475000001", "+32475000002", text="long " * 50)
    await desk.settle(await desk.claim(), Result.ACCEPTED, peer_id="4F")
    await receive(desk, "4F", desk.now)

    def tell(connection: Any) -> Any:
        return (
            story.show(connection, taken.id),
            story.page(connection, story.Wanted()),
            story.page(connection, story.Wanted(state=story.State.DELIVERED)),
            story.page(connection, story.Wanted(state=story.State.ACCEPTED)),
        )

    before = await store.read(tell)
    assert await retire(desk, desk.now + REST, silent=("one",)) > 0
    assert await store.read(tell) == before


async def test_a_report_tells_of_what_is_past(desk: Any, ann: int, store: Store) -> None:
    taken = await desk.send(ann, "+32475000001", "+32475000002", report_to="ann@example.org")
    one, two = await desk.claim()
    await desk.settle([one], Result.PERMANENT, text="no such number")
    await retire(desk, desk.now + REST)
    await desk.settle([two], Result.ACCEPTED)
    about = await store.read(lambda c: reports._about(c, c.execute(schema.message.select()).one(), delay=False))
    assert [told.why for told in about.told] == ["no such number"]
    assert taken.id == about.id


async def test_erasure_and_removal_leave_nothing_in_the_past(desk: Any, ann: int, store: Store) -> None:
    bob = desk.account("bob", bought=10)
    for account in (ann, bob):
        await desk.deliver(account)
    assert await retire(desk, desk.now + REST, silent=("one",)) == 2
    await store.run(lambda connection: accounts.remove(connection, "bob"))
    assert len(desk.rows(schema.past)) == 1
    await store.run(lambda connection: erasure.erase(connection, desk.now + timedelta(days=1)))
    assert desk.rows(schema.past) == []
    assert desk.rows(schema.attempt) == []

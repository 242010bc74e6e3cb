"""What waits on a route that has long been down goes over another: whole, not dearer, no faster than that sends."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from gateway import claims, rerouting, routing
from gateway.message import Channel
from gateway.routing import Route
from gateway.store import schema
from gateway.transports.base import Result

SMS = frozenset({Channel.SMS})
ONE = Route("one", SMS, "smpp", price=2, prefixes=("+324",))
TWO = Route("two", SMS, "smpp", price=2)
LONG = "0123456789" * 40

pytestmark = pytest.mark.usefixtures("audit")


def relieve(desk: Any, *routes: Route, up: tuple[str, ...] = ("two",), ill: str = "one") -> dict[str, int]:
    known = routing.with_health(routes or (ONE, TWO), {ill: "no answer"})
    given: dict[str, int] = desk.store.run_now(lambda connection: rerouting.relieve(connection, known, up, desk.now))
    return given


def where(desk: Any) -> list[str]:
    return [row.route for row in desk.rows(schema.segment)]


@pytest.fixture
def waiting(desk: Any) -> Any:
    desk.routes = (ONE, TWO)
    return desk


async def test_it_is_moved_takes_its_turn_there_and_the_timeline_says_so(waiting: Any) -> None:
    ann = waiting.account(bought=10)
    await waiting.send(ann)
    assert where(waiting) == ["one"]
    assert relieve(waiting) == {"two": 1}
    assert where(waiting) == ["two"]
    (claimed,) = await waiting.claim(route="two")
    assert claimed.attempts == 0
    await waiting.settle([claimed], Result.ACCEPTED)
    assert waiting.left(ann) == (0, 8)
    events = [(row.what, row.detail) for row in waiting.rows(schema.event) if "long been down" in row.detail]
    assert events == [("queued", "route one has long been down: by route two now")]


async def test_it_stays_while_no_other_route_is_up(waiting: Any) -> None:
    await waiting.send(waiting.account(bought=10))
    assert relieve(waiting, up=()) == {}
    assert relieve(waiting, up=("one",)) == {}
    assert where(waiting) == ["one"]


@pytest.mark.parametrize(
    "other",
    [
        Route("two", SMS, "smpp", price=3),
        Route("two", SMS, "smpp", price=1, prices={"+32": 3}),
        Route("two", SMS, "smpp", prefixes=("+33",)),
        Route("two", SMS, "smpp", not_prefixes=("+32",)),
        Route("two", SMS, "smpp", bind="receiver"),
        Route("two", SMS, "other"),
    ],
    ids=["dearer", "dearer there", "other numbers", "refused", "only receives", "of another kind"],
)
async def test_it_stays_where_the_other_is_dearer_or_does_not_take_it(waiting: Any, other: Route) -> None:
    await waiting.send(waiting.account(bought=10))
    assert relieve(waiting, ONE, other) == {}
    assert where(waiting) == ["one"]


async def test_a_long_message_goes_whole_or_not_at_all(waiting: Any) -> None:
    ann = waiting.account(bought=20)
    await waiting.send(ann, text=LONG)
    await waiting.send(ann, "+32475000002", text=LONG)
    (first, *_) = await waiting.claim(1)
    assert relieve(waiting) == {"two": 3}
    assert where(waiting) == ["one"] * 3 + ["two"] * 3
    await waiting.settle([first], Result.UNKNOWN)
    assert relieve(waiting) == {}


async def test_what_is_not_due_yet_stays(waiting: Any) -> None:
    await waiting.send(waiting.account(bought=20), at=waiting.now + timedelta(hours=1))
    assert relieve(waiting) == {}


async def test_what_may_have_been_sent_before_stays(waiting: Any) -> None:
    from gateway import unknown

    await waiting.send(waiting.account(bought=20))
    await waiting.settle(await waiting.claim(), Result.UNKNOWN)
    later = waiting.now + timedelta(minutes=3)
    waiting.store.run_now(lambda connection: unknown.resend(connection, later, ["one"]))
    assert relieve(waiting) == {}
    assert where(waiting) == ["one"]


async def test_a_text_in_one_piece_goes_only_to_a_route_that_sends_such(waiting: Any) -> None:
    payload = Route("one", SMS, "smpp", price=2, prefixes=("+324",), concat="payload")
    waiting.routes = (payload, TWO)
    await waiting.send(waiting.account(bought=20), text=LONG)
    assert relieve(waiting, payload, TWO) == {}
    also = Route("two", SMS, "smpp", price=2, concat="payload")
    assert relieve(waiting, payload, also).keys() == {"two"}


async def test_a_route_that_is_held_gets_nothing(waiting: Any) -> None:
    await waiting.send(waiting.account(bought=20))
    waiting.store.run_now(
        lambda connection: connection.execute(insert(schema.hold).values(kind="route", name="two", since=waiting.now))
    )
    assert relieve(waiting) == {}


async def test_no_more_is_moved_than_the_other_has_room_for(waiting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "MOST", 5)
    ann = waiting.account(bought=100)
    await waiting.send(ann, *(f"+3247500{n:04}" for n in range(12)))
    moved = [relieve(waiting), relieve(waiting)]
    assert moved == [{"two": 5}, {}]
    await waiting.settle(await waiting.claim(3, route="two"), Result.ACCEPTED)
    assert relieve(waiting) == {"two": 3}
    # In the order in which they came.
    assert where(waiting) == ["two"] * 8 + ["one"] * 4


async def test_accounts_keep_their_fair_turns_there(waiting: Any) -> None:
    ann, bob = waiting.account(bought=100), waiting.account("bob", bought=10)
    await waiting.send(ann, *(f"+3247500{n:04}" for n in range(20)))
    await waiting.send(bob, "+32475999999")
    relieve(waiting)
    first = await waiting.claim(2, route="two")
    assert bob in {one.account for one in first}

"""What a route refuses too often goes over another one: cut anew, never dearer, or the sender is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway import text
from gateway.message import Channel, State
from gateway.routing import Route
from gateway.store import schema
from gateway.transports.base import Result

SMS = frozenset({Channel.SMS})
FIRST = Route("one", SMS, "smpp", prefixes=("+3247",), price=2, sender="32475000000")
SECOND = Route("two", SMS, "smpp", prefixes=("+324",), price=1, sender="32475000000")
THIRD = Route("three", SMS, "smpp", prefixes=("+3",), price=2, sender="Tocsin")
LONG = "0123456789" * 40  # 3 parts by udh8 and udh16

pytestmark = pytest.mark.usefixtures("audit")


async def refuse(desk: Any, *, tries: int = 1, route: str = "one", **told: Any) -> None:
    """Whatever waits on the route is claimed, and refused for now."""
    told = {"code": "0x00000008", "text": "The SMS centre could not take it.", **told}
    await desk.settle(await desk.claim(route=route), Result.TRANSIENT, tries=tries, **told)


def said(desk: Any) -> str:
    """The text as the handset gets it."""
    rows = desk.rows(schema.segment)
    return "".join(text.decode(row.payload, row.data_coding, row.udhi) for row in sorted(rows, key=lambda row: row.n))


def ready(desk: Any) -> None:
    """What is due gets its turn."""
    from gateway import claims

    desk.store.run_now(lambda connection: claims.promote(connection, desk.now))


async def test_below_the_limit_it_stays_where_it_is(desk: Any) -> None:
    desk.routes = (FIRST, SECOND)
    await desk.send(desk.account(bought=10))
    await refuse(desk, tries=2)
    (row,) = desk.rows(schema.segment)
    assert (row.state, row.route, row.attempts, row.rank) == ("queued", "one", 1, None)
    assert row.due > desk.now


async def test_after_the_limit_it_goes_by_the_next_route_and_the_difference_goes_back(desk: Any) -> None:
    desk.routes = (FIRST, SECOND)
    ann = desk.account(monthly=1, bought=9)
    await desk.send(ann)
    assert desk.left(ann) == (0, 8)
    await refuse(desk)
    (row,) = desk.rows(schema.segment)
    assert (row.state, row.route, row.units, row.allotment) == ("queued", "two", 1, 1)
    assert desk.left(ann) == (0, 9)
    ready(desk)
    await desk.settle(await desk.claim(route="two"), Result.ACCEPTED)
    assert desk.states() == ["accepted"]


async def test_a_dearer_route_is_not_taken(desk: Any) -> None:
    desk.routes = (SECOND, THIRD)
    ann = desk.account(bought=10)
    await desk.send(ann)
    await refuse(desk, route="two")
    assert desk.states() == ["failed"]
    assert desk.left(ann) == (0, 10)


async def test_every_route_is_tried_once_and_then_the_sender_is_told(desk: Any) -> None:
    desk.routes = (FIRST, SECOND, replace(THIRD, price=1))
    await desk.send(desk.account(bought=10), report_to="ann@example.org")
    await refuse(desk)
    for route in ("two", "three"):
        ready(desk)
        await refuse(desk, route=route)
    assert desk.states() == ["failed"]
    (event,) = desk.rows(schema.event, schema.event.c.what == "failed")
    assert event.detail == "The SMS centre could not take it (tried 3 times; no other route takes it)"
    assert [row.route for row in desk.rows(schema.attempt)] == ["one", "two", "three"]
    assert desk.rows(schema.owed)


async def test_tries_on_another_route_do_not_count_here(desk: Any) -> None:
    desk.routes = (FIRST, SECOND)
    await desk.send(desk.account(bought=10))
    await refuse(desk, tries=1)
    ready(desk)
    await refuse(desk, tries=2, route="two")
    (row,) = desk.rows(schema.segment)
    assert (row.state, row.route, row.attempts) == ("queued", "two", 2)


async def test_a_doubtful_code_is_final_in_the_end_whatever_routes_there_are(desk: Any) -> None:
    desk.routes = (FIRST, SECOND)
    await desk.send(desk.account(bought=10))
    await refuse(desk, elsewhere=False)
    assert desk.states() == ["failed"]


@pytest.mark.parametrize("concat", ["udh8", "udh16", "sar", "payload"])
@pytest.mark.parametrize("before", ["udh8", "payload"])
@pytest.mark.parametrize("words", [LONG, "Ω€ж" * 80])
async def test_a_text_is_cut_anew_for_the_other_route(desk: Any, before: str, concat: str, words: str) -> None:
    desk.routes = (replace(FIRST, concat=before), replace(SECOND, concat=concat))
    ann = desk.account(bought=50)
    await desk.send(ann, text=words)
    parts = len(text.cut(words, concat=concat).parts)
    await refuse(desk)
    rows = sorted(desk.rows(schema.segment), key=lambda row: row.n)
    assert said(desk) == words
    pieces = 1 if concat == "payload" else parts
    assert [(row.state, row.route, row.n, row.parts) for row in rows] == [
        ("queued", "two", n, pieces) for n in range(1, pieces + 1)
    ]
    assert {(row.concat, row.udhi) for row in rows} == (
        {(concat, concat.startswith("udh"))} if parts > 1 else {("", False)}
    )
    assert sum(row.units for row in rows) == parts
    assert desk.left(ann) == (0, 50 - parts)
    ready(desk)
    claimed = await desk.claim(route="two")
    assert len(claimed) == pieces
    await desk.settle(claimed, Result.ACCEPTED)
    assert set(desk.states()) == {"accepted"}


async def test_it_is_not_cut_anew_once_a_part_was_accepted(desk: Any) -> None:
    desk.routes = (FIRST, replace(SECOND, concat="udh16"))
    await desk.send(desk.account(bought=50), text=LONG)
    first, *others = await desk.claim()
    before = {row.id: row.payload for row in desk.rows(schema.segment)}
    await desk.settle([first], Result.ACCEPTED)
    await desk.settle(others, Result.TRANSIENT, tries=1)
    rows = desk.rows(schema.segment)
    assert {row.id: row.payload for row in rows} == before
    assert [(row.state, row.route) for row in rows] == [("accepted", "one"), ("queued", "two"), ("queued", "two")]


@pytest.mark.parametrize("change", [{"sender": "Tocsin"}, {"price": 3}])
async def test_after_a_part_was_accepted_the_others_follow_only_where_the_handset_can_join_them(
    desk: Any, change: dict[str, Any]
) -> None:
    desk.routes = (FIRST, replace(SECOND, **change))
    ann = desk.account(bought=50)
    await desk.send(ann, text=LONG)
    first, *others = await desk.claim()
    await desk.settle([first], Result.ACCEPTED)
    await desk.settle(others, Result.TRANSIENT, tries=1)
    assert desk.states() == ["accepted", "failed", "failed"]
    assert desk.left(ann) == (0, 48)


async def test_while_another_part_is_in_flight_nothing_is_decided(desk: Any) -> None:
    desk.routes = (FIRST, SECOND)
    await desk.send(desk.account(bought=50), text=LONG)
    first, *others = await desk.claim()
    await desk.settle([first], Result.TRANSIENT, tries=1)
    row = desk.rows(schema.segment)[0]
    assert (row.state, row.route) == ("queued", "one")
    await desk.settle(others, Result.ACCEPTED)
    assert desk.states() == ["queued", "accepted", "accepted"]


async def test_a_part_that_was_resent_may_have_been_accepted(desk: Any) -> None:
    desk.routes = (replace(FIRST, concat="payload"), SECOND)
    await desk.send(desk.account(bought=50), text=LONG)
    (whole,) = await desk.claim()
    await desk.settle([whole], Result.UNKNOWN)
    from gateway import unknown

    desk.store.run_now(lambda connection: unknown.resolve(connection, [whole.id], "resend", desk.now))
    ready(desk)
    await refuse(desk)
    assert desk.states() == ["failed"], "three parts beside the whole would be no second copy of it"


async def test_a_route_the_operator_holds_is_not_taken(desk: Any) -> None:
    from sqlalchemy import insert

    desk.routes = (FIRST, SECOND)
    hold = {"kind": "route", "name": "two", "since": desk.now}
    desk.store.run_now(lambda connection: connection.execute(insert(schema.hold), hold))
    await desk.send(desk.account(bought=50))
    await refuse(desk)
    assert desk.states() == ["failed"]


async def test_a_refused_part_cancels_its_siblings_and_the_sender_is_told_of_each(
    desk: Any, audit: Callable[[], None]
) -> None:
    desk.routes = (FIRST,)
    ann = desk.account(bought=50)
    taken = await desk.send(ann, text=LONG, report_to="ann@example.org")
    claimed = await desk.claim(2)
    await desk.settle(claimed[:1], Result.ACCEPTED)
    await desk.settle(claimed[1:], Result.PERMANENT, text="The operator says that this number cannot get messages.")
    assert desk.states() == [State.ACCEPTED, State.FAILED, State.CANCELLED]
    assert desk.left(ann) == (0, 48), "one part was accepted, and is paid"
    events = {row.what: row.detail for row in desk.rows(schema.event)}
    assert events["failed"] == "The operator says that this number cannot get messages."
    assert events["cancelled"] == "another part of this message failed"
    assert [row.message_id for row in desk.rows(schema.owed)] == [taken.id]
    audit()

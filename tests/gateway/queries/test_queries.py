"""When the operator is asked about an accepted segment whose receipt never came."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway import queries, verbs
from gateway.message import Channel
from gateway.receipts import Receive
from gateway.routing import Route
from gateway.store import schema
from gateway.transports.base import Question, Receipt, ReceiptState, Result

ROUTE = Route("one", frozenset({Channel.SMS}), "smpp", query=True, validity=timedelta(hours=1))
MINUTE = timedelta(minutes=1)

pytestmark = pytest.mark.usefixtures("audit")


def due(desk: Any, after: timedelta, route: str = "one", limit: int = 10) -> list[Question]:
    found: list[Question] = desk.store.run_now(
        lambda connection: queries.due(connection, route, limit, desk.now + after)
    )
    return found


@pytest.fixture
async def asked(desk: Any) -> Any:
    """One segment was accepted as 7f, on a route that asks."""
    desk.routes = (ROUTE,)
    await desk.send(desk.account(bought=10))
    await desk.settle(await desk.claim(), Result.ACCEPTED, peer_id="7F")
    return desk


async def test_it_is_asked_ten_minutes_later_and_then_at_twice_its_age(asked: Any) -> None:
    (row,) = asked.rows(schema.segment)
    assert due(asked, 9 * MINUTE) == []
    assert due(asked, 10 * MINUTE) == [Question(row.id, "7F", "+32475000001")]
    assert due(asked, 19 * MINUTE) == []
    assert len(due(asked, 20 * MINUTE)) == 1
    assert due(asked, 39 * MINUTE) == []
    assert len(due(asked, 40 * MINUTE)) == 1


async def test_three_days_after_its_validity_it_is_left_alone(asked: Any) -> None:
    assert len(due(asked, timedelta(days=2))) == 1
    assert due(asked, timedelta(days=30)) == []
    (row,) = asked.rows(schema.segment)
    assert row.due is None


async def test_who_has_its_receipt_is_not_asked_about(asked: Any) -> None:
    receipt = Receipt("one", "7f", "+32475000001", "", ReceiptState.DELIVERED)
    await asked.store.do(verbs.RECEIVE, Receive(receipt, asked.now))
    assert asked.states() == ["delivered"]
    assert due(asked, timedelta(hours=1)) == []


@pytest.mark.parametrize("change", [{"query": False}, {"receipts": False}])
async def test_a_route_that_does_not_ask_asks_nothing(desk: Any, change: dict[str, bool]) -> None:
    desk.routes = (replace(ROUTE, **change),)
    await desk.send(desk.account(bought=10))
    await desk.settle(await desk.claim(), Result.ACCEPTED, peer_id="7F")
    assert due(desk, timedelta(hours=1)) == []


async def test_without_an_id_there_is_nothing_to_ask_by(desk: Any) -> None:
    desk.routes = (ROUTE,)
    await desk.send(desk.account(bought=10))
    await desk.settle(await desk.claim(), Result.ACCEPTED, peer_id="")
    assert due(desk, timedelta(hours=1)) == []


async def test_each_route_is_asked_by_itself_and_no_more_than_it_takes(asked: Any) -> None:
    (row,) = asked.rows(schema.segment)
    await asked.send(row.account_id, "+32475000002", "+32475000003")
    await asked.settle(await asked.claim(), Result.ACCEPTED, peer_id="80")
    assert due(asked, 10 * MINUTE, route="two") == []
    assert len(due(asked, 10 * MINUTE, limit=2)) == 2
    assert len(due(asked, 10 * MINUTE, limit=2)) == 1

"""Asking by query_sm, and answers that come after they were given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.message import Channel
from gateway.routing import Route
from gateway.transports.base import LinkState, Question, ReceiptState, Result
from gateway.transports.smpp.centre import Centre
from gateway.transports.smpp.pdu import QueryAnswer
from gateway.transports.smpp.receipt import read_report

Segments = Callable[..., Any]
Carrier = Callable[..., Any]
ROUTE = Route("operator", frozenset({Channel.SMS}), "smpp", sender="32475000000")


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (2, ReceiptState.DELIVERED),
        (3, ReceiptState.EXPIRED),
        (4, ReceiptState.DELETED),
        (5, ReceiptState.UNDELIVERED),
        (8, ReceiptState.REJECTED),
    ],
)
def test_a_final_state_is_a_receipt(number: int, state: ReceiptState) -> None:
    receipt = read_report(ROUTE, Question(1, "7F", "+32475000001"), QueryAnswer("7f", "261123120000000+", number, 9))
    assert receipt is not None
    assert (receipt.id, receipt.to, receipt.state) == ("7F", "+32475000001", state)
    assert (receipt.done, receipt.error) == ("261123120000", "009")


@pytest.mark.parametrize("number", [0, 1, 6, 7, 99])
def test_what_is_not_final_is_none(number: int) -> None:
    assert read_report(ROUTE, Question(1, "7f", "+32475000001"), QueryAnswer("7f", "", number)) is None


async def test_what_the_centre_says_when_asked_is_recorded_like_a_receipt(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port) as hub:
        hub.send([segment(1)])
        await hub.until_settled(1)
        assert hub.transport.may_ask() == 1
        hub.transport.ask([Question(1, hub.outcomes[0].peer_id, "+32470000001")])
        assert hub.transport.may_ask() == 0, "one at a time"
        await hub.until(lambda: len(hub.receipts) == 1)
        assert centre.queries == [hub.outcomes[0].peer_id]
        assert hub.receipts[0].state is ReceiptState.DELIVERED
        assert hub.transport.may_ask() == 1


async def test_a_centre_that_does_not_know_the_question_is_not_asked_again(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port) as hub:
        centre.query_status = 0x03
        await centre.bound()
        await hub.until_state(LinkState.UP)
        hub.transport.ask([Question(1, "7f", "+32470000001")])
        await centre.asked(1)
        hub.send([segment(1)])
        await hub.until_settled(1)
        assert hub.transport.may_ask() == 0
        assert hub.receipts == []


async def test_a_question_nobody_answers_harms_nothing(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, window=1, response_timeout=0.2) as hub:
        centre.query_status = -1
        await hub.until_state(LinkState.UP)
        hub.transport.ask([Question(1, "7f", "+32470000001")])
        hub.insists = True
        hub.send([segment(1)])
        await hub.until(lambda: bool(hub.of(Result.ACCEPTED)))
        assert centre.binds == centre.binds[:1], "it stays bound"


async def test_an_answer_that_comes_after_all_is_told(carrier: Carrier, segment: Segments) -> None:
    async with Centre(receipts=False) as centre, carrier(centre.port, response_timeout=0.3) as hub:
        centre.delay = 0.6
        hub.send([segment(1)])
        await hub.until_settled(1)
        assert hub.outcomes[0].result is Result.UNKNOWN
        await hub.until_settled(2)
        assert hub.outcomes[1].result is Result.ACCEPTED
        assert hub.outcomes[1].peer_id == centre.received[0].id

"""A route that has long been down, in the whole daemon: others take over, what waits goes by them, it comes back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from gateway import health, presence
from gateway.message import State
from gateway.transports.smpp.centre import Centre

Start = Callable[..., Any]
pytestmark = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is half a minute to people is half a second here."""
    monkeypatch.setattr(health, "LONG", timedelta(seconds=0.5))
    monkeypatch.setattr(presence, "BEAT", 0.1)


def texts(centre: Centre) -> set[str]:
    return {one.text for one in centre.received}


async def test_what_waits_goes_by_the_other_and_new_messages_too_until_it_is_back(daemon: Start) -> None:
    async with Centre(receipts=False) as away, Centre(receipts=False) as spare:
        port = away.port
        await away.stop()
        other = {"name": "spare", "port": spare.port, "weight": 0}
        one = await daemon(port, others=[other])
        await one.send(40)
        assert await one.rests() == {State.ACCEPTED: 40}
        assert texts(spare) == {f"message {n}" for n in range(40)}
        assert {row.route for row in one.books.rows()} == {"spare"}
        one.check([taken.text for taken in spare.received])
        one.told("cannot reach 127.0.0.1", "down")
        (operator, _) = one.house.routes()
        assert operator.ailing.startswith("cannot reach 127.0.0.1")
        # Known by now: what comes next does not wait at all.
        await one.send(10)
        assert {row.route for row in one.books.rows()} == {"spare"}
        await one.rests()
        async with Centre(receipts=False, port=port) as back:
            await back.bound()
            await one.until(lambda: not one.house.routes()[0].ailing)
            await one.send(10)
            await one.rests()
            assert texts(back) == {f"message {n}" for n in range(50, 60)}
            one.check([taken.text for taken in (*spare.received, *back.received)])


async def test_a_moment_without_a_link_moves_nothing(daemon: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "LONG", timedelta(seconds=30))
    async with Centre(receipts=False) as away, Centre(receipts=False) as spare:
        one = await daemon(away.port, others=[{"name": "spare", "port": spare.port, "weight": 0}])
        await away.bound()
        port = away.port
        await away.stop()
        await one.send(10)
        await one.until(lambda: any(state == "down" for state, _ in one.said))
        async with Centre(receipts=False, port=port) as back:
            await one.rests()
            assert (len(back.received), len(spare.received)) == (10, 0)


async def test_a_dearer_route_takes_nothing_of_what_was_quoted_for_less(daemon: Start) -> None:
    async with Centre(receipts=False) as away, Centre(receipts=False) as spare:
        port = away.port
        await away.stop()
        one = await daemon(port, others=[{"name": "spare", "port": spare.port, "weight": 0, "price": 2}])
        await one.send(5)
        await one.until(lambda: bool(one.house.routes()[0].ailing))
        with contextlib.suppress(TimeoutError):
            await one.rests(1.5)
        assert one.books.states() == {State.QUEUED: 5}
        await one.send(5)  # quoted at the other's price
        await one.until(lambda: spare.total == 5)
        async with Centre(receipts=False, port=port):
            assert await one.rests() == {State.ACCEPTED: 10}
        one.house.board.set("route", "spare", "up")
        assert one.books.faults_of_credit() == []

"""What is older than is kept goes, with all that tells of it; what is open, and the ledger, stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from gateway import accounts, credit, draft, erasure, verbs
from gateway.claims import Claim
from gateway.message import Channel, Origin
from gateway.routing import Route
from gateway.settlement import Settle
from gateway.store import schema
from gateway.store.store import Store
from gateway.transports.base import Outcome, Result

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
OLD = NOW - timedelta(days=400)
ROUTE = Route("operator", frozenset({Channel.SMS}), "smpp")
TABLES = ("message", "delivery", "segment", "attempt", "event")


@pytest.fixture
async def account(store: Store) -> int:
    def person(connection: Any) -> int:
        number = accounts.add(connection, "jean", now=OLD)
        credit.buy(connection, number, 10_000, reason="test", now=OLD)
        return number

    return await store.run(person)


async def send(store: Store, account: int, at: datetime, *, settled: bool = True) -> int:
    request = draft.Request(account, Origin.API, (draft.Recipient(Channel.SMS, "+32475123456"),), "hello")
    prepared = draft.prepare(request, routes=[ROUTE], now=at, max_parts=6, transliterate=True)
    taken = await store.do(verbs.SUBMIT, prepared)
    if settled:
        (segment,) = await store.do(verbs.CLAIM, Claim("operator", 1, 1, at))
        outcome = Outcome(segment.id, Result.ACCEPTED, peer_id=str(segment.id), written=at, answered=at)
        await store.do(verbs.SETTLE, Settle((outcome,), at, {}, 0.0, 1))
    number: int = taken.id
    return number


async def counts(store: Store) -> dict[str, int]:
    def count(connection: Any) -> dict[str, int]:
        tables = schema.metadata.tables
        return {
            name: connection.execute(select(func.count()).select_from(tables[name])).scalar_one() for name in TABLES
        }

    return await store.read(count)


async def erase(store: Store, before: datetime, after: int = 0) -> erasure.Erased:
    return await store.run(lambda connection: erasure.erase(connection, before, after))


async def test_an_old_message_goes_with_all_that_tells_of_it(store: Store, account: int) -> None:
    await send(store, account, OLD)
    young = await send(store, account, NOW)
    assert await erase(store, NOW - timedelta(days=365)) == erasure.Erased(1, None)
    left = await counts(store)
    assert (left["message"], left["delivery"], left["segment"], left["attempt"]) == (1, 1, 1, 1)
    kept = select(schema.message.c.id)
    assert await store.read(lambda connection: connection.execute(kept).scalars().all()) == [young]


async def test_what_is_still_open_is_kept_however_old(store: Store, account: int) -> None:
    await send(store, account, OLD, settled=False)
    assert (await erase(store, NOW)).messages == 0
    assert (await counts(store))["segment"] == 1


async def test_the_ledger_still_adds_up(store: Store, account: int) -> None:
    await send(store, account, OLD)
    await erase(store, NOW)
    entries = await store.run(lambda connection: credit.entries(connection, account, NOW))
    shown = await store.run(lambda connection: credit.show(connection, account, NOW))
    assert sum(entry["units"] for entry in entries) == shown["left"] == 9_999


async def test_many_go_in_steps_and_the_last_step_says_so(
    store: Store, account: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "STEP", 3)
    for n in range(7):
        await send(store, account, OLD, settled=n != 0)
    after: int | None = 0
    erased = []
    while after is not None:
        step = await erase(store, NOW, after)
        erased.append(step.messages)
        after = step.next
    assert (sum(erased), len(erased)) == (6, 3)
    assert (await counts(store))["message"] == 1


async def test_strays_go_too(store: Store, account: int) -> None:
    def strays(connection: Any) -> int:
        for at in (OLD, NOW):
            connection.execute(
                schema.receipt.insert(),
                {"at": at, "route": "r", "peer_id": "1", "peer_key": "1", "address": "+1", "state": "delivered"},
            )
        erasure.erase_strays(connection, NOW - timedelta(days=365))
        left: int = connection.execute(select(func.count()).select_from(schema.receipt)).scalar_one()
        return left

    assert await store.run(strays) == 1

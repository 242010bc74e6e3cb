"""The answer to a COMMIT is lost: perhaps it happened, perhaps not. Nothing is lost by it, nothing happens twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway import claims, verbs
from gateway.claims import Claim
from gateway.store import schema
from gateway.store.engine import StoreLostError
from gateway.store.store import Store
from gateway.transports.base import Result

pytestmark = [pytest.mark.peer("postgresql"), pytest.mark.parametrize("when", ["before", "after"])]


@pytest.fixture
def between(lossy: Any) -> Any:
    """What stands between us and the database."""
    return lossy[1]


@pytest.fixture
def desk(lossy: Any, open_store: Callable[..., Store], desk_on: Any) -> Any:
    """A desk on a store that can lose a COMMIT; its books are checked at the end."""
    return desk_on(open_store(lossy[0]))


async def test_intake_answers_451_and_the_key_decides(desk: Any, between: Any, when: str) -> None:
    ann = desk.account(bought=10)
    between.lose(when)
    (answer,) = await desk.submit(desk.draft(ann, key=b"mail"))
    assert isinstance(answer, StoreLostError)
    again = await desk.send(ann, key=b"mail")
    assert again.seen == (when == "after")
    assert desk.states() == ["queued"]
    assert desk.left(ann) == (0, 9)
    desk.audit()


async def test_a_claim_is_reread(desk: Any, between: Any, when: str) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann)
    claim = Claim("one", 5, 1, desk.now)
    between.lose(when)
    with pytest.raises(StoreLostError):
        await desk.store.do(verbs.CLAIM, claim)
    claimed = await desk.store.read(lambda connection: claims.reread(connection, claim))
    assert len(claimed) == (1 if when == "after" else 0)
    if when == "after":
        assert desk.states() == ["submitting"]
        await desk.settle(claimed, Result.ACCEPTED)
    else:
        await desk.settle(await desk.claim(), Result.ACCEPTED)
    assert desk.states() == ["accepted"]
    desk.audit()


@pytest.mark.parametrize("result", list(Result))
async def test_a_settlement_is_said_again(desk: Any, between: Any, when: str, result: Result) -> None:
    ann = desk.account(bought=10)
    await desk.send(ann)
    claimed = await desk.claim()
    between.lose(when)
    with pytest.raises(StoreLostError):
        await desk.settle(claimed, result)
    await desk.settle(claimed, result)
    told = [row.kind for row in desk.rows(schema.ledger) if row.kind in ("charge", "return")]
    assert told == {Result.ACCEPTED: ["charge"], Result.PERMANENT: ["return"]}.get(result, [])
    assert len(desk.rows(schema.attempt)) == (0 if result in (Result.THROTTLED, Result.UNSENT) else 1)
    desk.audit()

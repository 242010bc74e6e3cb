"""An outcome whose recording was lost on its way, and had happened, is told again: it belongs to its own claim."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gateway import verbs
from gateway.settlement import Settle
from gateway.transports.base import Outcome, Result


@pytest.mark.parametrize(
    "result", [Result.THROTTLED, Result.UNSENT, Result.TRANSIENT, Result.UNKNOWN, Result.PERMANENT]
)
async def test_told_again_it_does_not_undo_a_later_claim(desk: Any, result: Result) -> None:
    await desk.send(desk.account(bought=10))
    first = await desk.claim()
    await desk.settle(first, Result.THROTTLED)
    later = desk.now + timedelta(seconds=1)
    assert [one.id for one in await desk.claim(now=later)] == [one.id for one in first]
    again = Settle((Outcome(first[0].id, result),), later, {}, 0.0, 1, (desk.now,))
    await desk.store.do(verbs.SETTLE, again)
    assert desk.states() == ["submitting"]
    await desk.store.do(verbs.SETTLE, Settle((Outcome(first[0].id, result),), later, {}, 0.0, 1, (later,)))
    assert desk.states() != ["submitting"]


async def test_that_it_was_accepted_is_true_whichever_claim_it_was(desk: Any) -> None:
    await desk.send(desk.account(bought=10))
    first = await desk.claim()
    await desk.settle(first, Result.THROTTLED)
    later = desk.now + timedelta(seconds=1)
    await desk.claim(now=later)
    accepted = Outcome(first[0].id, Result.ACCEPTED, peer_id="1")
    await desk.store.do(verbs.SETTLE, Settle((accepted,), later, {}, 0.0, 1, (desk.now,)))
    assert desk.states() == ["accepted"]

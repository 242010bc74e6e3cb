"""The SMPP transport against another SMS centre nobody here wrote: Perl's Net::SMPP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from gateway.transports.base import ReceiptState, Result
from tests.peers.net_smpp import perl
from tests.peers.presence import require

pytestmark = [pytest.mark.peer("net-smpp")]

COUNT = 250

Segments = Callable[..., Any]
Carrier = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def present() -> None:
    """Perl's Net::SMPP is here."""
    require("net-smpp")


@pytest.mark.parametrize("mode", ["plain", "first", "throttle", "nack", "drop", "unbind"])
async def test_nothing_is_lost_and_nothing_comes_twice(mode: str, carrier: Carrier, segment: Segments) -> None:
    count = 40 if mode in ("throttle", "nack") else COUNT
    async with perl(mode) as (port, got):
        async with carrier(port, window=20) as hub:
            hub.insists = True
            hub.send([segment(n) for n in range(1, count + 1)])
            finals = {Result.ACCEPTED, Result.UNKNOWN}
            await hub.until(lambda: len(hub.last()) == count and set(hub.last().values()) <= finals)
            accepted, unknown = hub.of(Result.ACCEPTED), hub.of(Result.UNKNOWN)
            if mode in ("plain", "first"):
                await hub.until(lambda: len(hub.receipts) == count)
        taken = Counter(text for _, text, answer in got if answer != "throttled")
        assert [text for text, times in taken.items() if times > 1] == []
        assert {f"message {n}" for n in accepted} <= taken.keys()
        assert sorted({*accepted, *unknown}) == list(range(1, count + 1))
        assert len(set(unknown) - set(accepted)) <= {"drop": 40, "unbind": 100}.get(mode, 0)
    if mode in ("plain", "first"):
        ids = {outcome.peer_id for outcome in hub.outcomes}
        assert {(receipt.id, receipt.state) for receipt in hub.receipts} == {
            (one, ReceiptState.DELIVERED) for one in ids
        }
    if mode in ("throttle", "nack"):
        assert hub.of(Result.THROTTLED)

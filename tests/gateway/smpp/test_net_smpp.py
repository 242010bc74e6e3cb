"""The SMPP transport against another SMS centre nobody here wrote: Perl's Net::SMPP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.transports.base import ReceiptState, Result

pytestmark = [pytest.mark.peer("net-smpp")]

SCRIPT = Path(__file__).parents[2] / "peers" / "net_smpp.pl"
COUNT = 250

Segments = Callable[..., Any]
Carrier = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def present() -> None:
    """Perl's Net::SMPP is here."""
    command = ["perl", "-MNet::SMPP", "-e", "1"]
    if not shutil.which("perl") or subprocess.run(command, capture_output=True, check=False).returncode:
        reason = "net-smpp (Perl's Net::SMPP) is absent: make peers installs it"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


@contextlib.asynccontextmanager
async def perl(mode: str) -> AsyncIterator[tuple[int, list[list[str]]]]:
    """Net::SMPP as a centre that behaves so: its port, and what it got, line by line."""
    process = await asyncio.create_subprocess_exec("perl", SCRIPT, mode, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    port = int(await asyncio.wait_for(process.stdout.readline(), 20))
    got: list[list[str]] = []

    async def read() -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            got.append(line.decode().rstrip("\n").split("\t"))

    reading = asyncio.create_task(read())
    try:
        yield port, got
    finally:
        process.kill()
        await process.wait()
        await reading


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

"""What the tests of a running SMPP transport share: a Hub that listens, segments, a transport that is stopped."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gateway.message import Channel, Claimed
from gateway.routing import Route
from gateway.transports.base import Incoming, LinkState, Outcome, Receipt, Result
from gateway.transports.smpp.backoff import Patience
from gateway.transports.smpp.client import SmppTransport

#: What a dispatcher would queue again.
AGAIN = frozenset({Result.THROTTLED, Result.UNSENT, Result.TRANSIENT})


class Recorder:
    """A Hub that keeps what it hears, hands over what is `todo` as room allows, and can be waited for."""

    def __init__(self) -> None:
        self.transport: SmppTransport
        self.outcomes: list[Outcome] = []
        self.receipts: list[Receipt] = []
        self.incoming_: list[Incoming] = []
        self.states: list[tuple[LinkState, str]] = []
        self.todo: list[Claimed] = []
        self.insists = False  # what was not taken is handed over again
        self.broken: Exception | None = None  # what recording a receipt or a message raises
        self.stuck: asyncio.Event | None = None  # what recording waits for
        self._handed: dict[int, Claimed] = {}
        self._given_up: set[int] = set()
        self._pushing = False
        self._changed = asyncio.Event()

    # The Hub's side

    def settled(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        if outcome.segment in self._given_up:  # its answer came after all
            self._given_up.remove(outcome.segment)
            self._changed.set()
            return
        segment = self._handed.pop(outcome.segment)  # KeyError: settled twice, or never handed over
        if outcome.result is Result.UNKNOWN:
            self._given_up.add(outcome.segment)
        if self.insists and outcome.result in AGAIN:
            self.todo.insert(0, segment)
            asyncio.get_running_loop().call_soon(self.push)
        self._changed.set()

    def more_room(self, route: str) -> None:
        self.push()

    def state(self, route: str, state: LinkState, why: str) -> None:
        self.states.append((state, why))
        self._changed.set()

    async def receipt(self, receipt: Receipt) -> None:
        await self._record(self.receipts, receipt)

    async def incoming(self, incoming: Incoming) -> None:
        await self._record(self.incoming_, incoming)

    async def _record(self, kept: list[Any], one: object) -> None:
        if self.stuck is not None:
            await self.stuck.wait()
        if self.broken is not None:
            raise self.broken
        kept.append(one)
        self._changed.set()

    # The test's side

    def send(self, segments: Sequence[Claimed]) -> None:
        """Hand these over as room allows."""
        self.todo.extend(segments)
        self.push()

    def force(self, segments: Sequence[Claimed]) -> None:
        """Hand these over now, room or not."""
        self._handed.update((segment.id, segment) for segment in segments)
        self.transport.submit(segments)

    def push(self) -> None:
        if self._pushing:
            return
        self._pushing = True
        while self.todo and (room := self.transport.room()) > 0:
            batch, self.todo = self.todo[:room], self.todo[room:]
            self.force(batch)
        self._pushing = False

    async def until(self, come: Callable[[], bool]) -> None:
        """Returns once this is so."""
        async with asyncio.timeout(20):
            while not come():
                self._changed.clear()
                await self._changed.wait()

    async def until_settled(self, count: int) -> None:
        await self.until(lambda: len(self.outcomes) >= count)

    async def until_state(self, state: LinkState) -> str:
        await self.until(lambda: any(said is state for said, _ in self.states))
        return next(why for said, why in self.states if said is state)

    def results(self) -> Counter[Result]:
        return Counter(outcome.result for outcome in self.outcomes)

    def last(self) -> dict[int, Result]:
        """The last result of every segment."""
        return {outcome.segment: outcome.result for outcome in self.outcomes}

    def of(self, result: Result) -> list[int]:
        return [outcome.segment for outcome in self.outcomes if outcome.result is result]


def segment(number: int, **changes: Any) -> Claimed:
    """Segment `number`, which says so."""
    plain = Claimed(
        id=number, message=number, account=1, n=1, of=1, to=f"+3247{number:07}", route="operator",
        payload=f"message {number}".encode(), data_coding=0, udhi=False, attempts=0, resent=False, urgent=False,
        seconds_left=3600.0,
    )  # fmt: skip
    return replace(plain, **changes)


ROUTE = Route(
    "operator", frozenset({Channel.SMS}), "smpp", host="127.0.0.1", sender="32475000000", system_id="tocsin",
    enquire_link=30.0, response_timeout=10.0,
)  # fmt: skip


@contextlib.asynccontextmanager
async def running(port: int, **changes: Any) -> AsyncIterator[Recorder]:
    """A transport to this port, running; `changes` to the route, and `patience`, `tls` to the transport."""
    options = {key: changes.pop(key) for key in ("patience", "tls", "boot") if key in changes}
    changes.setdefault("tls", "tls" in options)
    options.setdefault("patience", Patience(first=0.05, longest=0.2, proof=0.5))
    hub = Recorder()
    hub.transport = SmppTransport(replace(ROUTE, port=port, **changes), hub, random=Random(1), **options)
    task = asyncio.create_task(hub.transport.run())
    try:
        yield hub
    finally:
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture(name="segment")
def segment_fixture() -> Callable[..., Claimed]:
    return segment


@pytest.fixture
def carrier() -> Callable[..., contextlib.AbstractAsyncContextManager[Recorder]]:
    return running

"""Claim, submit, record: the loop between the queue and the transports.

Each route has a feeder. It asks its transport for room, claims that many segments, which commits them `submitting`,
and hands them over. Where intake and claims share their sets, a claim goes along with every intake, so that a segment
leaves after one commit. Outcomes go to the recorder.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from daemon.board import Board
from daemon.feeder import MOMENT, Feeder
from daemon.recorder import Recorder, Told
from daemon.traffic import Traffic
from gateway import presence, queries, receipts, routing, slots, verbs
from gateway.claims import Claim, reread
from gateway.draft import Draft
from gateway.intake import COMPACT
from gateway.message import Claimed
from gateway.routing import Route
from gateway.settlement import Settle, Settled
from gateway.store.errors import StoreError, StoreLostError
from gateway.store.store import Store
from gateway.transports.base import Asker, Incoming, LinkState, Outcome, Receipt, Result, Shared, Transport

log = logging.getLogger(__name__)

_ACCEPTED = Result.ACCEPTED
_SENDING = frozenset({LinkState.UP, LinkState.THROTTLED})

#: Makes the transport of a route. The second argument is the dispatcher, as the transport's Hub.
Maker = Callable[[Route, "Dispatcher"], Transport]

#: How long the feeder waits before it looks again by itself, in seconds: the safety net under every wake-up.
_LOOK = 5.0
#: Waits after a failed commit, in seconds: the first, the longest.
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0
#: How long a receipt waits for the next; the SMS centre waits for our answer as long, and its window is limited.
_PATIENCE = 0.008
#: How long a feeder that is to stop may take to come back from its claim, in seconds.
_LET_GO = 3.0
_INSTANT = timedelta(microseconds=1)


class Dispatcher:
    """All feeders of one node; the Hub their transports talk to."""

    #: How often it is looked for segments to ask about, in seconds.
    asks_every = 1.0

    def __init__(
        self,
        store: Store,
        board: Board,
        node: int,
        make: Maker,
        *,
        now: Callable[[], datetime],
        look: Callable[[], None] = lambda: None,
        lists: Callable[[], None] = lambda: None,
    ) -> None:
        """`look` is called when something new waits for its time: another attempt, or a receipt to tell; `lists` when
        a long list of recipients is about to be taken."""
        self._store = store
        self._board = board
        self._node = node
        self._make = make
        self._now = now
        self._look = look
        self._lists = lists
        self._random = random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._feeders: dict[str, Feeder] = {}
        #: When each segment that is with a transport was claimed.
        self._claimed: dict[int, datetime] = {}
        self._claims_work = True  # the last claim could be made
        self._last_claim = datetime.min.replace(tzinfo=UTC)
        self.traffic = Traffic()
        #: Routes that have long been down, and why: what fails elsewhere rather goes over others.
        self.ailing: Mapping[str, str] = {}
        self.last_beat = time.clock_gettime(time.CLOCK_BOOTTIME)
        self.recorder = Recorder(store, board, self._settle, self._after, self.kick)
        self._rides = store.ride(verbs.SUBMIT, verbs.CLAIM, self._ride)
        store.hurry(lambda: any(feeder.full for feeder in self._feeders.values()))

    # The Hub ----------------------------------------------------------------------------------------------------------

    def settled(self, outcome: Outcome) -> None:
        self.recorder.add(outcome, self._claimed.pop(outcome.segment, None))

    def more_room(self, route: str) -> None:
        feeder = self._feeders.get(route)
        if feeder is not None and time.monotonic() >= feeder.empty_until:
            feeder.kicked.set()

    def state(self, route: str, state: LinkState, why: str) -> None:
        self._board.set("route", route, state.value, why)

    def receipt(self, receipt: Receipt) -> asyncio.Future[int | None]:
        self.recorder.receipt_comes()
        done = self._store.ask(verbs.RECEIVE, receipts.Receive(receipt, self._now()), patience=_PATIENCE)
        self.traffic.receipts += 1
        if log.isEnabledFor(logging.DEBUG):
            done.add_done_callback(partial(_tell_receipt, receipt))
        return done

    async def incoming(self, incoming: Incoming) -> None:
        now = self._now()
        await self._store.run(lambda connection: receipts.keep_incoming(connection, incoming, now))
        log.info("a message from a handset is kept", extra={"action": "incoming", "route": incoming.route})

    # Routes -----------------------------------------------------------------------------------------------------------

    @property
    def routes(self) -> Mapping[str, Route]:
        """The routes that are fed."""
        return {name: feeder.route for name, feeder in self._feeders.items()}

    @property
    def transports(self) -> Mapping[str, Transport]:
        """What carries each of them."""
        return {name: feeder.transport for name, feeder in self._feeders.items()}

    def start(self, group: asyncio.TaskGroup, routes: Sequence[Route]) -> None:
        """Begin to feed these routes; their tasks belong to the group."""
        for route in routes:
            feeder = Feeder(route, self._make(route, self))
            if isinstance(feeder.transport, Shared):
                feeder.transport.resize(0, route.rate, "it waits for its share of the connections")
            self._feeders[route.name] = feeder
            self._board.set("route", route.name, LinkState.CONNECTING.value, "starting")
            feeder.tasks = [
                group.create_task(feeder.transport.run(), name=f"route {route.name}"),
                group.create_task(self._feed(feeder), name=f"feeder {route.name}"),
            ]

    async def stop(self, names: Sequence[str], seconds: float) -> None:
        """Stop feeding these routes: outstanding answers are waited for this long, then nothing is left in flight."""
        feeders = [self._feeders[name] for name in names]
        for feeder in feeders:
            feeder.stopping = True
            feeder.kicked.set()
        # One that waits for a store that is away is not waited for: what it may just have claimed becomes unknown.
        feeding = [feeder.tasks[1] for feeder in feeders]
        if feeding:
            await asyncio.wait(feeding, timeout=_LET_GO)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LET_GO):
                    await asyncio.gather(*(feeder.landed.wait() for feeder in feeders))
        await asyncio.gather(*(feeder.transport.drain(seconds) for feeder in feeders))
        for feeder in feeders:
            for task in feeder.tasks:
                task.cancel()
            await asyncio.wait(feeder.tasks)
            del self._feeders[feeder.route.name]
            self._board.drop("route", feeder.route.name)

    def kick(self, routes: Sequence[str] | None = None) -> None:
        """There may be something to do for these routes; None: for all."""
        for feeder in self._feeders.values() if routes is None else map(self._feeders.get, routes):
            if feeder is not None:
                feeder.kick(self._last_claim)

    def can_send(self, route: str) -> bool:
        """Whether this node can hand segments to this route now, or soon will again."""
        report = self._board.get("route", route)
        return report is not None and report.state in _SENDING

    def beaten(self, at: float) -> None:
        """The node's heartbeat is committed; it was begun at this instant of CLOCK_BOOTTIME."""
        self.last_beat = at
        for name, feeder in self._feeders.items():
            if isinstance(feeder.transport, Shared):
                feeder.transport.renew(at + presence.LEASE / 2)
                self._board.set_rate("route", name, _rate(feeder.transport.rate, feeder.granted and feeder.granted[1]))

    def wishes(self) -> dict[str, slots.Wish]:
        """The routes whose connections are shared out, and what this node uses of them."""
        return {
            name: slots.Wish(max(1, feeder.route.binds), feeder.transport.connections)
            for name, feeder in self._feeders.items()
            if isinstance(feeder.transport, Shared)
        }

    def grant(self, shares: Mapping[str, slots.Share]) -> None:
        """Use these shares of the routes' connections, each with its part of the rate."""
        for name, share in shares.items():
            feeder = self._feeders.get(name)
            if feeder is None or feeder.stopping or not isinstance(feeder.transport, Shared):
                continue
            rate = feeder.route.rate
            if rate is not None and share.connections:
                rate *= share.connections / share.binds
            granted = (share.connections, rate, share.why)
            if feeder.granted != granted:
                feeder.granted = granted
                feeder.transport.resize(*granted)

    # Feeding ----------------------------------------------------------------------------------------------------------

    async def _feed(self, feeder: Feeder) -> None:
        wait = _FIRST_WAIT
        while not feeder.stopping:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):  # not wait_for, which up to Python 3.11 may lose a cancellation
                    await feeder.kicked.wait()
            feeder.kicked.clear()
            if not feeder.stopping:
                await self.recorder.works.wait()
            try:
                while await self._feed_once(feeder):
                    pass
                wait = _FIRST_WAIT
            except StoreError as error:
                self._cannot_claim(error)
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
                feeder.kicked.set()

    async def _feed_once(self, feeder: Feeder) -> bool:
        """Claim once and hand over. Whether there may be more to do at once."""
        if feeder.lost is not None:
            (claim, error), feeder.lost = feeder.lost, None
            self._hand_over(feeder, claim, await self._reread(feeder, claim, error))
        room = self._room(feeder)
        if room <= 0 or not feeder.landed.is_set():
            return False
        claim = self._claim(feeder, room)
        try:
            claimed: list[Claimed] = await self._store.do(verbs.CLAIM, claim)
        except StoreLostError as error:
            claimed = await self._reread(feeder, claim, error)
        self._can_claim()
        return self._hand_over(feeder, claim, claimed)

    def _room(self, feeder: Feeder) -> int:
        return 0 if feeder.stopping or not self.recorder.works.is_set() else feeder.transport.room()

    def _claim(self, feeder: Feeder, room: int) -> Claim:
        # A claim is known by its instant: no two have the same, even where the clock is set back.
        now = self._now()
        self._last_claim = now if now > self._last_claim else self._last_claim + _INSTANT
        return Claim(feeder.route.name, room, self._node, self._last_claim, feeder.post)

    def _hand_over(self, feeder: Feeder, claim: Claim, claimed: Sequence[Claimed]) -> bool:
        """Give the transport what a claim got. Whether there may be more to do at once."""
        feeder.has_claimed(claim, len(claimed), alone=self._rides)
        if not claimed:
            return False
        for segment in claimed:
            self._claimed[segment.id] = claim.now
        if feeder.stopping or self._is_late():
            self._hand_back(claimed)
            return False
        feeder.transport.submit(claimed)
        return feeder.full

    def _ride(self, drafts: Sequence[Draft]) -> list[tuple[Claim, Callable[[Any], None]]]:
        """Claims that go along with the intake of these: what is free to leave at once leaves after one commit."""
        ways: set[str] = set()
        long = False
        for draft in drafts:
            ways.update(draft.ways)
            long = long or len(draft.legs) > COMPACT
        if long:
            asyncio.get_running_loop().call_later(MOMENT, self._lists)
        riders: list[tuple[Claim, Callable[[Any], None]]] = []
        for name in ways:
            feeder = self._feeders.get(name)
            if feeder is None:
                continue
            feeder.empty_until = 0.0  # whoever brings these kicks after the commit, where nothing rides
            if feeder.landed.is_set() and (room := self._room(feeder)) > 0:
                feeder.landed.clear()
                claim = self._claim(feeder, room)
                riders.append((claim, partial(self._came, feeder, claim)))
        return riders

    def _came(self, feeder: Feeder, claim: Claim, result: Any) -> None:
        feeder.landed.set()
        if isinstance(result, BaseException):
            if isinstance(result, StoreLostError):
                feeder.lost = claim, result
            if isinstance(result, StoreError):
                self._cannot_claim(result)
            feeder.kicked.set()
            return
        self._can_claim()
        if self._hand_over(feeder, claim, result):
            feeder.kicked.set()

    def _cannot_claim(self, error: StoreError) -> None:
        self._claims_work = False
        self._board.set("store", "store", "down", str(error))

    def _can_claim(self) -> None:
        if not self._claims_work and self.recorder.works.is_set():
            self._claims_work = True
            self._board.set("store", "store", "up")

    async def _reread(self, feeder: Feeder, claim: Claim, error: StoreError) -> list[Claimed]:
        """What a claim got whose COMMIT may have happened: were it forgotten, it would be `submitting` for good."""
        wait = _FIRST_WAIT
        while not feeder.stopping:
            self._cannot_claim(error)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            try:
                claimed = await self._store.read(lambda connection: reread(connection, claim))
            except StoreError as again:
                error = again
            else:
                self._can_claim()
                return claimed
        return []

    def _is_late(self) -> bool:
        """Whether this node was away for so long that others may take it for dead: then it writes nothing."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self.last_beat > presence.LEASE / 2

    def _hand_back(self, claimed: Sequence[Claimed]) -> None:
        for segment in claimed:
            self.settled(Outcome(segment.id, Result.UNSENT))

    async def ask(self) -> None:
        """Ask what became of accepted segments whose receipt never came, until cancelled."""
        while True:
            await asyncio.sleep(self.asks_every)
            for name, feeder in list(self._feeders.items()):
                transport = feeder.transport
                if not (feeder.route.query and isinstance(transport, Asker)) or self._is_late():
                    continue
                if (room := transport.may_ask()) > 0:
                    with contextlib.suppress(StoreError):
                        now = self._now()
                        transport.ask(await self._store.run(partial(queries.due, route=name, limit=room, now=now)))

    # Recording --------------------------------------------------------------------------------------------------------

    def _settle(self, told: Sequence[Told]) -> Settle:
        now = self._now()
        waits = {name: now + feeder.route.unknown_wait for name, feeder in self._feeders.items()}
        routes = tuple(routing.with_health([feeder.route for feeder in self._feeders.values()], self.ailing))
        outcomes, claimed = zip(*told, strict=True)
        return Settle(outcomes, now, waits, self._random.random(), self._node, claimed, routes)

    def _after(self, settled: Settled, outcomes: Sequence[Outcome]) -> None:
        verbose = log.isEnabledFor(logging.DEBUG)
        look = settled.due is not None
        for outcome in outcomes:
            if outcome.result is _ACCEPTED:
                self.traffic.accepted += 1
                if verbose:
                    _tell_outcome(logging.DEBUG, outcome)
            else:
                look = look or outcome.result is Result.UNKNOWN
                _tell_outcome(logging.WARNING, outcome)
        if look:
            self._look()
        self.kick(list(settled.ready))


def _tell_receipt(receipt: Receipt, done: asyncio.Future[int | None]) -> None:
    if done.cancelled() or done.exception() is not None:
        return
    found = done.result()
    extra = {"action": "receipt", "route": receipt.route, "segment": found, "state": receipt.state.value}
    log.debug("receipt: %s", receipt.state.value if found else "for nothing known; kept", extra=extra)


def _tell_outcome(level: int, outcome: Outcome) -> None:
    extra = {"action": f"segment_{outcome.result}", "segment": outcome.segment, "code": outcome.code}
    log.log(level, "segment %s: %s%s", outcome.segment, outcome.result, _why(outcome), extra=extra)


def _why(outcome: Outcome) -> str:
    told = " ".join(part for part in (outcome.code, outcome.text or outcome.detail) if part)
    return f" ({told})" if told else ""


def _rate(now: float | None, limit: float | None) -> str:
    """Segments a second, as `status` shows them: `100/s`; `40 of 100/s` where the route was told to be slower."""
    if now is None:
        return ""
    return f"{now:.3g}/s" if limit is None or now >= limit else f"{now:.3g} of {limit:.3g}/s"

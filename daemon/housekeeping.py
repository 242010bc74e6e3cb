"""What happens by the clock: heartbeats, what has become due, what is over, what was interrupted, what is too old.

Each task is a plain function of the store in a loop that survives its errors. The loop sleeps until the earliest thing
that is due, is woken by `look`, and looks by itself now and then.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete

from daemon.board import Board
from daemon.summing_up import sum_up
from filters.durations import Duration
from gateway import (
    claims,
    erasure,
    expansion,
    forwarding,
    health,
    history,
    presence,
    reports,
    rerouting,
    retention,
    settlement,
    unknown,
)
from gateway.store import schema
from gateway.store.engine import StoreError
from gateway.store.store import Store
from gateway.telling import House

log = logging.getLogger(__name__)

#: The longest sleep of the loop, in seconds; what ends by its validity is noticed this late at most.
_LOOK = 1.0
#: How often what is over is looked for, in seconds; and how much longer than each step took the line then has for
#: itself.
_RETIRE = 60.0
_SHARE = 3.0
#: How long the keys of invariant I3 are kept.
_KEYS = timedelta(days=30)
#: How often what is too old is looked for, in seconds.
_SWEEP = 3600.0


class Housekeeper:
    """The clock's work on one node."""

    def __init__(
        self,
        store: Store,
        board: Board,
        node: int,
        beaten: Callable[[float], None],
        ready: Callable[[Sequence[str] | None], None],
        office: Callable[[], reports.Office],
        keep: Callable[[], Duration],
        healthy: Callable[[health.Health], None],
        *,
        now: Callable[[], datetime],
        region: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`beaten` is called after each heartbeat with the instant of CLOCK_BOOTTIME it was begun at, `ready` with the
        routes that have work now (None: any of them), `healthy` with how all routes are, as every daemon says."""
        self._store = store
        self._board = board
        self._node = node
        self._beaten = beaten
        self._ready = ready
        self._office = office
        self._keep = keep
        self._healthy = healthy
        self._health = health.Health()
        self._region = region
        self._now = now
        self._wake = asyncio.Event()
        self._expand = asyncio.Event()
        self._reported = 0  # how far the last look at what is owed came
        self._reroute = True

    def reroute(self) -> None:
        """The routes have changed: what waits on one that is gone is to be routed anew."""
        self._reroute = True
        self._wake.set()

    def look(self) -> None:
        """Something new may be due."""
        self._wake.set()

    def look_for_lists(self) -> None:
        """A long list of recipients was taken, or is about to be."""
        self._expand.set()

    # Heartbeats -------------------------------------------------------------------------------------------------------

    async def beat(self) -> None:
        """Say that this node lives, until cancelled."""
        while True:
            with contextlib.suppress(StoreError):
                # From before the transaction: what it says of this node's time, the database may count from there.
                began = time.clock_gettime(time.CLOCK_BOOTTIME)
                known, found = await self._store.run(self._beat_once)
                if known:
                    self._beaten(began)
                    self._hear(found)
                else:
                    await self._come_back()
            await asyncio.sleep(presence.BEAT)

    def _beat_once(self, connection: Connection) -> tuple[bool, health.Health]:
        return presence.beat(connection, self._node, self._board.reports()), health.look(connection)

    def _hear(self, found: health.Health) -> None:
        """How the routes are now: said where it matters, and kept for what is routed from here on."""
        for name in sorted(found.ailing.keys() - self._health.ailing.keys()):
            text, extra = found.ailing[name], {"action": "route_ailing", "route": name}
            log.warning("route %s has long been down (%s): others of equal prefix are taken", name, text, extra=extra)
        for name in sorted(self._health.ailing.keys() - found.ailing.keys()):
            log.info("route %s is taken again", name, extra={"action": "route_well", "route": name})
        if found != self._health:
            self._health = found
            self._healthy(found)

    async def _come_back(self) -> None:
        """Others took this node for dead, and its segments in flight are unknown: it begins anew under its number."""
        log.error("this node was taken for dead; it begins anew", extra={"action": "node_lost"})
        await self._store.run(lambda connection: presence.return_as(connection, self._node))

    # The clock --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Do what is due, until cancelled."""
        wait = _LOOK
        while True:
            try:
                sleep = await self._round()
                wait = _LOOK
            except StoreError as error:
                log.warning("the store cannot be used now: %s", error, extra={"action": "store_down"})
                sleep, wait = wait, min(wait * 2, 10.0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(sleep):  # not wait_for, which up to Python 3.11 may lose a cancellation
                    await self._wake.wait()
            self._wake.clear()

    async def _round(self) -> float:
        """One look at everything; how many seconds may pass until the next."""
        now = self._now()
        moved = await self._move_on(now)
        relieved = await self._relieve(now)
        ready, due = await self._store.run(lambda connection: claims.promote(connection, now))
        stranded = await self._store.run(lambda connection: self._strand(connection, now))
        again, unknown_due = await self._resend(now)
        expired = await self._store.run(lambda connection: settlement.expire(connection, now))
        reported = await self._store.run(lambda connection: self._report(connection, now))
        self._reported = reported.after
        self._say(moved, relieved, stranded, expired)
        told = await sum_up(self._store, House(self._office(), self._region()), now)
        routes = set(ready) | set(again) | reported.routes | told.routes | set(relieved)
        if moved.moved or routes:
            self._ready(None if moved.moved else sorted(routes))
        if stranded or reported.more or told.more or self._reroute or expired == claims.MOST:
            return 0.0
        dues = [(at - now).total_seconds() for at in (due, unknown_due, told.due) if at is not None]
        if relieved:
            dues.append(0.2)  # as soon as the other route has room for more
        return max(0.0, min([_LOOK, *dues]))

    async def _move_on(self, now: datetime) -> rerouting.Moved:
        if not self._reroute:
            return rerouting.Moved(0, 0)
        moved = await self._store.run(lambda connection: rerouting.reroute(connection, self._office().routes, now))
        self._reroute = bool(moved.moved or moved.failed)
        return moved

    async def _relieve(self, now: datetime) -> Mapping[str, int]:
        """What waits on a route that has long been down goes over another, as far as that has nothing else to do."""
        if not self._health.ailing or not self._health.up:
            return {}
        routes = self._office().routes
        up = self._health.up
        return await self._store.run(lambda connection: rerouting.relieve(connection, routes, up, now))

    def _strand(self, connection: Connection, now: datetime) -> int:
        waits = {route.name: now + route.unknown_wait for route in self._office().routes}
        return unknown.strand(connection, now, waits, alive=presence.alive(connection))

    def _report(self, connection: Connection, now: datetime) -> reports.Made:
        return reports.make(connection, self._store.identifiers, self._office(), now, after=self._reported)

    async def _resend(self, now: datetime) -> tuple[frozenset[str], datetime | None]:
        resend = [route.name for route in self._office().routes if route.on_unknown == "resend"]
        _, ready, due = await self._store.run(lambda connection: unknown.resend(connection, now, resend))
        return ready, due

    def _say(self, moved: rerouting.Moved, relieved: Mapping[str, int], stranded: int, expired: int) -> None:
        for count, action, text in (
            (moved.moved, "rerouted", "%d segments of a route that is gone were routed anew"),
            (moved.failed, "unroutable", "%d segments of a route that is gone ended: no other takes their numbers"),
            (sum(relieved.values()), "relieved", "%d segments of a route that has long been down go over another"),
            (stranded, "stranded", "%d segments were in flight when their daemon stopped: unknown"),
            (expired, "expired", "%d segments were not sent within their validity"),
        ):
            if count:
                log.warning(text, count, extra={"action": action, "count": count})

    async def expand(self) -> None:
        """Put long lists of recipients into the queue, a chunk at a time, until cancelled."""

        def next_chunk(connection: Connection) -> expansion.Expanded | None:
            return expansion.expand_next(connection, self._store.identifiers)

        while True:
            with contextlib.suppress(StoreError):
                while (expanded := await self._store.run(next_chunk)) is not None:
                    self._ready(sorted(expanded.routes))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK):
                    await self._expand.wait()
            self._expand.clear()

    async def sweep(self) -> None:
        """Take away what is too old, until cancelled."""
        while True:
            with contextlib.suppress(StoreError):
                await self._store.run(self._forget_keys)
                await self._store.run(forwarding.forget)
                await self._forget_notices()
                await self._erase(self._keep().before(self._now()))
            await asyncio.sleep(_SWEEP)

    async def retire(self) -> None:
        """Move what is over out of the queue's way, until cancelled."""
        while True:
            with contextlib.suppress(StoreError):
                await self.retire_once()
            await asyncio.sleep(_RETIRE)

    async def retire_once(self) -> int:
        """Look through the queue's table once; how many segments have moved."""
        silent = [route.name for route in self._office().routes if not route.receipts]
        after: int | None = 0
        count = 0
        while after is not None:
            look = functools.partial(history.find, now=self._now(), after=after, silent=silent)
            found = await self._store.read(look)
            after = found.next
            for start in range(0, len(found.segments), history.STEP):
                some = found.segments[start : start + history.STEP]
                began = time.monotonic()
                move = functools.partial(history.retire, ids=some, now=self._now(), silent=silent)
                count += await self._store.run(move)
                await asyncio.sleep(_SHARE * (time.monotonic() - began))
            await asyncio.sleep(0)
        if count:
            log.info("%d segments are over and left the queue", count, extra={"action": "retired", "count": count})
        return count

    async def _erase(self, before: datetime) -> None:
        await self._store.run(lambda connection: erasure.erase_strays(connection, before))
        after: int | None = 0
        count = 0
        while after is not None:
            began = time.monotonic()
            step = await self._store.run(functools.partial(erasure.erase, before=before, after=after))
            after = step.next
            count += step.messages
            await asyncio.sleep(_SHARE * (time.monotonic() - began))  # the line goes on
        if count:
            extra = {"action": "erased", "count": count}
            log.info("%d messages were older than is kept and were erased", count, extra=extra)

    async def _forget_notices(self) -> None:
        now = self._now()
        before = self._keep().before(now)
        more = True
        while more:
            more = await self._store.run(functools.partial(retention.forget, before=before, now=now))
            await asyncio.sleep(0.05)  # the line goes on

    def _forget_keys(self, connection: Connection) -> None:
        connection.execute(delete(schema.seen).where(schema.seen.c.created < self._now() - _KEYS))

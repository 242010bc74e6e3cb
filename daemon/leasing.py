"""A node's slots: taken and given up by the clock, and let go of when the node cannot say any more that it lives."""

from __future__ import annotations

import asyncio
import logging
import time

from daemon.dispatcher import Dispatcher
from gateway import presence, slots
from gateway.store.errors import StoreError
from gateway.store.store import Store

log = logging.getLogger(__name__)

#: How often the slots are looked at, in seconds: what a dead node held is taken over this late at most.
_LOOK = 0.5
#: The same where no other node can hold any.
_LOOK_ALONE = 5.0
#: The longest a node keeps its connections without a heartbeat, as a share of the lease: others wait for all of it.
_LET_GO = 0.75


class Leaseholder:
    """The slots of one dispatching node."""

    def __init__(self, store: Store, dispatcher: Dispatcher, node: int) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._node = node
        # Nobody else can work on an SQLite store: there is nobody to leave a connection to.
        self._shared = store.engine.dialect.name != "sqlite"
        self._look = asyncio.Event()

    def look(self) -> None:
        """Routes have come or gone."""
        self._look.set()

    async def run(self) -> None:
        """Keep this node's shares, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_LET_GO * presence.LEASE if self._shared else None):
                    await self._share_out()
            except (StoreError, TimeoutError) as error:
                log.debug("slots cannot be looked at now: %s", error)
            try:
                async with asyncio.timeout(_LOOK if self._shared else _LOOK_ALONE):
                    await self._look.wait()
            except TimeoutError:
                pass
            self._look.clear()

    async def _share_out(self) -> None:
        wishes = self._dispatcher.wishes()
        if self._silence() > _LET_GO * presence.LEASE:
            return
        shares = await self._store.read(lambda connection: slots.look(connection, self._node, wishes))
        if shares is None:
            shares = await self._store.run(lambda connection: slots.allot(connection, self._node, wishes))
        self._dispatcher.grant(shares)

    async def watch(self) -> None:
        """Leave every connection when the heartbeat fails for too long, before others take them; until cancelled."""
        while self._shared:
            late = self._silence()
            if late > _LET_GO * presence.LEASE:
                why = f"the store was not reached for {late:.0f} s: another daemon may hold its connections"
                self._dispatcher.grant({name: slots.Share(0, 1, why) for name in self._dispatcher.wishes()})
            await asyncio.sleep(_LOOK)

    def _silence(self) -> float:
        """Seconds since the last heartbeat; 0 where nobody else could take this node for dead."""
        return time.clock_gettime(time.CLOCK_BOOTTIME) - self._dispatcher.last_beat if self._shared else 0.0

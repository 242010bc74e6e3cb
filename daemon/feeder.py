"""One route's way from the queue to its transport: what is known of what waits, and when it is to be looked for."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from gateway.claims import MOST, Claim
from gateway.routing import Route
from gateway.store.errors import StoreLostError
from gateway.transports.base import Transport

#: How long it is believed that nothing of a route waits, after a claim that went along with an intake, in seconds.
MOMENT = 0.02


class Feeder:
    """Claims for one route are made when it is kicked, but for kicks that tell of what a claim has surely seen."""

    def __init__(self, route: Route, transport: Transport) -> None:
        self.route = route
        #: The route where it carries letters, which are made when they are claimed.
        self.post = route if route.transport == "smtp" else None
        self.transport = transport
        #: It is to look what there is to claim.
        self.kicked = asyncio.Event()
        self.kicked.set()
        self.tasks: list[asyncio.Task[None]] = []
        self.stopping = False
        #: No claim of this route goes along with a set of intake at the moment.
        self.landed = asyncio.Event()
        self.landed.set()
        #: Until when it is believed that nothing of this route waits: its last claim got less than it asked for.
        self.empty_until = 0.0
        #: Its transport has taken all it can, and more waits: an answer makes room for the next.
        self.full = False
        self.lost: tuple[Claim, StoreLostError] | None = None
        self.granted: tuple[int, float | None, str] | None = None
        self._put_off: float | None = None  # since when there is a kick that was put off
        self._kicked_after = datetime.min.replace(tzinfo=UTC)  # the last claim there was at the last kick
        #: Looks at a kick that was put off.
        self.again: asyncio.TimerHandle | None = None

    def kick(self, last_claim: datetime) -> None:
        """There may be something to claim, committed after this claim was made."""
        self._kicked_after = last_claim
        if self._put_off is not None:
            return
        now = time.monotonic()
        if now >= self.empty_until and self.landed.is_set():
            self.kicked.set()
            return
        # Most likely this tells of what a claim came along with, and has; one under way may not see it, and no other
        # is made meanwhile. If it tells of more, a moment is no harm.
        self._put_off = now
        if self.again is None:
            self.again = asyncio.get_running_loop().call_later(MOMENT, self._kick_again)

    def _kick_again(self) -> None:
        """A kick was put off, a moment ago at least; but for what a claim made since then has shown not to be there."""
        self.again = None
        if self._put_off is None:
            return
        left = self._put_off + MOMENT - time.monotonic()
        if left > 0 or not self.landed.is_set():
            wait = left if left > 0 else MOMENT
            self.again = asyncio.get_running_loop().call_later(wait, self._kick_again)
            return
        self._put_off = None
        self.empty_until = 0.0
        self.kicked.set()

    def has_claimed(self, claim: Claim, count: int, *, alone: bool) -> None:
        """A claim got so many. `alone`: nobody else brings work for this route; claims go along with every intake."""
        self.full = count >= min(claim.limit, MOST)
        self.empty_until = time.monotonic() + MOMENT if alone and not self.full else 0.0
        if not self.full and claim.now > self._kicked_after:
            self._put_off = None  # what the kicks told of would have been claimed

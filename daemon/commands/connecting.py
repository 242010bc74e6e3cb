"""Trying a route: its own transport connects and logs in, sends nothing, and leaves."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

from gateway.routing import Route
from gateway.transports.base import Incoming, LinkState, Outcome, Receipt

#: How long a peer may take, in seconds, and how long saying goodbye may.
_PATIENCE, _GOODBYE = 15.0, 2.0
_DECIDED = frozenset({LinkState.UP, LinkState.DOWN, LinkState.REFUSED})


class Ear:
    """A Hub that only hears how the route is. What the peer wants to hand over, it is told to keep for the daemon."""

    def __init__(self) -> None:
        self.decided = asyncio.Event()
        self.up = False
        self.why = f"it did not answer within {_PATIENCE:g} seconds"

    def settled(self, outcome: Outcome) -> None:
        """Nothing is sent, so nothing is settled."""

    def more_room(self, route: str) -> None:
        """Nothing is sent."""

    def state(self, route: str, state: LinkState, why: str) -> None:
        """The first state that says whether it works decides."""
        if state in _DECIDED and not self.decided.is_set():
            self.up = state is LinkState.UP
            self.why = why.partition("; trying again")[0] or ("it is reached" if self.up else "it cannot be reached")
            self.decided.set()

    async def receipt(self, receipt: Receipt) -> None:
        """Refused: the peer tries again, and the daemon takes it."""
        raise ConnectionRefusedError("only a check: try again")

    async def incoming(self, incoming: Incoming) -> None:
        """Refused likewise."""
        raise ConnectionRefusedError("only a check: try again")


async def connect_to(route: Route) -> tuple[bool, str]:
    """Whether one connection of this route comes up, and what was said."""
    from daemon.assemble import transport_of  # the whole house

    ear = Ear()
    transport = transport_of(replace(route, binds=1), ear)
    running = asyncio.ensure_future(transport.run())
    deciding = asyncio.ensure_future(ear.decided.wait())
    try:
        await asyncio.wait({running, deciding}, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        up, why = ear.up, ear.why
        if running.done() and (error := running.exception()) is not None:
            up, why = False, str(error)
        if up:
            await transport.drain(_GOODBYE)
    finally:
        for task in (running, deciding):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
    return up, why

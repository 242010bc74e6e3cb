"""What transports answered, until it is recorded: gathered for a moment, written down in sets, never forgotten.

Nothing on a segment's way to the SMS centre waits for its answer to be recorded, so answers gather for `GATHER`
seconds: what is recorded together costs a fraction. So much longer is what a crash makes unknown. A receipt that is
about to be recorded takes along what has gathered: it may belong to one of these answers.

What cannot be recorded, because the disk is full or the database away, stays here and is tried again; meanwhile nothing
more is claimed, and the reason is said.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from daemon.board import Board
from gateway import verbs
from gateway.claims import MOST
from gateway.settlement import Settle, Settled
from gateway.store.errors import StoreError
from gateway.store.store import Store
from gateway.transports.base import Outcome, Result

log = logging.getLogger(__name__)

#: How long answers gather, in seconds.
GATHER = 0.05
#: So many are recorded at once: what a crash makes unknown has a bound.
ENOUGH = 40
#: What is recorded by itself lets others go first that have somebody waiting, in seconds.
_YIELD = 0.001
#: Waits after a failed commit, in seconds: the first, the longest.
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 5.0

_ACCEPTED = Result.ACCEPTED

#: An outcome, and the instant of the claim it belongs to.
Told = tuple[Outcome, datetime | None]


class Recorder:
    """The outcomes of one node on their way into the store."""

    def __init__(
        self,
        store: Store,
        board: Board,
        settle: Callable[[Sequence[Told]], Settle],
        settled: Callable[[Settled, Sequence[Outcome]], None],
        resumed: Callable[[], None],
    ) -> None:
        """`settle` makes the argument of the verb, `settled` hears what came of it; `resumed` is called when outcomes
        can be recorded again after a failure."""
        self._store = store
        self._board = board
        self._settle = settle
        self._settled = settled
        self._resumed = resumed
        self._told: list[Told] = []
        self._first = 0.0  # when the first of them was told
        self._in_hand = 0
        self._some = asyncio.Event()
        self._hurry = asyncio.Event()
        self._flushing = False
        #: Whether what is answered can be recorded: nothing is claimed otherwise.
        self.works = asyncio.Event()
        self.works.set()
        #: Whether receipts take outcomes along; where they cannot, they make the outcomes hurry.
        self._rides = store.ride(verbs.RECEIVE, verbs.SETTLE, self._ride)

    def add(self, outcome: Outcome, claimed: datetime | None) -> None:
        """One more to record."""
        if not self._told:
            self._first = time.monotonic()
            self._some.set()
        self._told.append((outcome, claimed))
        if outcome.result is not _ACCEPTED or len(self._told) >= ENOUGH:
            self._hurry.set()

    def receipt_comes(self) -> None:
        """A receipt is about to be recorded."""
        if not self._rides and self._told:
            self._hurry.set()

    def _take(self) -> list[Told]:
        told, self._told = self._told[:MOST], self._told[MOST:]
        if not self._told:
            self._some.clear()
        if not self._flushing and len(self._told) < ENOUGH:
            self._hurry.clear()
        self._in_hand += len(told)
        return told

    async def run(self) -> None:
        """Record what gathers, until cancelled."""
        wait = _FIRST_WAIT
        while True:
            await self._some.wait()
            # Receipts may take along what has gathered, again and again: it is the first of the rest that counts.
            while self._told and not self._hurry.is_set() and (left := self._first + GATHER - time.monotonic()) > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self._hurry.wait()
            told = self._take()
            if not told:
                continue
            try:
                settled = await self._store.do(verbs.SETTLE, self._settle(told), patience=_YIELD)
            except StoreError as error:
                self._failed(told, error)
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
            except asyncio.CancelledError:
                self._put_back(told)
                raise
            else:
                wait = _FIRST_WAIT
                self._recorded(told, settled)

    def _ride(self, _receipts: Sequence[Any]) -> list[tuple[Settle, Callable[[Any], None]]]:
        if not self._told or not self.works.is_set():
            return []
        told = self._take()
        return [(self._settle(told), partial(self._came, told))]

    def _came(self, told: list[Told], result: Any) -> None:
        if isinstance(result, StoreError):
            self._failed(told, result)
        elif isinstance(result, BaseException):  # a defect
            self._put_back(told)
        else:
            self._recorded(told, result)

    def _put_back(self, told: list[Told]) -> None:
        """Answers are never forgotten: they go back in front."""
        self._in_hand -= len(told)
        self._told[:0] = told
        self._some.set()

    def _failed(self, told: list[Told], error: StoreError) -> None:
        self._put_back(told)
        self.works.clear()
        why = f"{len(self._told)} answers cannot be recorded, nothing more is sent: {error}"
        self._board.set("store", "store", "down", why)

    def _recorded(self, told: list[Told], settled: Settled) -> None:
        self._in_hand -= len(told)
        if not self.works.is_set():
            self.works.set()
            self._board.set("store", "store", "up")
            self._resumed()
        self._settled(settled, [outcome for outcome, _ in told])

    async def flush(self, seconds: float) -> bool:
        """Wait at most this long until every outcome is recorded; whether it is so."""
        deadline = time.monotonic() + seconds
        self._flushing = True
        self._hurry.set()
        while self._told or self._in_hand:
            if time.monotonic() > deadline:
                log.error("%d answers could not be recorded", len(self._told), extra={"action": "answers_lost"})
                return False
            await asyncio.sleep(0.02)
        return True

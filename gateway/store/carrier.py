"""Carrying sets out: each in a transaction, small ones in the event loop's own thread, the others in the writer's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection

from gateway.store.errors import StoreError, StoreLostError, is_unavailable

#: A hot verb: the connection and the arguments of a set in, one result for each out, in order. A result that is an
#: exception is raised to whoever asked; it must have written nothing.
Verb = Callable[[Connection, Sequence[Any]], Sequence[Any]]
#: Two verbs of one set as one: the arguments of both in, the results of both out.
Both = Callable[[Connection, Sequence[Any], Sequence[Any]], tuple[Sequence[Any], Sequence[Any]]]
#: Carries out a work in a transaction of its own: `Store.run_now`.
Run = Callable[[Callable[[Connection], list[Any]]], list[Any]]

log = logging.getLogger(__name__)

#: How long the members of a set that failed are run one by one before the rest is refused, in seconds.
PATIENCE = 10.0
#: Sets of so few members are carried out in the loop's own thread, while so few come in a second that another thread
#: is no help, and as long as sets take less than `QUICK` seconds on average. After one of `TOO_LONG` seconds none are
#: for `WARY` seconds: what waits for a disk is not to wait here.
FEW, MANY_A_SECOND, QUICK, TOO_LONG, WARY = 64, 2500.0, 0.008, 0.05, 2.0


@dataclass(slots=True)
class Member:
    """One wish of a set, and who waits for its result."""

    verb: str
    argument: Any
    done: asyncio.Future[Any] | None
    rider: Callable[[Any], None] | None = None


#: Is told in the event loop of a set that a thread has carried out: its members, and their results or why it stopped.
Carried = Callable[[asyncio.AbstractEventLoop, list[Member], Any], None]


class Carrier:
    """Carries out sets, and knows how many members come and how long sets take.

    `run` is for the writer's thread, `here` for the loop's own; `both` are pairs of verbs that are run as one.
    """

    def __init__(
        self, run: Run, verbs: Mapping[str, Verb], both: Mapping[tuple[str, str], Both], here: Run | None
    ) -> None:
        self.run = run
        self.here = here
        #: Members a second of late, older ones counted less and less; and when that was so.
        self.flow, self._flow_at = 0.0, 0.0
        #: Whether so little is to be done that another thread, and larger sets, would be no help.
        self.is_calm = here is not None
        self._verbs = dict(verbs)
        self._both = dict(both)
        self._took = 0.0  # what a set takes, on average, in seconds
        self._elsewhere_until = 0.0  # until when no set is carried out here, in the loop's seconds

    def carry_here(self, members: list[Member], now: float) -> list[Any] | None:
        """The results of a set, committed in this very thread; None, and nothing done, where it is better done in the
        writer's: because it is large or many come, sets take long now, somebody else writes, or something is wrong."""
        self.flow = self.flow * math.exp(self._flow_at - now) + len(members)
        self._flow_at = now
        self.is_calm = self.here is not None and self.flow <= MANY_A_SECOND
        if self.here is None or not self.is_calm or len(members) > FEW:
            return None
        if self._took > QUICK or now < self._elsewhere_until:
            return None
        try:
            return self.here(lambda connection: self._carry_out(connection, members))
        except Exception as error:
            log.debug("a set goes to the writer: %s", error, extra={"action": "set_passed_on"})
            return None

    def took(self, seconds: float, now: float) -> None:
        """So long the last set took."""
        self._took += (seconds - self._took) / 8
        if seconds > TOO_LONG:
            self._elsewhere_until = now + WARY

    def carry(self, loop: asyncio.AbstractEventLoop, members: list[Member], carried: Carried, ended: Carried) -> None:
        """In the writer's thread: commit, and hand the results back."""
        try:
            results, error = self.commit(members), None
        except BaseException as stopped:  # a set has no errors of its own: nobody may be left waiting
            results, error = [], stopped
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            if error is None:
                loop.call_soon_threadsafe(carried, loop, members, results)
            else:
                loop.call_soon_threadsafe(ended, loop, members, error)

    def commit(self, members: list[Member]) -> list[Any]:
        """A result for each; where the set fails, each member alone decides what is its own."""
        try:
            return self.run(lambda connection: self._carry_out(connection, members))
        except StoreError as error:
            hopeless = isinstance(error, StoreLostError) or is_unavailable(error.__cause__)
            if len(members) == 1 or hopeless:
                return [error] * len(members)
            log.warning("a set of %d failed, each is run alone: %s", len(members), error, extra={"action": "set_split"})
        except Exception as error:
            # A defect in a verb: the others of the set must not suffer from it.
            if len(members) == 1:
                log.exception("a verb failed", extra={"action": "verb_failed", "verb": members[0].verb})
                return [error]
            log.error("a set of %d failed, each is run alone", len(members), extra={"action": "set_split"})
        return self._one_by_one(members)

    def _one_by_one(self, members: list[Member]) -> list[Any]:
        """Each in a transaction of its own, until it is clear that the store is to blame, not one of them."""
        results: list[Any] = []
        give_up = time.monotonic() + PATIENCE
        for member in members:
            result = self.commit([member])[0]
            results.append(result)
            if isinstance(result, StoreError) and (is_unavailable(result.__cause__) or time.monotonic() > give_up):
                break
        return results + [StoreError(str(results[-1])) for _ in members[len(results) :]]

    def _carry_out(self, connection: Connection, members: list[Member]) -> list[Any]:
        parts = [(verb, [one.argument for one in some]) for verb, some in groupby(members, key=attrgetter("verb"))]
        results: list[Any] = []
        while parts:
            verb, arguments = parts.pop(0)
            both = self._both.get((verb, parts[0][0])) if parts else None
            if both is not None:
                others = parts.pop(0)[1]
                answers, more = both(connection, arguments, others)
            else:
                others = []
                answers, more = self._verbs[verb](connection, arguments), []
            if (len(answers), len(more)) != (len(arguments), len(others)):
                wanted = len(arguments) + len(others)
                raise AssertionError(f"{verb} gave {len(answers) + len(more)} answers to {wanted} arguments")
            results += [*answers, *more]
        return results
